"""A salon to book in: Tuesday to Friday with a lunch break, Saturday mornings, closed on a few days."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from agents.agent import AgentConfiguration, parse_agent
from agents.connection import Connection
from agents.errors import ToolFailedError
from agents.store import create_agent
from agents.tools.base import ToolContext
from agents.tools.registry import tools_for
from gateway.db import Database
from tests.conftest import Clock

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)  # a Tuesday, 11:00 in Berlin
LINDENHOF: Mapping[str, object] = {
    "name": "Rezeption",
    "instructions": "Du bist die Rezeption.",
    "tools": ["appointments", "opening_hours", "handover"],
    "hours": {
        "tuesday": ["09:00-13:00", "14:00-18:00"],
        "wednesday": ["09:00-13:00", "14:00-18:00"],
        "thursday": ["09:00-13:00", "14:00-20:00"],
        "friday": ["09:00-13:00", "14:00-18:00"],
        "saturday": ["09:00-13:00"],
    },
    "closed_days": [{"date": "2026-12-11", "label": "Betriebsausflug"}],
    "holidays": "BE",
    "service": [
        {"name": "Haarschnitt", "minutes": 45, "buffer_minutes": 15},
        {"name": "Dauerwelle", "minutes": 120},
    ],
    "booking": {"lead_minutes": 60, "horizon_days": 60, "grid_minutes": 15, "open_per_contact": 3},
}


def lindenhof(**changes: object) -> AgentConfiguration:
    return parse_agent({**LINDENHOF, **changes})


def at(text: str) -> datetime:
    """A moment on the wall clock of Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


@dataclass
class Salon:
    """An agent with its calendar in the database, asked for one customer or another."""

    db: Database
    clock: Clock
    new_id: Callable[[], UUID]
    agent: AgentConfiguration
    tenant_id: UUID
    agent_id: UUID

    def context(self, customer: UUID, connection: Connection | None = None) -> ToolContext:
        @contextlib.asynccontextmanager
        async def given() -> AsyncIterator[Connection]:
            assert connection is not None
            yield connection

        return ToolContext(
            tenant_id=self.tenant_id,
            agent_id=self.agent_id,
            contact_id=customer,
            conversation_id=UUID(int=5),
            turn_id=UUID(int=6),
            attempt=1,
            language=self.agent.language,
            timezone=self.agent.zone,
            now=self.clock.now,
            new_id=self.new_id,
            transaction=given,
            on_write=lambda: None,
        )

    async def ask(self, customer: UUID, tool_name: str, **arguments: object) -> dict[str, Any]:
        """Call a tool in a transaction of its own. Raises ToolFailedError."""
        async with self.db.transaction(self.tenant_id) as connection:
            return await self.ask_in(connection, customer, tool_name, **arguments)

    async def ask_in(
        self, connection: Connection, customer: UUID, tool_name: str, **arguments: object
    ) -> dict[str, Any]:
        tool = next(tool for tool in tools_for(self.agent) if tool.definition.name == tool_name)
        text = await tool.call(self.context(customer, connection), arguments, connection)
        assert len(text.encode()) <= 1500
        told: dict[str, Any] = json.loads(text)
        return told

    async def refusal(self, customer: UUID, tool_name: str, **arguments: object) -> str:
        """Return why a call is refused."""
        with pytest.raises(ToolFailedError) as refused:
            await self.ask(customer, tool_name, **arguments)
        return str(refused.value)

    async def book(self, customer: UUID, start: str, service: str = "Haarschnitt") -> dict[str, Any]:
        told: dict[str, Any] = (await self.ask(customer, "book_appointment", service=service, start=start))["booked"]
        return told

    async def starts(self, customer: UUID, **arguments: object) -> list[str]:
        found = await self.ask(customer, "free_appointments", **{"service": "Haarschnitt", **arguments})
        return [str(free["start"])[:16] for free in found["free"]]

    async def rows(self) -> list[dict[str, Any]]:
        async with self.db.transaction(self.tenant_id) as connection:
            found = await connection.fetch("SELECT * FROM appointment ORDER BY during, created_at")
        return [dict(row) for row in found]


async def open_salon(
    db: Database, clock: Clock, new_id: Callable[[], UUID], agent: AgentConfiguration | None = None
) -> Salon:
    tenant_id, agent_id = new_id(), new_id()
    async with db.transaction(tenant_id) as connection:
        await create_agent(connection, tenant_id, agent_id=agent_id, name="Rezeption", now=clock.now())
    return Salon(db, clock, new_id, agent or lindenhof(), tenant_id, agent_id)
