"""The phone's page and what it does: an HTTP server of its own, with one stream of events to the browser."""

import asyncio
import contextlib
import functools
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any, Final

import aiohttp
import orjson
from aiohttp import web

from gateway.simulator.customer import Customer
from gateway.simulator.meta import FakeMeta
from gateway.simulator.meta_wire import Business, Person
from gateway.simulator.openai_realtime import FakeRealtime
from gateway.simulator.phone import samples
from gateway.simulator.phone.chat import Chat
from gateway.simulator.phone.owner import OwnerApi
from gateway.simulator.phone.sms_chat import SmsChat, SmsRates, counted
from gateway.simulator.phone.telephone import Telephone
from gateway.simulator.twilio import FakeTwilio
from gateway.simulator.twilio_customer import TwilioCustomer

LOOK_EVERY_S: Final = 0.3
KINDS: Final[Mapping[str, Collection[str]]] = {
    "whatsapp": ("text", "voice", "image"),
    "sms": ("text",),
    "voice": ("text", "keys"),
}
CHARACTERS_MAX: Final[Mapping[str, int]] = {"whatsapp": 4_096, "sms": 1_600, "voice": 300}
REACTIONS: Final = ("👍", "❤️", "😂", "🙏")  # as the page offers them
NAMES: Final = ("Anna Berger", "Mehmet Kaya", "Sofia Rossi", "Jonas Weber", "Emma Clark", "Lena Vogt")
FILES: Final[Mapping[str, str]] = {
    "index.html": "text/html",
    "phone.css": "text/css",
    "meter.css": "text/css",
    "phone.js": "text/javascript",
    "sms.css": "text/css",
    "sms.js": "text/javascript",
    "call.css": "text/css",
    "call.js": "text/javascript",
    "microphone.js": "text/javascript",
    "telephone_audio.js": "text/javascript",
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
    twilio: FakeTwilio  # has the business's number too
    realtime: FakeRealtime | None  # the offline model on the phone; None: a real one listens
    voice_model: str
    has_ear: bool  # what is said into the microphone is understood
    sms_rates: SmsRates
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
        self._change_customer()

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
                web.get("/call", self._talk),
                web.post("/write", self._write),
                web.post("/count", self._count),
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

    def _change_customer(self) -> None:
        """Let somebody else hold the phone, who can write on either channel."""
        scene, number = self._scene, f"49176{random.randrange(10**8):08d}"  # noqa: S311 - simulated, no secret
        person = Person(name=next(self._names), wa_id=number)
        texting = TwilioCustomer(scene.twilio, business=scene.business.display_number, number=f"+{number}")
        self._person, self._number = person, f"+{number}"
        self._whatsapp = Chat(Customer(scene.meta, scene.business, person))
        self._telephone = Telephone(
            scene.twilio,
            number=f"+{number}",
            business=scene.business.display_number,
            realtime=scene.realtime,
            has_ear=scene.has_ear,
        )
        self._chats: Mapping[str, Chat | SmsChat | Telephone] = {
            "whatsapp": self._whatsapp,
            "sms": SmsChat(texting, scene.sms_rates),
            "voice": self._telephone,
        }

    async def _events(self, request: web.Request) -> web.StreamResponse:
        channel = self._channel(request.query)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        before = b""
        with contextlib.suppress(ConnectionResetError):
            while not self._stopping.is_set():
                now = orjson.dumps(await self._told(channel))
                if now != before:
                    await response.write(b"data: " + now + b"\n\n")
                    before = now
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), LOOK_EVERY_S)
        return response

    async def _told(self, channel: str) -> Mapping[str, Any]:
        scene = self._scene
        known: Mapping[str, Any] | None = None
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            known = await self._owner.look(self._number, channel)
        return {
            "channel": channel,
            "salon": scene.salon,
            "salon_number": scene.business.display_number,
            "model": scene.voice_model if channel == "voice" else scene.model,
            "offline": scene.offline,
            "customer": {"name": self._person.name, "number": self._number},
            "chat": self._chats[channel].told(),
            "sms_rates": asdict(scene.sms_rates),
            "owner": known,
        }

    async def _write(self, request: web.Request) -> web.Response:
        asked = await _json(request)
        channel = self._channel(asked)
        kind, text = str(asked.get("kind", "text")), str(asked.get("text", "")).strip()
        if kind not in KINDS[channel] or len(text) > CHARACTERS_MAX[channel] or (kind != "image" and not text):
            return web.Response(status=400)
        await self._chats[channel].write(kind, text)
        return web.Response(status=204)

    async def _talk(self, request: web.Request) -> web.StreamResponse:
        """Let a browser call; only our own page may."""
        if request.headers.get("Origin", "").partition("//")[2] != request.host:
            return web.Response(status=403)
        return await self._telephone.talk(request)

    async def _count(self, request: web.Request) -> web.Response:
        """Tell what a text would go as by SMS: as it would be sent, without the blanks around it."""
        text = str((await _json(request)).get("text", "")).strip()
        if len(text) > CHARACTERS_MAX["sms"]:
            return web.Response(status=400)
        return web.json_response(counted(text, self._scene.sms_rates))

    async def _react(self, request: web.Request) -> web.Response:
        asked = await _json(request)
        emoji = str(asked.get("emoji", ""))
        known = emoji in REACTIONS and await self._whatsapp.react(str(asked.get("id", "")), emoji)
        return web.Response(status=204 if known else 400)

    async def _act(self, request: web.Request) -> web.Response:
        channel = self._channel(await _json(request))
        acts: Mapping[str, Act] = {
            "grant": self._scene.grant,
            "drain": self._scene.drain,
            "repeat": self._chats[channel].repeat,
            "late": self._late,
            "customer": self._somebody_else,
            "give_back": functools.partial(self._owner.give_back, self._number, channel),
        }
        act = acts.get(request.match_info["name"])
        if act is None:
            return web.Response(status=404)
        await act()
        return web.Response(status=204)

    def _channel(self, asked: Mapping[str, object]) -> str:
        """Return the channel that a window of the page looks at. Raises HTTPBadRequest."""
        channel = str(asked.get("channel", "whatsapp"))
        if channel not in self._chats:
            raise web.HTTPBadRequest
        return channel

    async def _late(self) -> None:
        await self._somebody_else()
        await self._whatsapp.write_late("Haben Sie heute noch einen Termin frei?")

    async def _somebody_else(self) -> None:
        before = self._telephone
        self._change_customer()
        await before.hang_up()


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
