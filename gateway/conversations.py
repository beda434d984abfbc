"""Conversations as others read them: the list, one thread, and whether we may write.

A conversation belongs to one contact on one line and channel. It ends after 24 hours of silence; the next
message begins a new one, on the agent's version of that day.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from gateway.channels.base import Address, AddressKind
from metering.connection import Connection

SILENCE_ENDS = timedelta(hours=24)
PREVIEW_CHARACTERS = 120

_VIEW = f"""
SELECT c.conversation_id, c.line_id, c.contact_id, coalesce(contact.name, '') AS contact_name, c.channel,
       c.reply_address_kind, c.reply_address, c.agent_id, c.agent_version, c.mode, c.waiting_for, c.pending_since,
       c.started_at, c.last_message_at, coalesce(last.text, '') AS last_text,
       w.last_customer_message_at, w.closed_by_provider_at, w.opted_out_at
FROM conversation c
LEFT JOIN contact ON contact.tenant_id = c.tenant_id AND contact.contact_id = c.contact_id
LEFT JOIN service_window w
  ON w.tenant_id = c.tenant_id AND w.line_id = c.line_id AND w.contact_id = c.contact_id AND w.channel = c.channel
LEFT JOIN LATERAL (
  SELECT left(text, {PREVIEW_CHARACTERS}) AS text FROM message m
  WHERE m.tenant_id = c.tenant_id AND m.conversation_id = c.conversation_id AND m.revoked_at IS NULL
  ORDER BY m.created_at DESC, m.message_id DESC LIMIT 1) last ON true
"""  # noqa: S608 - a constant number

_MESSAGE_VIEW = """
SELECT m.message_id, m.direction, m.author, m.kind,
       CASE WHEN m.revoked_at IS NULL THEN m.text ELSE '' END AS text,
       CASE WHEN m.revoked_at IS NULL THEN m.content ELSE '{}' END AS content,
       ARRAY(SELECT transcript FROM message_media media
             WHERE media.tenant_id = m.tenant_id AND media.message_id = m.message_id
               AND transcript IS NOT NULL AND m.revoked_at IS NULL ORDER BY position) AS transcripts,
       m.state, m.failure, m.reaction, m.turn_id, m.receipt_id, m.edited_at, m.revoked_at,
       m.provider_at, m.created_at, m.delivered_at, m.read_at
FROM message m
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The conversation a message belongs to, and whether its line is in service."""

    conversation_id: UUID
    agent_id: UUID
    agent_version: int  # 0: the agent has never been published, so it cannot answer
    mode: str
    line_state: str
    line_channels: Sequence[str]
    whatsapp_provider: str | None

    @property
    def in_service(self) -> bool:
        """Whether anything may be answered here at all."""
        return self.line_state == "active" and self.agent_version > 0

    def speaks(self, channel: str, provider: str) -> bool:
        """Return whether the line has this channel, by this provider."""
        return channel in self.line_channels and (channel != "whatsapp" or self.whatsapp_provider == provider)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The last row of a page: the next page begins after it."""

    at: datetime
    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationView:
    """One conversation as its owner sees it. Window times are the contact's on that line."""

    conversation_id: UUID
    line_id: UUID
    contact_id: UUID
    contact_name: str
    channel: str
    reply_address_kind: AddressKind
    reply_address: str
    agent_id: UUID
    agent_version: int
    mode: str
    waiting_for: str | None
    pending_since: datetime | None
    started_at: datetime
    last_message_at: datetime
    last_text: str
    last_customer_message_at: datetime | None
    closed_by_provider_at: datetime | None
    opted_out_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageView:
    """One message of a thread. A revoked message has lost its text."""

    message_id: UUID
    direction: str
    author: str
    kind: str
    text: str
    content: Mapping[str, object]
    transcripts: tuple[str, ...]
    state: str
    failure: str | None
    reaction: str | None
    turn_id: UUID | None
    receipt_id: UUID | None
    edited_at: datetime | None
    revoked_at: datetime | None
    provider_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None
    read_at: datetime | None


async def enter(
    connection: Connection,
    tenant_id: UUID,
    *,
    line_id: UUID,
    contact_id: UUID,
    channel: str,
    reply_to: Address,
    now: datetime,
    new_id: Callable[[], UUID],
) -> Place:
    """Return the conversation going on with a contact on a line, or begin one on the agent's published version.

    The caller holds the lock of the contact's window on this line, so that nobody begins another meanwhile.
    """
    row = await connection.fetchrow(
        """SELECT c.conversation_id, coalesce(c.agent_id, l.agent_id) AS agent_id,
                  coalesce(c.agent_version, a.published_version, 0) AS agent_version,
                  coalesce(c.mode, 'agent') AS mode, l.state AS line_state, l.channels AS line_channels,
                  l.whatsapp_provider
           FROM line l
           LEFT JOIN agent a ON a.tenant_id = l.tenant_id AND a.agent_id = l.agent_id
           LEFT JOIN LATERAL (
             SELECT conversation_id, agent_id, agent_version, mode FROM conversation
             WHERE tenant_id = $1 AND line_id = $2 AND contact_id = $3 AND channel = $4 AND last_message_at > $5
             ORDER BY last_message_at DESC LIMIT 1) c ON true
           WHERE l.tenant_id = $1 AND l.line_id = $2""",
        tenant_id,
        line_id,
        contact_id,
        channel,
        now - SILENCE_ENDS,
    )
    if row is None:
        raise LookupError(f"the directory leads to line {line_id}, which its tenant does not have")
    if row["conversation_id"] is not None:
        return Place(**row)
    place = Place(**{**row, "conversation_id": new_id()})
    await connection.execute(
        """INSERT INTO conversation (tenant_id, conversation_id, line_id, contact_id, channel, reply_address_kind,
                                     reply_address, agent_id, agent_version, started_at, last_message_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)""",
        tenant_id,
        place.conversation_id,
        line_id,
        contact_id,
        channel,
        reply_to.kind,
        reply_to.value,
        place.agent_id,
        place.agent_version,
        now,
    )
    return place


async def list_conversations(
    connection: Connection, tenant_id: UUID, *, limit: int, after: Cursor | None = None
) -> list[ConversationView]:
    """Return conversations, the one with the latest message first; `after` is the last of the page before."""
    rows = await connection.fetch(
        f"""{_VIEW} WHERE c.tenant_id = $1
              AND ($2::timestamptz IS NULL OR (c.last_message_at, c.conversation_id) < ($2, $3))
            ORDER BY c.last_message_at DESC, c.conversation_id DESC LIMIT $4""",
        tenant_id,
        after.at if after else None,
        after.id if after else None,
        limit,
    )
    return [ConversationView(**row) for row in rows]


async def read_conversation(connection: Connection, tenant_id: UUID, conversation_id: UUID) -> ConversationView | None:
    """Return one conversation, or None if this tenant has no such conversation."""
    row = await connection.fetchrow(
        f"{_VIEW} WHERE c.tenant_id = $1 AND c.conversation_id = $2",
        tenant_id,
        conversation_id,
    )
    return ConversationView(**row) if row else None


async def read_thread(
    connection: Connection, tenant_id: UUID, conversation_id: UUID, *, limit: int, after: Cursor | None = None
) -> list[MessageView]:
    """Return a conversation's messages, newest first; `after` is the last of the page before."""
    rows = await connection.fetch(
        f"""{_MESSAGE_VIEW} WHERE m.tenant_id = $1 AND m.conversation_id = $2
             AND ($3::timestamptz IS NULL OR (m.created_at, m.message_id) < ($3, $4))
           ORDER BY m.created_at DESC, m.message_id DESC LIMIT $5""",
        tenant_id,
        conversation_id,
        after.at if after else None,
        after.id if after else None,
        limit,
    )
    return [MessageView(**{**row, "transcripts": tuple(row["transcripts"])}) for row in rows]


async def read_message(connection: Connection, tenant_id: UUID, message_id: UUID) -> MessageView | None:
    """Return one message, or None if this tenant has no such message."""
    row = await connection.fetchrow(
        f"{_MESSAGE_VIEW} WHERE m.tenant_id = $1 AND m.message_id = $2", tenant_id, message_id
    )
    return MessageView(**{**row, "transcripts": tuple(row["transcripts"])}) if row else None
