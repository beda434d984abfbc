"""Messages that nobody is charged for: confirmations, handover, away and apology texts."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal
from uuid import UUID

from metering.connection import Connection

FreeAuthor = Literal["system", "agent"]


async def queue_free_text(
    connection: Connection,
    tenant_id: UUID,
    conversation_id: UUID,
    *,
    text: str,
    trace_id: str,
    now: datetime,
    new_id: Callable[[], UUID],
    author: FreeAuthor = "system",
    turn_id: UUID | None = None,
) -> UUID:
    """Write a message and its outbox row at the conversation's next position; return the message's id.

    Locks the conversation. The caller knows that the service window is open; the outbox checks again.
    Raises LookupError if there is no such conversation.
    """
    message_id = new_id()
    written = await connection.fetchval(
        """WITH place AS (
             UPDATE conversation
             SET next_position = next_position + 1, last_message_at = greatest(last_message_at, $7)
             WHERE tenant_id = $1 AND conversation_id = $2
             RETURNING line_id, contact_id, next_position - 1 AS position),
           written AS (
             INSERT INTO message (tenant_id, message_id, conversation_id, line_id, contact_id, direction, author,
                                  kind, text, turn_id, state, created_at)
             SELECT $1, $3, $2, line_id, contact_id, 'out', $4, 'text', $5, $6, 'queued', $7 FROM place)
           INSERT INTO outbox (tenant_id, message_id, conversation_id, line_id, turn_id, position, due_at, trace_id)
           SELECT $1, $3, $2, line_id, $6, position, $7, $8 FROM place RETURNING message_id""",
        tenant_id,
        conversation_id,
        message_id,
        author,
        text,
        turn_id,
        now,
        trace_id,
    )
    if written is None:
        raise LookupError(f"no conversation {conversation_id}")
    return message_id
