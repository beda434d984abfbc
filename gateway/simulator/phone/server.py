"""The phone's page and what it does: an HTTP server of its own, with one stream of events to the browser."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import aiohttp
import orjson
from aiohttp import web

from gateway.simulator.customer import Customer
from gateway.simulator.meta import FakeMeta
from gateway.simulator.meta_wire import Business, Person
from gateway.simulator.phone import samples
from gateway.simulator.phone.chat import Chat
from gateway.simulator.phone.owner import OwnerApi

LOOK_EVERY_S: Final = 0.3
TEXT_MAX: Final = 4_096
REACTIONS: Final = ("👍", "❤️", "😂", "🙏")  # as the page offers them
NAMES: Final = ("Anna Berger", "Mehmet Kaya", "Sofia Rossi", "Jonas Weber", "Emma Clark", "Lena Vogt")
FILES: Final[Mapping[str, str]] = {
    "index.html": "text/html",
    "phone.css": "text/css",
    "meter.css": "text/css",
    "phone.js": "text/javascript",
    "meter.js": "text/javascript",
    "words.js": "text/javascript",
    "mark.svg": "image/svg+xml",
}
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

Act = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Whom the customer writes to, and what the page may ask of the operator."""

    meta: FakeMeta
    business: Business
    salon: str
    model: str  # what answers, as the page labels it
    offline: bool
    gateway_url: str
    api_token: str
    grant: Act
    drain: Act


class Phone:
    """The page's server; one phone, whatever number of windows look at it."""

    def __init__(self, scene: Scene, stopping: asyncio.Event) -> None:
        self._scene = scene
        self._stopping = stopping
        self._names = itertools.cycle(NAMES)
        self._chat = self._new_chat()

    @contextlib.asynccontextmanager
    async def running(self, host: str, port: int) -> AsyncIterator[str]:
        """Serve; yields the page's address. Raises OSError when the port cannot be had."""
        app = web.Application(client_max_size=64 * 1024)
        app.on_response_prepare.append(_careful)
        app.add_routes(
            [
                web.get("/", _file),
                web.get("/files/{name}", _file),
                web.get("/picture.png", _picture),
                web.get("/events", self._events),
                web.post("/write", self._write),
                web.post("/react", self._react),
                web.post("/act/{name}", self._act),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        async with aiohttp.ClientSession() as http:
            self._owner = OwnerApi(http, self._scene.gateway_url, self._scene.api_token)
            try:
                await web.TCPSite(runner, host, port).start()
                yield f"http://{host}:{runner.addresses[0][1]}"
            finally:
                await runner.cleanup()

    def _new_chat(self) -> Chat:
        number = random.randrange(10**8)  # noqa: S311 - a simulated number, no secret
        person = Person(name=next(self._names), wa_id=f"49176{number:08d}")
        return Chat(Customer(self._scene.meta, self._scene.business, person))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        before = b""
        with contextlib.suppress(ConnectionResetError):
            while not self._stopping.is_set():
                now = orjson.dumps(await self._told())
                if now != before:
                    await response.write(b"data: " + now + b"\n\n")
                    before = now
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), LOOK_EVERY_S)
        return response

    async def _told(self) -> Mapping[str, Any]:
        scene, person = self._scene, self._chat.customer.person
        known: Mapping[str, Any] | None = None
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            known = await self._owner.look(person.wa_id or "")
        return {
            "salon": scene.salon,
            "model": scene.model,
            "offline": scene.offline,
            "customer": {"name": person.name, "number": f"+{person.wa_id}"},
            "chat": self._chat.told(),
            "owner": known,
        }

    async def _write(self, request: web.Request) -> web.Response:
        asked = await _json(request)
        kind, text = str(asked.get("kind", "text")), str(asked.get("text", "")).strip()
        if kind not in ("text", "voice", "image") or len(text) > TEXT_MAX or (kind != "image" and not text):
            return web.Response(status=400)
        await self._chat.write(kind, text)
        return web.Response(status=204)

    async def _react(self, request: web.Request) -> web.Response:
        asked = await _json(request)
        emoji = str(asked.get("emoji", ""))
        known = emoji in REACTIONS and await self._chat.react(str(asked.get("id", "")), emoji)
        return web.Response(status=204 if known else 400)

    async def _act(self, request: web.Request) -> web.Response:
        await _json(request)
        acts: Mapping[str, Act] = {
            "grant": self._scene.grant,
            "drain": self._scene.drain,
            "repeat": self._chat.repeat,
            "late": self._late,
            "customer": self._change_customer,
            "give_back": self._give_back,
        }
        act = acts.get(request.match_info["name"])
        if act is None:
            return web.Response(status=404)
        await act()
        return web.Response(status=204)

    async def _give_back(self) -> None:
        await self._owner.give_back(self._chat.customer.address)

    async def _late(self) -> None:
        self._chat = self._new_chat()
        await self._chat.write_late("Haben Sie heute noch einen Termin frei?")

    async def _change_customer(self) -> None:
        self._chat = self._new_chat()


async def _json(request: web.Request) -> Mapping[str, object]:
    """Return the body's JSON object; only what our own page can send. Raises HTTPBadRequest."""
    if request.content_type != "application/json":  # another site's form cannot send this without being asked
        raise web.HTTPBadRequest
    try:
        asked = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        raise web.HTTPBadRequest from None
    return asked if isinstance(asked, dict) else {}


async def _file(request: web.Request) -> web.Response:
    name = request.match_info.get("name", "index.html")
    if name not in FILES:
        raise web.HTTPNotFound
    content = resources.files("gateway.simulator.phone").joinpath("page", name).read_bytes()
    return web.Response(body=content, content_type=FILES[name], charset="utf-8")


async def _picture(_request: web.Request) -> web.Response:
    return web.Response(body=samples.picture(), content_type="image/png")


async def _careful(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
