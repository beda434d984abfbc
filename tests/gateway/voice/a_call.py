"""A call in a salon's rows, as a stream finds it: agent, line, contact, conversation, call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agents.agent import AgentConfiguration, parse_agent
from agents.store import create_agent, publish
from gateway.services import Services
from gateway.voice.call import Call, CallAccount
from tests.cast import Cast

SALON: Mapping[str, object] = {
    "name": "Rezeption",
    "instructions": "Du bist die Rezeption.",
    "greeting": "Guten Tag, hier ist die KI vom Salon.",
    "tools": ["appointments", "opening_hours", "handover"],
    "hours": {"wednesday": ["09:00-18:00"]},
    "service": [{"name": "Haarschnitt", "minutes": 45}],
}


@dataclass
class Salon:
    """Acme's salon, whose telephone is rung at."""

    services: Services
    tenant_id: UUID
    agent_id: UUID
    line_id: UUID
    configuration: AgentConfiguration

    async def rings(self, *, caller: str | None = "+491700000101", state: str = "live") -> Call:
        """Put a call into the rows that the first stream pumps."""
        services, now = self.services, self.services.now()
        call_id, conversation_id, contact_id = (services.new_id() for _ in range(3))
        async with services.db.transaction(self.tenant_id) as connection:
            await connection.execute(
                "INSERT INTO contact (tenant_id, contact_id, name, created_at) VALUES ($1, $2, 'Anna', $3)",
                self.tenant_id,
                contact_id,
                now,
            )
            await connection.execute(
                """INSERT INTO conversation (tenant_id, conversation_id, line_id, contact_id, channel,
                                             reply_address_kind, reply_address, agent_id, agent_version, started_at,
                                             last_message_at)
                   VALUES ($1, $2, $3, $4, 'voice', 'phone', $5, $6, 1, $7, $7)""",
                self.tenant_id,
                conversation_id,
                self.line_id,
                contact_id,
                caller or "",
                self.agent_id,
                now,
            )
            await connection.execute(
                """INSERT INTO call (tenant_id, call_id, conversation_id, line_id, contact_id, agent_id, agent_version,
                                     call_sid, engine, rate_card, state, lease_until, lease_epoch, offered_at,
                                     stream_started_at)
                   VALUES ($1, $2, $3, $4, $5, $6, 1, $7, 'realtime', 'card', $8, $9, 1, $9, $9)""",
                self.tenant_id,
                call_id,
                conversation_id,
                self.line_id,
                contact_id,
                self.agent_id,
                f"CA{call_id.hex}",
                state,
                now,
            )
        account = CallAccount(
            tenant_id=self.tenant_id,
            call_id=call_id,
            conversation_id=conversation_id,
            contact_id=contact_id,
            line_id=self.line_id,
            agent_id=self.agent_id,
            agent_version=1,
            rate_card="card",
            timezone=self.configuration.zone,
            budgets=(),
            epoch=1,
        )
        return Call(
            account=account,
            call_sid=f"CA{call_id.hex}",
            our_number="+4930000001",
            caller=caller,
            configuration=self.configuration.on_channel("voice"),
            contact_name="Anna",
            contact_facts={},
            engine="realtime",
            state="live",
            progress=None,
            offered_at=now,
            stream_started_at=now,
        )

    async def rows(self, query: str, *arguments: object) -> list[dict[str, Any]]:
        async with self.services.db.transaction(self.tenant_id) as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]

    async def row(self, query: str, *arguments: object) -> dict[str, Any]:
        [row] = await self.rows(query, *arguments)
        return row

    async def do(self, query: str, *arguments: object) -> None:
        async with self.services.db.transaction(self.tenant_id) as connection:
            await connection.execute(query, *arguments)

    async def publish(self, **changes: object) -> AgentConfiguration:
        """Publish the agent with changes; calls that come now have them."""
        self.configuration = parse_agent({**SALON, **changes})
        async with self.services.db.transaction(self.tenant_id) as connection:
            await publish(
                connection, self.tenant_id, self.agent_id, self.configuration, now=self.services.now(), note="test"
            )
        return self.configuration


async def open_salon(services: Services, cast: Cast, *, channels: tuple[str, ...] = ("voice",)) -> Salon:
    agent_id, line_id, now = services.new_id(), services.new_id(), services.now()
    salon = Salon(services, cast.acme, agent_id, line_id, parse_agent(SALON))
    async with services.db.transaction(cast.acme) as connection:
        await create_agent(connection, cast.acme, agent_id=agent_id, name="Rezeption", now=now)
        await publish(connection, cast.acme, agent_id, salon.configuration, now=now)
        await connection.execute(
            """INSERT INTO line (tenant_id, line_id, number, kind, channels, agent_id, provisioned_on, created_at)
               VALUES ($1, $2, '+4930000001', 'local', $3, $4, $5, $6)""",
            cast.acme,
            line_id,
            list(channels),
            agent_id,
            now.date(),
            now,
        )
    return salon
