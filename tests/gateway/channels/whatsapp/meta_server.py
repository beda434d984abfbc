"""A small server that answers as the test says and remembers what it was asked."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class MetaServer:
    """`answers` is looked up by the request's path."""

    url: str = ""
    answers: dict[str, Handler] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, str], Any]] = field(default_factory=list)

    def answer(self, path: str, body: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        content = body if isinstance(body, bytes) else orjson.dumps(body)

        async def handler(_: web.Request) -> web.Response:
            return web.Response(status=status, body=content, headers=dict(headers or {}))

        self.answers[path] = handler

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append((request.path_qs, dict(request.headers), orjson.loads(body) if body else None))
        return await self.answers[request.path](request)


@asynccontextmanager
async def running() -> AsyncIterator[MetaServer]:
    meta = MetaServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", meta.handle)
    async with TestServer(app) as server:
        meta.url = str(server.make_url("/")).rstrip("/")
        yield meta
