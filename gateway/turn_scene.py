"""What a turn is answered from: the conversation, its line, contact and wallet, and what was said.

Locks: wallet, service window, conversation, message.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.channels.base import AddressKind
from gateway.errors import StaleLeaseError
from metering.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to work on one conversation, until somebody with a higher epoch has it."""

    tenant_id: UUID
    conversation_id: UUID
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedTurn:
    """A turn that was begun and not ended: by a crash, a new message or a shutdown."""

    turn_id: UUID
    attempt: int
    crashes: int
    abandoned_drafts: int
    trace_id: str
    lease_epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A conversation as a turn finds it, with its line, contact and wallet."""

    line_id: UUID
    contact_id: UUID
    channel: str
    reply_address_kind: AddressKind
    reply_address: str
    agent_id: UUID
    agent_version: int
    mode: str
    input_version: int
    lease_epoch: int
    pending_since: datetime | None
    number: str
    line_state: str
    provider: str
    provider_line_id: str | None
    access_token_encrypted: bytes | None
    last_customer_message_at: datetime | None
    closed_by_provider_at: datetime | None
    contact_name: str
    contact_facts: Mapping[str, object]
    timezone: str
    wallet_state: str
    answered_before: bool
    unanswered_ids: tuple[UUID, ...]
    unfinished: UnfinishedTurn | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnMessage:
    """A message that the turn is answered from. `unanswered`: it is one of those that ask for this answer."""

    message_id: UUID
    author: str
    kind: str
    text: str
    content: Mapping[str, object]
    provider_id: str | None
    written_at: datetime
    unanswered: bool


async def load_scene(connection: Connection, lease: Lease) -> Scene:
    """Lock the conversation and read what surrounds it. Raises StaleLeaseError if the lease has moved on."""
    row = await connection.fetchrow(_SCENE, lease.tenant_id, lease.conversation_id)
    if row is not None and row["seen_version"] != row["input_version"]:
        # The lock was waited for: the conversation is as it is now, its messages are as they were before.
        row = await connection.fetchrow(_SCENE, lease.tenant_id, lease.conversation_id)
    if row is None or row["lease_epoch"] != lease.epoch:
        raise StaleLeaseError
    values = dict(row)
    del values["seen_version"]
    turn = {name: values.pop(f"turn_{name}") for name in ("attempt", "crashes", "abandoned_drafts", "trace_id")}
    turn_id, turn_epoch = values.pop("turn_id"), values.pop("turn_epoch")
    unfinished = None if turn_id is None else UnfinishedTurn(turn_id=turn_id, lease_epoch=turn_epoch, **turn)
    return Scene(**(values | {"unanswered_ids": tuple(values["unanswered_ids"]), "unfinished": unfinished}))


async def load_messages(connection: Connection, lease: Lease, *, limit: int) -> list[TurnMessage]:
    """Return the newest messages of the conversation, oldest first: what was said and arrived, by the time it was."""
    rows = await connection.fetch(_MESSAGES, lease.tenant_id, lease.conversation_id, limit)
    return sorted((TurnMessage(**row) for row in reversed(rows)), key=lambda message: message.written_at)


async def share_lease(connection: Connection, lease: Lease) -> UUID:
    """Keep the lease ours until the transaction ends; return whose conversation it is by now. Raises StaleLeaseError.

    A shared lock: several tools look things up at the same time. Inbound messages wait for it, as short as it is.
    """
    row = await connection.fetchrow(
        """SELECT lease_epoch, contact_id FROM conversation
           WHERE tenant_id = $1 AND conversation_id = $2 FOR SHARE""",
        lease.tenant_id,
        lease.conversation_id,
    )
    if row is None or row["lease_epoch"] != lease.epoch:
        raise StaleLeaseError
    contact_id: UUID = row["contact_id"]
    return contact_id


async def lock_mode(connection: Connection, lease: Lease) -> str:
    """Lock the conversation and return who answers it by now. Raises StaleLeaseError."""
    row = await connection.fetchrow(
        """SELECT lease_epoch, mode FROM conversation
           WHERE tenant_id = $1 AND conversation_id = $2 FOR NO KEY UPDATE""",
        lease.tenant_id,
        lease.conversation_id,
    )
    if row is None or row["lease_epoch"] != lease.epoch:
        raise StaleLeaseError
    mode: str = row["mode"]
    return mode


async def read_progress(connection: Connection, lease: Lease) -> tuple[int, str]:
    """Return the conversation's input version and mode without a lock."""
    row = await connection.fetchrow(
        "SELECT input_version, mode FROM conversation WHERE tenant_id = $1 AND conversation_id = $2",
        lease.tenant_id,
        lease.conversation_id,
    )
    if row is None:
        raise StaleLeaseError
    return row["input_version"], row["mode"]


_SCENE = """
SELECT c.line_id, c.contact_id, c.channel, c.reply_address_kind, c.reply_address, c.agent_id, c.agent_version,
       c.mode, c.input_version, c.lease_epoch, c.pending_since, l.number, l.state AS line_state,
       CASE c.channel WHEN 'sms' THEN 'twilio_sms' ELSE coalesce(l.whatsapp_provider, '') END AS provider,
       l.whatsapp_phone_number_id AS provider_line_id,
       l.whatsapp_access_token_encrypted AS access_token_encrypted,
       w.last_customer_message_at, w.closed_by_provider_at,
       coalesce(k.name, '') AS contact_name, coalesce(k.facts, '{}') AS contact_facts, t.timezone,
       coalesce(wallet.state, 'active') AS wallet_state,
       EXISTS (SELECT FROM message m
               WHERE m.tenant_id = $1 AND m.conversation_id = $2 AND m.direction = 'out' AND m.author = 'agent'
                 AND m.state IN ('queued', 'sent', 'delivered', 'read')) AS answered_before,
       ARRAY(SELECT message_id FROM message m
             WHERE m.tenant_id = $1 AND m.conversation_id = $2 AND m.direction = 'in' AND m.state = 'received'
               AND m.turn_id IS NULL AND m.revoked_at IS NULL) AS unanswered_ids,
       turn.turn_id, turn.attempt AS turn_attempt, turn.crashes AS turn_crashes,
       turn.abandoned_drafts AS turn_abandoned_drafts, turn.trace_id AS turn_trace_id,
       turn.lease_epoch AS turn_epoch,
       (SELECT input_version FROM conversation WHERE tenant_id = $1 AND conversation_id = $2) AS seen_version
FROM conversation c
JOIN line l ON l.tenant_id = c.tenant_id AND l.line_id = c.line_id
JOIN tenant t ON t.tenant_id = c.tenant_id
LEFT JOIN service_window w
  ON w.tenant_id = c.tenant_id AND w.line_id = c.line_id AND w.contact_id = c.contact_id AND w.channel = c.channel
LEFT JOIN contact k ON k.tenant_id = c.tenant_id AND k.contact_id = c.contact_id
LEFT JOIN wallet ON wallet.tenant_id = c.tenant_id
LEFT JOIN turn
  ON turn.tenant_id = c.tenant_id AND turn.conversation_id = c.conversation_id AND turn.state = 'running'
WHERE c.tenant_id = $1 AND c.conversation_id = $2
FOR NO KEY UPDATE OF c
"""

# The provider's clock orders what customers wrote: webhooks come late and shuffled.
_MESSAGES = """
SELECT message_id, author, kind, text, content, provider_id,
       CASE WHEN direction = 'in' THEN least(coalesce(provider_at, created_at), created_at)
            ELSE created_at END AS written_at,
       direction = 'in' AND state = 'received' AND turn_id IS NULL AS unanswered
FROM message
WHERE tenant_id = $1 AND conversation_id = $2 AND revoked_at IS NULL
  AND (direction = 'in'
       OR author IN ('agent', 'member', 'api') AND state IN ('queued', 'sent', 'delivered', 'read'))
ORDER BY created_at DESC, message_id DESC LIMIT $3
"""
