"""The statements of accepting: messages, and the queue columns of their conversation.

Locks are taken in one order everywhere: wallet, contact addresses, service window, conversation, outbox,
message. All events of one contact on one line therefore follow one another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from gateway.channels.base import Address
from gateway.parcel import RawBody
from metering.connection import Connection

# answer: whoever has the conversation is to answer; keep: unanswered, but by nobody now; record: nobody is to
# answer; stop: the contact wants no more, so everything unanswered ends.
Treatment = Literal["answer", "keep", "record", "stop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message about to be stored once per line and provider's id."""

    message_id: UUID
    conversation_id: UUID
    line_id: UUID
    contact_id: UUID
    direction: Literal["in", "out"]
    author: Literal["customer", "member"]
    kind: str
    text: str
    content: Mapping[str, object]
    provider_id: str
    state: Literal["received", "recorded", "sent"]
    provider_at: datetime | None
    created_at: datetime
    webhook_id: UUID
    segments: int | None = None
    receipt_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueChange:
    """What a message does to its conversation's queue columns."""

    treatment: Treatment
    reply_to: Address
    quiet: timedelta
    cap: timedelta
    now: datetime


async def store_webhook(connection: Connection, tenant_id: UUID, raw: RawBody, *, now: datetime) -> None:
    """Keep a webhook's body, once however many events it carries."""
    await connection.execute(
        """INSERT INTO webhook (tenant_id, webhook_id, provider, body, received_at) VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (tenant_id, webhook_id) DO NOTHING""",
        tenant_id,
        raw.webhook_id,
        raw.provider,
        raw.content,
        now,
    )


async def quarantine(
    connection: Connection, *, quarantine_id: UUID, provider: str, reason: str, detail: str, body: bytes, now: datetime
) -> None:
    await connection.execute(
        """INSERT INTO quarantine (quarantine_id, provider, reason, detail, body, received_at)
           VALUES ($1, $2, $3, $4, $5, $6)""",
        quarantine_id,
        provider,
        reason,
        detail,
        body,
        now,
    )


async def list_quarantined(connection: Connection, *, limit: int) -> list[dict[str, Any]]:
    """Return the newest parts that were put aside; runs under the queue's role."""
    rows = await connection.fetch(
        """SELECT quarantine_id, provider, reason, detail, body, received_at FROM quarantine
           ORDER BY received_at DESC, quarantine_id DESC LIMIT $1""",
        limit,
    )
    return [dict(row) for row in rows]


async def store_message(
    connection: Connection, tenant_id: UUID, message: NewMessage, change: QueueChange, raw: RawBody
) -> tuple[bool, datetime | None]:
    """Store a message once, with the body it came in, and move its conversation's queue columns along.

    Returns whether it is new, and when the conversation is due. For a duplicate nothing is changed here.
    """
    row = await connection.fetchrow(
        _STORE_MESSAGE,
        *_values(tenant_id, message),
        change.treatment,
        change.reply_to.kind,
        change.reply_to.value,
        change.now,
        change.quiet,
        change.cap,
        raw.provider,
        raw.content,
    )
    return (False, None) if row is None else (True, row["due_at"])


async def store_echo(connection: Connection, tenant_id: UUID, message: NewMessage) -> bool:
    """Store what the owner wrote elsewhere, once; return whether it is new."""
    return await connection.fetchrow(_STORE_ECHO, *_values(tenant_id, message)) is not None


def _values(tenant_id: UUID, message: NewMessage) -> tuple[object, ...]:
    return (
        tenant_id,
        message.message_id,
        message.conversation_id,
        message.line_id,
        message.contact_id,
        message.direction,
        message.author,
        message.kind,
        message.text,
        dict(message.content),
        message.provider_id,
        message.state,
        message.provider_at,
        message.created_at,
        message.webhook_id,
        message.segments,
        message.receipt_id,
    )


_INSERT_ONCE = """
  INSERT INTO message (tenant_id, message_id, conversation_id, line_id, contact_id, direction, author, kind, text,
                       content, provider_id, state, provider_at, created_at, webhook_id, segments, receipt_id)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
  ON CONFLICT (tenant_id, line_id, provider_id) WHERE provider_id IS NOT NULL DO NOTHING
  RETURNING message_id
"""

# The burst: due after a quiet time, at most `cap` after the first unanswered message. So a conversation that has
# been waiting for longer, for credits for instance, is due at once: the worker decides again.
_STORE_MESSAGE = f"""
WITH stored AS ({_INSERT_ONCE}),
kept AS (
  INSERT INTO webhook (tenant_id, webhook_id, provider, body, received_at) SELECT $1, $15, $24, $25, $14 FROM stored
  ON CONFLICT (tenant_id, webhook_id) DO NOTHING)
UPDATE conversation c SET
  last_message_at = greatest(c.last_message_at, $21),
  reply_address_kind = $19,
  reply_address = $20,
  input_version = c.input_version + CASE WHEN $18::text = 'record' THEN 0 ELSE 1 END,
  pending_since = CASE $18::text
    WHEN 'stop' THEN NULL WHEN 'record' THEN c.pending_since ELSE coalesce(c.pending_since, $21) END,
  due_at = CASE $18::text
    WHEN 'answer' THEN CASE WHEN c.mode = 'agent'
      THEN least($21 + $22::interval, coalesce(c.pending_since, $21) + $23::interval) END
    WHEN 'stop' THEN NULL
    ELSE c.due_at END,
  waiting_for = CASE WHEN $18::text IN ('answer', 'stop') THEN NULL ELSE c.waiting_for END
FROM stored
WHERE c.tenant_id = $1 AND c.conversation_id = $3
RETURNING c.due_at
"""  # noqa: S608 - a constant inside a constant

_STORE_ECHO = f"""
WITH stored AS ({_INSERT_ONCE})
UPDATE conversation c SET last_message_at = greatest(c.last_message_at, $14) FROM stored
WHERE c.tenant_id = $1 AND c.conversation_id = $3
RETURNING c.conversation_id
"""  # noqa: S608 - a constant inside a constant


async def is_known(connection: Connection, tenant_id: UUID, line_id: UUID, provider_id: str) -> bool:
    """Return whether a message is stored; says nothing of one that another transaction is storing."""
    known: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM message WHERE tenant_id = $1 AND line_id = $2 AND provider_id = $3)",
        tenant_id,
        line_id,
        provider_id,
    )
    return known


async def end_pending(connection: Connection, tenant_id: UUID, conversation_id: UUID) -> None:
    """Nobody is to answer what is still unanswered."""
    await connection.execute(
        """UPDATE message SET state = 'recorded'
           WHERE tenant_id = $1 AND conversation_id = $2 AND direction = 'in' AND state = 'received'
             AND turn_id IS NULL""",
        tenant_id,
        conversation_id,
    )


async def react(connection: Connection, tenant_id: UUID, line_id: UUID, provider_id: str, emoji: str) -> bool:
    """Note a reaction, or take it back; return whether the message is known. So do `edit` and `revoke`."""
    row = await connection.fetchrow(
        """UPDATE message SET reaction = nullif($4, '')
           WHERE tenant_id = $1 AND line_id = $2 AND provider_id = $3 RETURNING message_id""",
        tenant_id,
        line_id,
        provider_id,
        emoji,
    )
    return row is not None


async def edit(
    connection: Connection, tenant_id: UUID, line_id: UUID, provider_id: str, *, text: str, at: datetime
) -> bool:
    """Replace the text of a customer's message; an older edit that arrives later changes nothing."""
    row = await connection.fetchrow(
        """UPDATE message SET text = CASE WHEN edited_at > $5 THEN text ELSE $4 END,
                              edited_at = greatest(edited_at, $5)
           WHERE tenant_id = $1 AND line_id = $2 AND provider_id = $3 AND direction = 'in' RETURNING message_id""",
        tenant_id,
        line_id,
        provider_id,
        text,
        at,
    )
    return row is not None


async def revoke(connection: Connection, tenant_id: UUID, line_id: UUID, provider_id: str, *, at: datetime) -> bool:
    """Mark a customer's message as deleted: the agent no longer sees it, and nobody is to answer it.

    The queue is left alone: whoever takes up the conversation finds what is still unanswered.
    """
    row = await connection.fetchrow(
        """UPDATE message SET revoked_at = coalesce(revoked_at, $4),
             state = CASE WHEN state = 'received' AND turn_id IS NULL THEN 'recorded' ELSE state END
           WHERE tenant_id = $1 AND line_id = $2 AND provider_id = $3 AND direction = 'in' RETURNING message_id""",
        tenant_id,
        line_id,
        provider_id,
        at,
    )
    return row is not None


async def follow_address(
    connection: Connection, tenant_id: UUID, contact_id: UUID, *, old: Address, new: Address, since: datetime
) -> None:
    """Answers of the conversations going on go to the new address."""
    await connection.execute(
        """UPDATE conversation SET reply_address_kind = $5, reply_address = $6
           WHERE tenant_id = $1 AND contact_id = $2 AND reply_address_kind = $3 AND reply_address = $4
             AND last_message_at > $7""",
        tenant_id,
        contact_id,
        old.kind,
        old.value,
        new.kind,
        new.value,
        since,
    )
