"""What a paused tenant or a suspended line missed: unanswered conversations become due again, newest first."""

from datetime import datetime
from uuid import UUID

from metering.connection import Connection


async def wake_waiting(connection: Connection, tenant_id: UUID, now: datetime) -> None:
    """Make every conversation that waits for credits due, in the transaction that brings them.

    The turn itself decides whether the service window is still open. A microsecond apart, so that the newest
    is answered first.
    """
    await connection.execute(
        """UPDATE conversation c SET waiting_for = NULL,
             due_at = $2::timestamptz + place.rank * interval '1 microsecond'
           FROM (SELECT conversation_id, row_number() OVER (ORDER BY last_message_at DESC) AS rank
                 FROM conversation
                 WHERE tenant_id = $1 AND waiting_for IN ('credits', 'unpaid') AND mode = 'agent') place
           WHERE c.tenant_id = $1 AND c.conversation_id = place.conversation_id""",
        tenant_id,
        now,
    )


async def wake_line(connection: Connection, tenant_id: UUID, line_id: UUID, now: datetime) -> None:
    """Make every conversation due that was written to while its line was out of service."""
    await connection.execute(
        """UPDATE conversation c SET due_at = $3::timestamptz + place.rank * interval '1 microsecond'
           FROM (SELECT conversation_id, row_number() OVER (ORDER BY last_message_at DESC) AS rank
                 FROM conversation waiting
                 WHERE tenant_id = $1 AND line_id = $2 AND mode = 'agent' AND due_at IS NULL AND waiting_for IS NULL
                   AND EXISTS (SELECT FROM message m
                               WHERE m.tenant_id = $1 AND m.conversation_id = waiting.conversation_id
                                 AND m.direction = 'in' AND m.state = 'received' AND m.turn_id IS NULL)) place
           WHERE c.tenant_id = $1 AND c.conversation_id = place.conversation_id""",
        tenant_id,
        line_id,
        now,
    )
