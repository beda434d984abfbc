"""The statements behind delivery reports. Locks: service window, then outbox, then message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.channels.base import DeliveryReport
from gateway.parcel import RawBody
from gateway.safe_text import safe_json
from metering.connection import Connection
from metering.rates import Item, Line


@dataclass(frozen=True, slots=True, kw_only=True)
class SentPart:
    """A message of ours, and what a refund of it needs.

    `refund_lines` is what is left of its cost to be given back, empty if it was free.
    """

    message_id: UUID
    conversation_id: UUID
    turn_id: UUID | None
    line_id: UUID
    contact_id: UUID
    channel: str
    timezone: str
    state: str
    created_at: datetime
    provider_id: str | None
    outbox_state: str | None
    position: int | None
    charge_key: str | None
    refund_lines: tuple[Line, ...]

    @property
    def was_charged(self) -> bool:
        return self.charge_key is not None and any(line.amount_millicredits for line in self.refund_lines)


async def record(
    connection: Connection,
    tenant_id: UUID,
    line_id: UUID,
    report: DeliveryReport,
    *,
    raw: RawBody | None,
    now: datetime,
) -> tuple[bool, UUID | None]:
    """Store a report once, and the body it came in with it; a repeated one is not kept again.

    Returns whether it is new, and the message it is about, if that is known.
    """
    row = await connection.fetchrow(
        """WITH recorded AS (
             INSERT INTO delivery_report
               (tenant_id, line_id, provider_id, status, message_id, provider_at, pricing, errors, received_at)
             VALUES ($1, $2, $3, $4, (
               SELECT message_id FROM message
               WHERE tenant_id = $1 AND message_id = $5 AND line_id = $2 AND direction = 'out'
               UNION ALL
               SELECT message_id FROM message
               WHERE tenant_id = $1 AND line_id = $2 AND provider_id = $3 AND direction = 'out'
               LIMIT 1), $6, $7, $8, $9)
             ON CONFLICT (tenant_id, line_id, provider_id, status) DO NOTHING RETURNING message_id),
           kept AS (
             INSERT INTO webhook (tenant_id, webhook_id, provider, body, received_at)
             SELECT $1, $10, $11, $12, $9 FROM recorded WHERE $10::uuid IS NOT NULL
             ON CONFLICT (tenant_id, webhook_id) DO NOTHING)
           SELECT message_id FROM recorded""",
        tenant_id,
        line_id,
        report.provider_id,
        report.provider_status,
        report.our_message_id,
        report.provider_at,
        safe_json(report.pricing) if report.pricing is not None else None,
        [safe_json(error) for error in report.errors] or None,
        now,
        raw.webhook_id if raw else None,
        raw.provider if raw else None,
        raw.content if raw else None,
    )
    return (False, None) if row is None else (True, row["message_id"])


async def is_recorded(connection: Connection, tenant_id: UUID, line_id: UUID, report: DeliveryReport) -> bool:
    known: bool = await connection.fetchval(
        """SELECT EXISTS (SELECT FROM delivery_report
           WHERE tenant_id = $1 AND line_id = $2 AND provider_id = $3 AND status = $4)""",
        tenant_id,
        line_id,
        report.provider_id,
        report.provider_status,
    )
    return known


async def find_part(connection: Connection, tenant_id: UUID, line_id: UUID, report: DeliveryReport) -> SentPart | None:
    """Return the message a report is about, by the id that travelled with it or by the provider's."""
    row = await connection.fetchrow(
        f"""{_PART} WHERE m.tenant_id = $1 AND m.direction = 'out' AND m.line_id = $2
              AND (m.message_id = $3 OR m.provider_id = $4)
            ORDER BY m.message_id = $3 DESC NULLS LAST LIMIT 1""",
        tenant_id,
        line_id,
        report.our_message_id,
        report.provider_id,
    )
    return _part(dict(row)) if row else None


async def read_part(connection: Connection, tenant_id: UUID, message_id: UUID) -> SentPart | None:
    row = await connection.fetchrow(f"{_PART} WHERE m.tenant_id = $1 AND m.message_id = $2", tenant_id, message_id)
    return _part(dict(row)) if row else None


async def unsent_later_parts(connection: Connection, tenant_id: UUID, part: SentPart) -> list[SentPart]:
    """Return the parts of the same answer that wait behind this one."""
    rows = await connection.fetch(
        f"""{_PART} WHERE m.tenant_id = $1 AND m.turn_id = $2 AND o.position > $3 AND o.state = 'pending'
            ORDER BY o.position""",
        tenant_id,
        part.turn_id,
        part.position,
    )
    return [_part(dict(row)) for row in rows]


async def lock_part(connection: Connection, tenant_id: UUID, message_id: UUID) -> SentPart | None:
    """Lock a message and its outbox row and read them afresh."""
    await connection.execute(
        "SELECT FROM outbox WHERE tenant_id = $1 AND message_id = $2 FOR NO KEY UPDATE", tenant_id, message_id
    )
    await connection.execute(
        "SELECT FROM message WHERE tenant_id = $1 AND message_id = $2 FOR NO KEY UPDATE", tenant_id, message_id
    )
    return await read_part(connection, tenant_id, message_id)


async def lock_window(connection: Connection, tenant_id: UUID, part: SentPart) -> None:
    """Lock the window before the outbox, as everybody does."""
    await connection.execute(
        """SELECT FROM service_window
           WHERE tenant_id = $1 AND line_id = $2 AND contact_id = $3 AND channel = $4 FOR NO KEY UPDATE""",
        tenant_id,
        part.line_id,
        part.contact_id,
        part.channel,
    )


async def move_forward(
    connection: Connection, tenant_id: UUID, message_id: UUID, *, status: str, provider_id: str, at: datetime
) -> UUID | None:
    """Move a message's state forward, never back; `failed` and `refunded` are final. Read implies delivered.

    A report that a message left is believed, whatever we thought. Returns its conversation if we thought otherwise.
    """
    conversation_id: UUID | None = await connection.fetchval(
        """WITH left_after_all AS (
             UPDATE outbox SET state = 'sent', lease_until = NULL
             WHERE tenant_id = $1 AND message_id = $2 AND state IN ('pending', 'sending', 'unknown')
             RETURNING conversation_id),
           moved AS (
             UPDATE message m SET
               state = CASE WHEN array_position(ARRAY['queued', 'sent', 'delivered', 'read'], $3)
                               > array_position(ARRAY['queued', 'sent', 'delivered', 'read'], state)
                            THEN $3 ELSE state END,
               delivered_at = CASE WHEN $3 IN ('delivered', 'read') THEN least(delivered_at, $5) ELSE delivered_at END,
               read_at = CASE WHEN $3 = 'read' THEN least(read_at, $5) ELSE read_at END,
               provider_id = CASE
                 WHEN provider_id IS NULL AND NOT EXISTS (
                   SELECT FROM message other
                   WHERE other.tenant_id = $1 AND other.line_id = m.line_id AND other.provider_id = $4)
                 THEN $4 ELSE provider_id END
             WHERE tenant_id = $1 AND message_id = $2)
           SELECT conversation_id FROM left_after_all""",
        tenant_id,
        message_id,
        status,
        provider_id,
        at,
    )
    return conversation_id


async def fail_part(connection: Connection, tenant_id: UUID, message_id: UUID, *, refunded: bool, failure: str) -> None:
    """End a message that never reached anybody."""
    await connection.execute(
        "UPDATE outbox SET state = 'failed', lease_until = NULL WHERE tenant_id = $1 AND message_id = $2",
        tenant_id,
        message_id,
    )
    await connection.execute(
        "UPDATE message SET state = $3, failure = $4 WHERE tenant_id = $1 AND message_id = $2",
        tenant_id,
        message_id,
        "refunded" if refunded else "failed",
        failure,
    )


async def end_undelivered(
    connection: Connection, tenant_id: UUID, message_id: UUID, *, provider_id: str, failure: str
) -> None:
    """End a message that left and did not arrive: it stays charged."""
    await connection.execute(
        "UPDATE outbox SET state = 'sent', lease_until = NULL WHERE tenant_id = $1 AND message_id = $2",
        tenant_id,
        message_id,
    )
    await connection.execute(
        """UPDATE message SET state = 'failed', failure = $3, provider_id = coalesce(provider_id, $4)
           WHERE tenant_id = $1 AND message_id = $2""",
        tenant_id,
        message_id,
        failure,
        provider_id,
    )


async def close_window(
    connection: Connection, tenant_id: UUID, part: SentPart, *, reported_at: datetime, now: datetime
) -> None:
    """Note that the provider sees the window closed, unless the customer has written since."""
    await connection.execute(
        """UPDATE service_window SET closed_by_provider_at = $5
           WHERE tenant_id = $1 AND line_id = $2 AND contact_id = $3 AND channel = $6
             AND (last_customer_message_at IS NULL OR last_customer_message_at <= $4)""",
        tenant_id,
        part.line_id,
        part.contact_id,
        reported_at,
        now,
        part.channel,
    )


def _part(row: dict[str, Any]) -> SentPart:
    return SentPart(**(row | {"refund_lines": read_lines(row["refund_lines"])}))


def read_lines(stored: Sequence[Mapping[str, object]]) -> tuple[Line, ...]:
    """Return receipt lines from how the outbox keeps them: item, quantity, unit_millicredits."""
    return tuple(
        Line(Item(str(line["item"])), int(str(line["quantity"])), int(str(line["unit_millicredits"])))
        for line in stored
    )


_PART = """
SELECT m.message_id, m.conversation_id, m.turn_id, m.line_id, m.contact_id, c.channel, t.timezone, m.state,
       m.created_at, m.provider_id, o.state AS outbox_state, o.position, o.charge_key,
       coalesce(o.refund_lines, '[]') AS refund_lines
FROM message m
JOIN conversation c ON c.tenant_id = m.tenant_id AND c.conversation_id = m.conversation_id
JOIN tenant t ON t.tenant_id = m.tenant_id
LEFT JOIN outbox o ON o.tenant_id = m.tenant_id AND o.message_id = m.message_id
"""
