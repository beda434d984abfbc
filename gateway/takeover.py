"""Who answers in a conversation: the agent, a person, or nobody for a while.

While a person answers, or the conversation is paused, messages are stored and nothing is due. A turn that
is under way notices when it would charge: the mode has changed, so its draft is dropped unpaid.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Literal
from uuid import UUID

from gateway.alerts import raise_alert
from gateway.system_messages import queue_free_text
from metering.connection import Connection

Mode = Literal["agent", "human", "paused"]


async def take_over(connection: Connection, tenant_id: UUID, conversation_id: UUID, now: datetime) -> bool:
    """Let a person answer from now on; return whether there is such a conversation."""
    del now  # what is unanswered stays so; nothing is dated
    return await _set_mode(connection, tenant_id, conversation_id, "human") is not None


async def pause(connection: Connection, tenant_id: UUID, conversation_id: UUID, now: datetime) -> bool:
    """Answer nothing until given back; return whether there is such a conversation."""
    del now
    return await _set_mode(connection, tenant_id, conversation_id, "paused") is not None


async def hand_over(
    connection: Connection,
    tenant_id: UUID,
    conversation_id: UUID,
    *,
    reason: str,
    text: str,
    trace_id: str,
    now: datetime,
    new_id: Callable[[], UUID],
) -> bool:
    """Pass a conversation from the agent to a person: say so to the customer once, and to the owner.

    `text` may be empty: then the customer is told nothing. Returns whether the agent had it until now; if not,
    what the owner has chosen meanwhile stays.
    """
    if await _set_mode(connection, tenant_id, conversation_id, "human", only_from="agent") != "agent":
        return False
    if text:
        await queue_free_text(
            connection, tenant_id, conversation_id, text=text, trace_id=trace_id, now=now, new_id=new_id
        )
    await raise_alert(
        connection,
        tenant_id,
        kind="handover",
        dedupe_key=f"handover:{conversation_id}:{now.isoformat()}",
        detail={"conversation_id": str(conversation_id), "reason": reason},
        now=now,
        new_id=new_id,
    )
    return True


async def give_back(connection: Connection, tenant_id: UUID, conversation_id: UUID, now: datetime) -> bool:
    """Let the agent answer again, at once if customers are waiting; return whether there is such a conversation.

    What came before a person's last message counts as answered by that person, unless the message never left.
    """
    before = await _set_mode(connection, tenant_id, conversation_id, "agent")
    if before in (None, "agent"):
        return before is not None
    await connection.execute(
        """UPDATE message SET state = 'recorded'
           WHERE tenant_id = $1 AND conversation_id = $2 AND direction = 'in' AND state = 'received'
             AND turn_id IS NULL AND created_at <= (
               SELECT max(created_at) FROM message
               WHERE tenant_id = $1 AND conversation_id = $2 AND direction = 'out' AND author IN ('member', 'api')
                 AND state NOT IN ('failed', 'refunded'))""",
        tenant_id,
        conversation_id,
    )
    await connection.execute(
        """UPDATE conversation c
           SET pending_since = waiting.since,
               due_at = CASE WHEN waiting.since IS NULL THEN NULL ELSE $3::timestamptz END,
               input_version = input_version + CASE WHEN waiting.since IS NULL THEN 0 ELSE 1 END
           FROM (SELECT min(created_at) AS since FROM message
                 WHERE tenant_id = $1 AND conversation_id = $2 AND direction = 'in' AND state = 'received'
                   AND turn_id IS NULL AND revoked_at IS NULL) AS waiting
           WHERE c.tenant_id = $1 AND c.conversation_id = $2""",
        tenant_id,
        conversation_id,
        now,
    )
    return True


async def _set_mode(
    connection: Connection, tenant_id: UUID, conversation_id: UUID, mode: Mode, *, only_from: Mode | None = None
) -> str | None:
    """Lock the conversation, end what is due and change the mode, if it is `only_from`.

    Returns the mode before, None if the conversation is unknown.
    """
    before: str | None = await connection.fetchval(
        "SELECT mode FROM conversation WHERE tenant_id = $1 AND conversation_id = $2 FOR NO KEY UPDATE",
        tenant_id,
        conversation_id,
    )
    if before not in (None, mode) and only_from in (None, before):
        await connection.execute(
            """UPDATE conversation SET mode = $3, due_at = NULL, waiting_for = NULL
               WHERE tenant_id = $1 AND conversation_id = $2""",
            tenant_id,
            conversation_id,
            mode,
        )
    return before
