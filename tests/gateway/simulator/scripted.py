"""A gateway of a few lines for the simulated Twilio's calls: documents by path, and a socket that obeys a test."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from gateway.simulator.twilio import FakeTwilio
from gateway.twilio.signature import is_signed

SID = "AC" + "0" * 32
TOKEN = "twilio token"
PUBLIC = "https://gw.example"
OURS = "+4915735990000"
KIM = "+491700000101"


@dataclass
class Posted:
    """One webhook."""

    path: str
    fields: Mapping[str, str]
    signed: bool


@dataclass(eq=False)
class Streamed:
    """One stream that has connected, as the gateway sees it."""

    path: str
    signed: bool
    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    frames: list[dict[str, object]] = field(default_factory=list)  # all but media
    media: list[dict[str, str]] = field(default_factory=list)
    at_s: list[float] = field(default_factory=list)  # when each media frame came
    marks: list[tuple[str, float]] = field(default_factory=list)
    sequence: list[str | None] = field(default_factory=list)  # of all frames
    sid: str = ""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, frame: Mapping[str, object]) -> None:
        await self.socket.send_str(json.dumps({**frame, "streamSid": self.sid}))

    async def play(self, audio: bytes) -> None:
        await self.send({"event": "media", "media": {"payload": base64.b64encode(audio).decode()}})

    async def mark(self, name: str) -> None:
        await self.send({"event": "mark", "mark": {"name": name}})

    async def clear(self) -> None:
        await self.send({"event": "clear"})

    @property
    def audio(self) -> bytes:
        return b"".join(base64.b64decode(one["payload"]) for one in self.media)

    @property
    def events(self) -> list[object]:
        return [frame["event"] for frame in self.frames]

    def take(self, text: str) -> object:
        """Take a frame; return what it is."""
        if '"setup"' in text:
            return None
        frame, now_s = json.loads(text), asyncio.get_running_loop().time()
        self.sequence.append(frame.get("sequenceNumber"))
        if frame["event"] == "media":
            self.media.append(frame["media"])
            self.at_s.append(now_s)
            return "media"
        self.frames.append(frame)
        if frame["event"] == "mark":
            self.marks.append((frame["mark"]["name"], now_s))
        elif frame["event"] == "start":
            self.sid = frame["streamSid"]
        return frame["event"]


@dataclass
class Scripted:
    """`documents` by path; what is not there is answered 404."""

    url: str = ""
    documents: dict[str, str] = field(default_factory=dict)
    posted: list[Posted] = field(default_factory=list)
    streams: list[Streamed] = field(default_factory=list)
    refuses_streams: bool = False
    heartbeat_s: float | None = None
    ends_relays_with: str | None = None

    def says(self, path: str, verbs: str) -> None:
        self.documents[path] = f"<Response>{verbs}</Response>"

    def posts(self, path: str) -> list[Mapping[str, str]]:
        return [one.fields for one in self.posted if one.path == path]

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        form = [(name, str(value)) for name, value in (await request.post()).items()]
        signed = _is_signed(PUBLIC + request.path_qs, form, body, request)
        self.posted.append(Posted(request.path, dict(form), signed))
        document = self.documents.get(request.path)
        return web.Response(status=404 if document is None else 200, text=document or "", content_type="text/xml")

    async def stream(self, request: web.Request) -> web.StreamResponse:
        signed = _is_signed(f"wss{PUBLIC.removeprefix('https')}{request.path_qs}", [], b"", request)
        if self.refuses_streams or not signed:
            return web.Response(status=403)
        socket = web.WebSocketResponse(heartbeat=self.heartbeat_s)
        await socket.prepare(request)
        if self.ends_relays_with is not None:
            await socket.send_json({"type": "end", "handoffData": self.ends_relays_with})
        streamed = Streamed(request.path, signed, socket, request.transport)
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    break
                if streamed.take(message.data) == "start":
                    self.streams.append(streamed)
        finally:
            streamed.ended.set()
        return socket


def _is_signed(url: str, form: list[tuple[str, str]], body: bytes, request: web.Request) -> bool:
    return is_signed(
        url=url,
        form=form,
        body=body,
        header=request.headers.get("X-Twilio-Signature"),
        settings_header=request.headers.get("X-Twilio-Webhooks-Signature-Settings"),
        auth_token=TOKEN,
        shared_keys={},
    )


@asynccontextmanager
async def scripted() -> AsyncIterator[Scripted]:
    gateway = Scripted()
    app = web.Application()
    app.router.add_get("/media/{token}", gateway.stream)
    app.router.add_route("*", "/{path:.*}", gateway.handle)
    async with TestServer(app) as server:
        gateway.url = str(server.make_url("/")).rstrip("/")
        yield gateway


@asynccontextmanager
async def calling(gateway: Scripted) -> AsyncIterator[FakeTwilio]:
    """Run a Twilio whose one number leads to /voice and reports to /status."""
    twilio = FakeTwilio(account_sid=SID, auth_token=TOKEN, public_url=PUBLIC, gateway_url=gateway.url)
    twilio.numbers.add(OURS, "mobile", voice_url=f"{PUBLIC}/voice", status_callback=f"{PUBLIC}/status")
    twilio.calls.say_char_ms = 1.0
    async with twilio.running():
        yield twilio
