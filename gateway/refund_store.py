"""What is left of a sent message's cost to be given back: taken, or corrected, under the wallet's lock."""

from collections.abc import Sequence
from uuid import UUID

from gateway.report_store import read_lines
from gateway.turn_quote import stored_lines
from metering.connection import Connection
from metering.rates import Line


async def take_refund(connection: Connection, tenant_id: UUID, message_id: UUID) -> tuple[Line, ...]:
    """Return what is left to be given back of a message, and leave nothing."""
    stored = await connection.fetchval(
        """UPDATE outbox o SET refund_lines = '[]'
           FROM (SELECT refund_lines FROM outbox WHERE tenant_id = $1 AND message_id = $2 FOR NO KEY UPDATE) AS before
           WHERE o.tenant_id = $1 AND o.message_id = $2 RETURNING before.refund_lines""",
        tenant_id,
        message_id,
    )
    return read_lines(stored or ())


async def was_refunded(connection: Connection, tenant_id: UUID, key: str) -> bool:
    """Return whether a refund was made under this key."""
    known: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM charge_key WHERE tenant_id = $1 AND key = $2)", tenant_id, key
    )
    return known


async def correct_part(
    connection: Connection, tenant_id: UUID, message_id: UUID, *, segments: int, refund_lines: Sequence[Line]
) -> None:
    """Note how many segments a message had after all, and what is left to be refunded of it."""
    await connection.execute(
        "UPDATE outbox SET refund_lines = $3 WHERE tenant_id = $1 AND message_id = $2",
        tenant_id,
        message_id,
        stored_lines(refund_lines),
    )
    await connection.execute(
        "UPDATE message SET segments = $3 WHERE tenant_id = $1 AND message_id = $2", tenant_id, message_id, segments
    )


async def note_provider_segments(connection: Connection, tenant_id: UUID, message_id: UUID, segments: int) -> bool:
    """Note how many segments the provider bills beyond ours; return whether that is new."""
    row = await connection.fetchrow(
        """UPDATE message SET content = content || jsonb_build_object('provider_segments', $3::int)
           WHERE tenant_id = $1 AND message_id = $2 AND NOT content ? 'provider_segments' RETURNING message_id""",
        tenant_id,
        message_id,
        segments,
    )
    return row is not None
