"""What a paused tenant or a suspended line missed: unanswered conversations become due again, newest first.

Only those that may still be answered: WhatsApp while its window is open, SMS whose newest unanswered message is younger
than a day. The others stay as they are until the customer writes again.
"""

from datetime import datetime
from uuid import UUID

from metering.connection import Connection

# $1 is the tenant, $2 now. The turn itself looks at the window again, and more closely: margins differ by provider.
_MAY_BE_ANSWERED = """(
  waiting.channel <> 'sms' AND EXISTS (
    SELECT FROM service_window w
    WHERE w.tenant_id = $1 AND w.line_id = waiting.line_id AND w.contact_id = waiting.contact_id
      AND w.channel = waiting.channel AND w.closed_by_provider_at IS NULL
      AND w.last_customer_message_at > $2::timestamptz - interval '24 hours')
  OR waiting.channel = 'sms' AND EXISTS (
    SELECT FROM message m
    WHERE m.tenant_id = $1 AND m.conversation_id = waiting.conversation_id AND m.direction = 'in'
      AND m.state = 'received' AND m.turn_id IS NULL AND m.created_at > $2::timestamptz - interval '24 hours'))
"""


async def wake_waiting(connection: Connection, tenant_id: UUID, now: datetime) -> None:
    """Make every conversation that waits for credits due, in the transaction that brings them.

    A microsecond apart, so that the newest is answered first.
    """
    await connection.execute(
        f"""UPDATE conversation c SET waiting_for = NULL,
              due_at = $2::timestamptz + place.rank * interval '1 microsecond'
            FROM (SELECT conversation_id, row_number() OVER (ORDER BY last_message_at DESC) AS rank
                  FROM conversation waiting
                  WHERE tenant_id = $1 AND waiting_for IN ('credits', 'unpaid') AND mode = 'agent'
                    AND {_MAY_BE_ANSWERED}) place
            WHERE c.tenant_id = $1 AND c.conversation_id = place.conversation_id""",  # noqa: S608 - a constant
        tenant_id,
        now,
    )


async def wake_line(connection: Connection, tenant_id: UUID, line_id: UUID, now: datetime) -> None:
    """Make every conversation due that was written to while its line was out of service."""
    await connection.execute(
        f"""UPDATE conversation c SET due_at = $2::timestamptz + place.rank * interval '1 microsecond'
            FROM (SELECT conversation_id, row_number() OVER (ORDER BY last_message_at DESC) AS rank
                  FROM conversation waiting
                  WHERE tenant_id = $1 AND line_id = $3 AND mode = 'agent' AND due_at IS NULL AND waiting_for IS NULL
                    AND EXISTS (SELECT FROM message m
                                WHERE m.tenant_id = $1 AND m.conversation_id = waiting.conversation_id
                                  AND m.direction = 'in' AND m.state = 'received' AND m.turn_id IS NULL)
                    AND {_MAY_BE_ANSWERED}) place
            WHERE c.tenant_id = $1 AND c.conversation_id = place.conversation_id""",  # noqa: S608 - a constant
        tenant_id,
        now,
        line_id,
    )
