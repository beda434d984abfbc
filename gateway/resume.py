"""What a paused tenant missed: unanswered conversations become due again when credits come, newest first."""

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
