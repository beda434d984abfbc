"""The rows of numbers on order: one process at a time works on one. Nothing here commits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg

from agents.parts import Channel
from gateway.line_kinds import LineKind
from metering.connection import Connection

OrderState = Literal["held", "buying", "done", "failed"]
_COLUMNS = """order_id, line_id, number, kind, country, agent_id, channels, bundle_sid, address_sid, state, attempts,
              claimed_until, failure, created_at"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberOrder:
    """A number on order, or one that was. Whoever works on it knows it by `claimed_until`."""

    order_id: UUID
    line_id: UUID
    number: str
    kind: LineKind
    country: str
    agent_id: UUID
    channels: tuple[Channel, ...]
    bundle_sid: str | None
    address_sid: str | None
    state: OrderState
    attempts: int
    claimed_until: datetime
    failure: str | None
    created_at: datetime

    @property
    def hold_key(self) -> str:
        return f"order:{self.order_id}"

    @property
    def name(self) -> str:
        """What Twilio is told to call the number, so that we find it again."""
        return str(self.order_id)

    @property
    def is_open(self) -> bool:
        return self.state in ("held", "buying")


async def insert_order(connection: Connection, tenant_id: UUID, order: NumberOrder) -> None:
    """Note an order whose first month is held."""
    await connection.execute(
        """INSERT INTO number_order (tenant_id, order_id, line_id, number, kind, country, agent_id, channels,
                                     bundle_sid, address_sid, claimed_until, created_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)""",
        tenant_id,
        order.order_id,
        order.line_id,
        order.number,
        order.kind,
        order.country,
        order.agent_id,
        order.channels,
        order.bundle_sid,
        order.address_sid,
        order.claimed_until,
        order.created_at,
    )


async def read_order(connection: Connection, tenant_id: UUID, order_id: UUID) -> NumberOrder | None:
    rows = await _orders(connection, tenant_id, "order_id = $2", order_id)
    return rows[0] if rows else None


async def lock_open(connection: Connection, tenant_id: UUID, order_id: UUID) -> NumberOrder | None:
    """Lock an order that has not ended; None if it has."""
    where = "order_id = $2 AND state IN ('held', 'buying') FOR NO KEY UPDATE"
    rows = await _orders(connection, tenant_id, where, order_id)
    return rows[0] if rows else None


async def list_open(connection: Connection, tenant_id: UUID) -> list[NumberOrder]:
    """Return the tenant's orders that have not ended, the oldest first."""
    return await _orders(connection, tenant_id, "state IN ('held', 'buying') ORDER BY created_at, order_id")


async def claim(
    connection: Connection, tenant_id: UUID, order_id: UUID, *, now: datetime, until: datetime
) -> NumberOrder | None:
    """Take an open order that nobody is working on; None if somebody is, or it has ended."""
    row = await connection.fetchrow(
        f"""UPDATE number_order SET claimed_until = $4
            WHERE tenant_id = $1 AND order_id = $2 AND state IN ('held', 'buying') AND claimed_until <= $3
            RETURNING {_COLUMNS}""",  # noqa: S608 - a constant
        tenant_id,
        order_id,
        now,
        until,
    )
    return _order(row) if row else None


async def start_attempt(connection: Connection, tenant_id: UUID, order: NumberOrder) -> NumberOrder | None:
    """Note that Twilio is about to be asked, after which the outcome may be unknown; None if the claim is lost."""
    row = await connection.fetchrow(
        f"""UPDATE number_order SET state = 'buying', attempts = attempts + 1
            WHERE tenant_id = $1 AND order_id = $2 AND state IN ('held', 'buying') AND claimed_until = $3
            RETURNING {_COLUMNS}""",  # noqa: S608 - a constant
        tenant_id,
        order.order_id,
        order.claimed_until,
    )
    return _order(row) if row else None


async def let_go(connection: Connection, tenant_id: UUID, order: NumberOrder, *, until: datetime) -> None:
    """Leave an order to whoever takes it up after a moment."""
    await connection.execute(
        """UPDATE number_order SET claimed_until = $4
           WHERE tenant_id = $1 AND order_id = $2 AND claimed_until = $3 AND state IN ('held', 'buying')""",
        tenant_id,
        order.order_id,
        order.claimed_until,
        until,
    )


async def end_order(
    connection: Connection, tenant_id: UUID, order_id: UUID, *, failure: str | None, now: datetime
) -> None:
    """End an order: the line is there, or a failure says why it is not."""
    await connection.execute(
        """UPDATE number_order SET state = CASE WHEN $3::text IS NULL THEN 'done' ELSE 'failed' END, failure = $3,
             ended_at = $4
           WHERE tenant_id = $1 AND order_id = $2 AND state IN ('held', 'buying')""",
        tenant_id,
        order_id,
        failure,
        now,
    )


async def _orders(connection: Connection, tenant_id: UUID, where: str, *arguments: object) -> list[NumberOrder]:
    statement = f"SELECT {_COLUMNS} FROM number_order WHERE tenant_id = $1 AND {where}"  # noqa: S608 - constants
    return [_order(row) for row in await connection.fetch(statement, tenant_id, *arguments)]


def _order(row: asyncpg.Record) -> NumberOrder:
    return NumberOrder(**{**row, "channels": tuple(row["channels"])})
