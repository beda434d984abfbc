"""The API over real HTTP, asked with the keys of three tenants and with none."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp.test_utils import TestClient, TestServer

from agents import store
from agents.agent import parse_agent
from gateway.api.routes import routes
from gateway.channels.base import Address, Inbound, LineAddress, LineEvent, Sender
from gateway.db import Database
from gateway.identity import create_api_key
from gateway.inbox import accept
from gateway.services import Services
from gateway.web import application
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.wiring import wired

API = "/api/v1"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    content: Any

    @property
    def code(self) -> str:
        """The stable code of a refusal."""
        assert self.headers["Content-Type"].startswith("application/problem+json"), self
        return str(self.content["code"])

    @property
    def fields(self) -> list[str]:
        """The fields that a refusal complains of."""
        return [error["field"] for error in self.content["errors"]]


@dataclass(frozen=True)
class Caller:
    """Somebody with a key, or without one."""

    client: "TestClient[Any, Any]"
    token: str | None

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, object] | None = None,
    ) -> Answer:
        """Send a body of bytes as it is, any other as JSON."""
        key = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        content = {} if body is None else {"data": body} if isinstance(body, bytes) else {"json": body}
        async with self.client.request(
            method,
            path if path.startswith("/api") else API + path,
            params={name: str(value) for name, value in (query or {}).items()},
            headers={**key, **(headers or {})},
            **content,
        ) as response:
            told = await response.json(content_type=None) if response.status != 204 else None
            return Answer(response.status, response.headers, told)

    async def get(self, path: str, **query: object) -> Any:  # noqa: ANN401 - JSON
        answer = await self.ask("GET", path, query={name.rstrip("_"): value for name, value in query.items()})
        assert answer.status == 200, answer
        return answer.content

    async def post(self, path: str, body: object = None, **headers: str) -> Answer:
        return await self.ask("POST", path, body, headers={name.replace("_", "-"): v for name, v in headers.items()})

    async def walk(self, path: str, **query: object) -> list[Any]:
        """Every item of a list, page by page."""
        items: list[Any] = []
        page = await self.get(path, **query)
        items += page["items"]
        while page["next_cursor"] is not None:
            page = await self.get(path, cursor=page["next_cursor"], **query)
            assert page["items"], "a next cursor leads to a page with something on it"
            items += page["items"]
        return items


@dataclass(frozen=True)
class Salon:
    """A tenant's agent, its line and how customers reach it."""

    services: Services
    tenant_id: UUID
    agent_id: UUID
    line_id: UUID
    phone_number_id: str

    async def receive(self, text: str, *, customer: str = "+4915112345678", provider_id: str | None = None) -> UUID:
        """Let a customer write; return the conversation."""
        address = Address(kind="phone", value=customer)
        event = Inbound(
            provider_id=provider_id or f"wamid.{self.services.new_id().hex}",
            sender=Sender(addresses=(address,), reply_to=address, name="Anna"),
            kind="text",
            text=text,
            provider_at=self.services.now(),
        )
        line = LineAddress(kind="whatsapp_phone_number_id", value=self.phone_number_id)
        await accept(self.services, "meta", [LineEvent(line=line, event=event)], [], b"{}")
        async with self.services.db.transaction(self.tenant_id) as connection:
            conversation_id: UUID = await connection.fetchval(
                """SELECT conversation_id FROM conversation WHERE reply_address = $1
                   ORDER BY last_message_at DESC LIMIT 1""",
                customer,
            )
        return conversation_id

    async def sql(self, statement: str, *arguments: object) -> list[Any]:
        async with self.services.db.transaction(self.tenant_id) as connection:
            return list(await connection.fetch(statement, *arguments))


def an_agent(name: str = "Rezeption", **changes: object) -> dict[str, object]:
    return {"name": name, "instructions": "Beantworte Fragen zum Salon.", **changes}


async def open_salon(services: Services, tenant_id: UUID, number: int) -> Salon:
    salon = Salon(services, tenant_id, services.new_id(), services.new_id(), str(1_000_000 + number))
    async with services.db.transaction(tenant_id) as connection:
        await store.create_agent(connection, tenant_id, agent_id=salon.agent_id, name="Rezeption", now=services.now())
        await store.publish(connection, tenant_id, salon.agent_id, parse_agent(an_agent()), now=services.now())
        await connection.execute(
            """INSERT INTO line (tenant_id, line_id, number, kind, channels, agent_id, whatsapp_provider,
                 whatsapp_phone_number_id, whatsapp_access_token_encrypted, provisioned_on, created_at)
               VALUES ($1, $2, $3, 'mobile', '{whatsapp,sms}', $4, 'meta', $5, 'sealed', $6, $7)""",
            tenant_id,
            salon.line_id,
            f"+49151{number:08d}",
            salon.agent_id,
            salon.phone_number_id,
            date(2026, 11, 1),
            services.now(),
        )
        await connection.execute(
            "INSERT INTO line_directory VALUES ('whatsapp_phone_number_id', $1, $2, $3)",
            salon.phone_number_id,
            tenant_id,
            salon.line_id,
        )
    return salon


@pytest.fixture
async def services(db: Database, clock: Clock, new_id: Callable[[], UUID], tmp_path: Path) -> AsyncIterator[Services]:
    async with wired(db, clock, new_id, tmp_path) as services:
        yield services


@pytest.fixture
async def client(services: Services) -> AsyncIterator["TestClient[Any, Any]"]:
    app = application(routes(services), body_bytes_max=64 * 1024, https=False, stopping=lambda: False)
    async with TestClient(TestServer(app)) as client:
        yield client


async def _caller(services: Services, client: "TestClient[Any, Any]", tenant_id: UUID) -> Caller:
    async with services.db.directory() as connection:
        key = await create_api_key(
            connection, tenant_id, api_key_id=services.new_id(), label="test", now=services.now()
        )
    return Caller(client, key.token)


@pytest.fixture
async def acme(services: Services, client: "TestClient[Any, Any]", cast: Cast) -> Caller:
    return await _caller(services, client, cast.acme)


@pytest.fixture
async def broke(services: Services, client: "TestClient[Any, Any]", cast: Cast) -> Caller:
    return await _caller(services, client, cast.broke)


@pytest.fixture
async def mallory(services: Services, client: "TestClient[Any, Any]", cast: Cast) -> Caller:
    return await _caller(services, client, cast.mallory)


@pytest.fixture
def nobody(client: "TestClient[Any, Any]") -> Caller:
    return Caller(client, None)


@pytest.fixture
async def salon(services: Services, cast: Cast) -> Salon:
    return await open_salon(services, cast.acme, 1)


@pytest.fixture
async def broke_salon(services: Services, cast: Cast) -> Salon:
    return await open_salon(services, cast.broke, 2)
