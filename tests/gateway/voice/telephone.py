"""A gateway that is called: its routes on a real socket, signed as Twilio signs, and a Twilio that takes orders."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from agents.agent import parse_agent
from agents.openai_model import OpenAIModel
from agents.store import create_agent, find_agent, publish
from gateway.app import build_services
from gateway.db import Database
from gateway.limits import Limits
from gateway.services import Services
from gateway.settings import load_settings
from gateway.simulator.twilio_wire import signature
from gateway.twilio.signature import HEADER
from gateway.voice.answering import Voice, build_voice
from gateway.voice.engines.base import VoiceEngine
from gateway.voice.routes import routes
from metering.audit import audit
from tests.cast import Cast
from tests.conftest import Clock

PUBLIC = "https://gateway.example.com/prefix"
ACCOUNT = "AC00000000000000000000000000000001"
TOKEN = "an auth token"
NOBODY = "http://127.0.0.1:9"
NUMBER = "+4915100000001"
ANNA = "+491700000101"
PERSON = "+4930123456"
FEE = 95_000
AUDIO = 885_000
LIMITS = Limits(poll_s=0.02)
AGENT: Mapping[str, Any] = {
    "name": "Rezeption",
    "instructions": "Du bist die Rezeption.",
    "greeting": "Hallo, hier ist die digitale Assistentin (KI).",
    "language": "de",
}


@dataclass
class Carrier:
    """Twilio's REST interface: takes down what it is asked for, and says yes unless told otherwise."""

    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    refuses_with: int | None = None
    sound: bytes = b"ID3 a recording"
    shown: dict[str, dict[str, object]] = field(default_factory=dict)  # how calls stand that are asked about, by sid

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix(f"/2010-04-01/Accounts/{ACCOUNT}/")
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append((request.method, path, form))
        if self.refuses_with is not None:
            return web.json_response({"code": self.refuses_with, "message": "no"}, status=400)
        if request.method == "DELETE":
            return web.Response(status=204)
        if path.endswith(".mp3"):
            return web.Response(body=self.sound, content_type="audio/mpeg")
        if request.method == "GET":
            sid = path.removeprefix("Calls/").removesuffix(".json")
            return web.json_response(self.shown.get(sid, {"sid": sid, "status": "in-progress", "duration": None}))
        return web.json_response({"sid": "RE1" if "Recordings" in path else "CA1"}, status=201)

    def forms(self, name: str) -> list[str]:
        """Return the values that a field had in what was asked."""
        return [form[name] for _, _, form in self.asked if name in form]


@dataclass
class Telephone:
    """Acme has a line with a telephone; whoever calls is Anna, by way of Twilio."""

    services: Services
    voice: Voice
    clock: Clock
    cast: Cast
    carrier: Carrier
    http: TestClient[web.Request, web.Application]
    stopping: list[bool]

    async def post(
        self, path: str, *, token: str = TOKEN, public: str = PUBLIC, account: str = ACCOUNT, **fields: str
    ) -> aiohttp.ClientResponse:
        form = [("AccountSid", account), *fields.items()]
        headers = {HEADER: signature(public + path, form, token)}
        return await self.http.post(path, data=dict(form), headers=headers)

    async def tell(self, path: str, **fields: str) -> str:
        """Post a signed form of a call that goes on; return the document, or nothing."""
        given = {"CallSid": "CA1", "From": ANNA, "To": NUMBER, **fields}
        response = await self.post(path, **given)
        assert response.status in (200, 204), await response.text()
        return await response.text()

    async def ring(self, call_sid: str = "CA1", *, caller: str = ANNA, to: str = NUMBER) -> ET.Element:
        """Let a call ring; return the document that Twilio is answered."""
        response = await self.post(
            "/webhooks/twilio/voice",
            CallSid=call_sid,
            From=caller,
            To=to,
            Direction="inbound",
            CallStatus="ringing",
        )
        assert response.status == 200, await response.text()
        assert response.content_type == "text/xml"
        return ET.fromstring(await response.text())  # noqa: S314 - our own words

    async def told(self, status: str = "completed", call_sid: str = "CA1", **fields: str) -> None:
        """Let Twilio tell how a call ended."""
        await self.tell("/webhooks/twilio/voice/status", CallSid=call_sid, CallStatus=status, **fields)

    async def rows(self, query: str, *arguments: object, tenant_id: UUID | None = None) -> list[dict[str, Any]]:
        async with self.services.db.transaction(tenant_id or self.cast.acme) as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]

    async def call(self) -> dict[str, Any]:
        [row] = await self.rows("SELECT * FROM call")
        return row

    async def wallet(self) -> tuple[int, int]:
        """Return what Acme owns and what of it is held, in millicredits."""
        [row] = await self.rows("SELECT balance_millicredits AS balance, held_millicredits AS held FROM wallet")
        return row["balance"], row["held"]

    async def charges(self) -> list[str]:
        """Return the keys of what was charged, without the call's name."""
        rows = await self.rows("SELECT key FROM ledger_entry WHERE kind = 'charge' ORDER BY sequence")
        return [row["key"].split(":", 2)[2] for row in rows]

    async def set_balance(self, millicredits: int) -> None:
        """Leave Acme only so much, as a charge would."""
        await self.rows("UPDATE wallet SET balance_millicredits = $1", millicredits)

    async def change_agent(self, **changes: Any) -> None:  # noqa: ANN401 - a configuration's keys
        acme = self.cast.acme
        async with self.services.db.transaction(acme) as connection:
            row = await find_agent(connection, acme, "Rezeption")
            assert row is not None
            await publish(connection, acme, row.agent_id, parse_agent({**AGENT, **changes}), now=self.clock.now())

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Wait for something that happens beside; for how long says nothing about it."""
        async with asyncio.timeout(20):
            while not await condition():  # noqa: ASYNC110 - PostgreSQL calls nobody
                await asyncio.sleep(0.01)

    async def audit(self) -> None:
        async with self.services.db.transaction(self.cast.acme) as connection:
            assert await audit(connection, self.cast.acme, self.services.rate_cards) == ()


@contextlib.asynccontextmanager
async def opened_telephone(
    db: Database,
    clock: Clock,
    new_id: Callable[[], UUID],
    cast: Cast,
    folder: Path,
    *,
    engines: Mapping[str, VoiceEngine],
    limits: Limits = LIMITS,
) -> AsyncIterator[Telephone]:
    carrier, stopping = Carrier(), [False]
    twilio = web.Application()
    twilio.router.add_route("*", "/{path:.*}", carrier.handle)
    async with TestServer(twilio) as rest, aiohttp.ClientSession() as http:
        settings = load_settings(
            {
                "TURNMETER_DATA_DIR": str(folder),
                "TURNMETER_PUBLIC_URL": PUBLIC,
                "TWILIO_ACCOUNT_SID": ACCOUNT,
                "TWILIO_AUTH_TOKEN": TOKEN,
                "TWILIO_API_URL": str(rest.make_url("/")),
                "OPENAI_BASE_URL": NOBODY,
            }
        )
        model = OpenAIModel("", NOBODY)
        services = build_services(settings, db=db, http=http, model=model, now=clock.now, new_id=new_id, limits=limits)
        await line(services, cast.acme)
        voice = build_voice(services, engines)
        app = web.Application()
        app.add_routes(routes(services, voice, stopping=lambda: stopping[0]))
        try:
            async with TestClient(TestServer(app)) as client:
                yield Telephone(services, voice, clock, cast, carrier, client, stopping)
        finally:
            await voice.close()
            await services.ledger.close()
            await model.close()


async def line(services: Services, tenant_id: UUID, number: str = NUMBER) -> UUID:
    """Give a tenant a line with a telephone."""
    agent_id, line_id, now = services.new_id(), services.new_id(), services.now()
    async with services.db.transaction(tenant_id) as connection:
        await create_agent(connection, tenant_id, agent_id=agent_id, name="Rezeption", now=now)
        await publish(connection, tenant_id, agent_id, parse_agent(AGENT), now=now)
        await connection.execute(
            """INSERT INTO line (tenant_id, line_id, number, kind, channels, agent_id, provisioned_on, created_at)
               VALUES ($1, $2, $3, 'mobile', '{voice}', $4, $5, $6)""",
            tenant_id,
            line_id,
            number,
            agent_id,
            now.date(),
            now,
        )
        await connection.execute("INSERT INTO line_directory VALUES ('number', $1, $2, $3)", number, tenant_id, line_id)
    return line_id
