"""An owner's system on a real socket: verifies every signature by itself and answers as the test says."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer


@dataclass(frozen=True)
class Received:
    """One post, as it came."""

    webhook_id: str
    timestamp_s: int
    signatures: tuple[str, ...]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.raw)
        return content

    def is_signed_by(self, secret: str) -> bool:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{self.webhook_id}.{self.timestamp_s}.".encode() + self.raw
        expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return expected in self.signatures


@dataclass
class Receiver:
    """Counts what comes; `answer` decides the status of each post, `pause_s` how long it takes."""

    answer: Callable[[Received], int] = lambda _received: 200
    pause_s: float = 0.0
    received: list[Received] = field(default_factory=list)
    url: str = ""
    came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def kinds(self) -> list[str]:
        return [each.body["type"] for each in self.received]

    async def _take(self, request: web.Request) -> web.Response:
        post = Received(
            webhook_id=request.headers["webhook-id"],
            timestamp_s=int(request.headers["webhook-timestamp"]),
            signatures=tuple(request.headers["webhook-signature"].split(" ")),
            raw=await request.read(),
        )
        self.received.append(post)
        self.came.set()
        await asyncio.sleep(self.pause_s)
        status = self.answer(post)
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status // 100 == 3 else {})

    async def _elsewhere(self, _request: web.Request) -> web.Response:
        raise AssertionError("a redirect was followed")

    async def start(self) -> TestServer:
        """Listen; the caller closes what is returned."""
        app = web.Application()
        app.router.add_post("/hook", self._take)
        app.router.add_route("*", "/elsewhere", self._elsewhere)
        server = TestServer(app)
        await server.start_server()
        self.url = str(server.make_url("/hook"))
        return server
