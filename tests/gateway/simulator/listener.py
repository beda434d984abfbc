"""A gateway that only listens to Twilio: keeps what was posted and answers as the test says."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer


@dataclass(frozen=True, slots=True)
class Posted:
    """One webhook: path with query, form and headers."""

    path: str
    form: list[tuple[str, str]]
    body: bytes
    headers: Mapping[str, str]

    @property
    def fields(self) -> Mapping[str, str]:
        return dict(self.form)


@dataclass
class Listener:
    """`statuses` are answered first, in order; then 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    posted: list[Posted] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        form = [(name, str(value)) for name, value in (await request.post()).items()]
        self.posted.append(Posted(request.path_qs, form, body, dict(request.headers)))
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, text="<Response/>", content_type="text/xml")


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    listener = Listener()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", listener.handle)
    async with TestServer(app) as server:
        listener.url = str(server.make_url("/")).rstrip("/")
        yield listener
