"""Meta's webhook before a real inbox: signed bodies go in over HTTP, rows are looked at afterwards."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from agents.agent import parse_agent
from agents.store import create_agent, publish
from gateway.channels.whatsapp.routes import PATH, routes
from gateway.channels.whatsapp.signature import HEADER, sign
from gateway.db import Database
from gateway.inbox import accepting
from gateway.services import Services
from metering.operations import Charge, ReceiptDraft
from metering.rates import Item, Line
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.wiring import wired

SECRET = "mailroom secret"
ANNA = "491700000101"
EMRE = "491700000102"
OF_ACME = "1000001"
OF_MALLORY = "1000002"
COST = Line(Item.CHAT_OUTPUT, 10, 200)
AGENT = {
    "name": "Rezeption",
    "instructions": "Du bist die Rezeption.",
    "greeting": "Hallo, hier ist die digitale Assistentin (KI).",
    "language": "de",
    "handover_keywords": ["Mensch"],
    "handover_text": "Ein Mensch meldet sich gleich.",
}

WebhookItem = dict[str, Any]


@dataclass
class Mailroom:
    """Acme and Mallory each have a line; whoever posts is Meta."""

    services: Services
    clock: Clock
    http: TestClient[web.Request, web.Application]
    cast: Cast
    line_ids: dict[UUID, UUID]

    async def post(self, body: bytes) -> int:
        response = await self.http.post(PATH, data=body, headers={HEADER: sign(body, SECRET)})
        return response.status

    async def receive(
        self, *items: WebhookItem, kind: str = "messages", line: str = OF_ACME, wa_id: str = ANNA
    ) -> None:
        assert await self.post(body(change(*items, kind=kind, line=line, wa_id=wa_id))) == 200

    async def rows(self, query: str, *arguments: object, tenant_id: UUID | None = None) -> list[dict[str, Any]]:
        async with self.services.db.transaction(tenant_id or self.cast.acme) as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]

    async def row(self, query: str, *arguments: object) -> dict[str, Any]:
        [row] = await self.rows(query, *arguments)
        return row

    async def quarantine(self) -> list[dict[str, Any]]:
        async with self.services.db.queue() as connection:
            rows = await connection.fetch("SELECT reason, detail, body FROM quarantine ORDER BY quarantine_id")
        return [dict(row) for row in rows]

    def text(self, number: int, words: str = "Hallo", *, wa_id: str = ANNA, at: datetime | None = None) -> WebhookItem:
        return self.message(number, "text", wa_id=wa_id, at=at, text={"body": words})

    def message(
        self, number: int, word: str, *, wa_id: str = ANNA, at: datetime | None = None, **content: object
    ) -> WebhookItem:
        return {"from": wa_id, "id": f"wamid.IN{number}", "timestamp": self.stamp(at), "type": word, **content}

    def status(
        self, word: str, *, provider_id: str = "wamid.OUT1", at: datetime | None = None, **more: object
    ) -> WebhookItem:
        return {"id": provider_id, "status": word, "timestamp": self.stamp(at), "recipient_id": ANNA, **more}

    def stamp(self, at: datetime | None = None) -> str:
        return str(int((at or self.clock.now()).timestamp()))

    async def sent(self, position: int = 1, *, state: str = "sent", turn_id: UUID | None = None) -> UUID:
        """Put a charged message of ours into Anna's conversation, as if it had just gone out."""
        message_id = self.services.new_id()
        conversation = await self.row("SELECT conversation_id, contact_id, line_id FROM conversation")
        key = f"turn:{message_id}"
        await self.services.ledger.submit(self.cast.acme, Charge(key=key, receipt=self._receipt()))
        line = {"item": str(COST.item), "quantity": COST.quantity, "unit_millicredits": COST.unit_millicredits}
        async with self.services.db.transaction(self.cast.acme) as connection:
            await connection.execute(
                """INSERT INTO message (tenant_id, message_id, conversation_id, line_id, contact_id, direction, author,
                                        kind, text, provider_id, state, created_at, turn_id)
                   VALUES ($1, $2, $3, $4, $5, 'out', 'agent', 'text', 'Gern!', $6, $7, $8, $9)""",
                self.cast.acme,
                message_id,
                conversation["conversation_id"],
                conversation["line_id"],
                conversation["contact_id"],
                f"wamid.OUT{position}" if state == "sent" else None,
                state,
                self.clock.now(),
                turn_id,
            )
            await connection.execute(
                """INSERT INTO outbox (tenant_id, message_id, conversation_id, line_id, position, charge_key,
                                       refund_lines, state, due_at, trace_id, turn_id)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 't', $10)""",
                self.cast.acme,
                message_id,
                conversation["conversation_id"],
                conversation["line_id"],
                position,
                key,
                [line],
                "sent" if state == "sent" else "pending",
                self.clock.now(),
                turn_id,
            )
        return message_id

    async def balance(self) -> int:
        row = await self.row("SELECT balance_millicredits AS balance FROM wallet")
        return int(row["balance"])

    async def message_row(self, message_id: UUID) -> dict[str, Any]:
        return await self.row("SELECT * FROM message WHERE message_id = $1", message_id)

    def _receipt(self) -> ReceiptDraft:
        return ReceiptDraft(
            receipt_id=self.services.new_id(),
            subject="turn",
            rate_card=self.services.rate_cards.on(self.clock.now().date()).version,
            lines=(COST,),
            day=self.clock.now().date(),
            channel="whatsapp",
        )


def change(*items: WebhookItem, kind: str = "messages", line: str = OF_ACME, wa_id: str = ANNA) -> WebhookItem:
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "49151", "phone_number_id": line},
        "contacts": [{"profile": {"name": "Anna"}, "wa_id": wa_id}],
        kind: list(items),
    }
    return {"field": "messages", "value": value}


def body(*changes: WebhookItem) -> bytes:
    entries: Sequence[WebhookItem] = [{"id": "2000001", "changes": [one]} for one in changes]
    return orjson.dumps({"object": "whatsapp_business_account", "entry": entries})


@contextlib.asynccontextmanager
async def opened(
    db: Database, clock: Clock, new_id: Callable[[], UUID], cast: Cast, folder: Path
) -> AsyncIterator[Mailroom]:
    async with wired(db, clock, new_id, folder) as services:
        line_ids = {
            cast.acme: await _line(services, cast.acme, OF_ACME),
            cast.mallory: await _line(services, cast.mallory, OF_MALLORY),
        }
        app = web.Application()
        app.add_routes(
            routes(
                accept=accepting(services), app_secret=SECRET, verify_token=None, body_max=services.limits.webhook_bytes
            )
        )
        async with TestClient(TestServer(app)) as http:
            yield Mailroom(services=services, clock=clock, http=http, cast=cast, line_ids=line_ids)


async def _line(services: Services, tenant_id: UUID, phone_number_id: str) -> UUID:
    agent_id, line_id, now = services.new_id(), services.new_id(), services.now()
    async with services.db.transaction(tenant_id) as connection:
        await create_agent(connection, tenant_id, agent_id=agent_id, name="Rezeption", now=now)
        await publish(connection, tenant_id, agent_id, parse_agent(AGENT), now=now)
        await connection.execute(
            """INSERT INTO line (tenant_id, line_id, number, kind, channels, agent_id, whatsapp_provider,
                                 whatsapp_phone_number_id, provisioned_on, created_at)
               VALUES ($1, $2, $3, 'mobile', '{whatsapp}', $4, 'meta', $5, $6, $7)""",
            tenant_id,
            line_id,
            f"+49151{phone_number_id}",
            agent_id,
            phone_number_id,
            now.date(),
            now,
        )
        await connection.execute(
            "INSERT INTO line_directory VALUES ('whatsapp_phone_number_id', $1, $2, $3)",
            phone_number_id,
            tenant_id,
            line_id,
        )
    return line_id
