"""The schema of contacts, conversations and queues, as SQLModel tables (see gateway.tables)."""

from datetime import date, datetime
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class ContactRow(SQLModel, table=True):
    """A person outside."""

    __tablename__ = "contact"

    tenant_id: UUID = Field(primary_key=True)
    contact_id: UUID = Field(primary_key=True)
    name: str = ""
    facts: JsonValue = Field(default_factory=dict, sa_type=JSONB)
    created_at: datetime


class ContactAddressRow(SQLModel, table=True):
    """Where a contact can be reached."""

    __tablename__ = "contact_address"
    __table_args__ = (Index("contact_address_contact", "tenant_id", "contact_id"),)

    tenant_id: UUID = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    address: str = Field(primary_key=True)
    contact_id: UUID


class ServiceWindowRow(SQLModel, table=True):
    """Whether we may write freely to a contact on a line's channel, and whether they want us to."""

    __tablename__ = "service_window"

    tenant_id: UUID = Field(primary_key=True)
    line_id: UUID = Field(primary_key=True)
    contact_id: UUID = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    last_customer_message_at: datetime | None = None
    closed_by_provider_at: datetime | None = None
    opted_out_at: datetime | None = None


class ConversationRow(SQLModel, table=True):
    """The exchanges between a contact and a line; also the queue of turns."""

    __tablename__ = "conversation"
    __table_args__ = (
        Index("conversation_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index("conversation_of_contact", "tenant_id", "line_id", "contact_id", "channel", text("last_message_at DESC")),
        Index("conversation_recent", "tenant_id", text("last_message_at DESC"), text("conversation_id DESC")),
        Index(
            "conversation_waiting",
            "tenant_id",
            text("pending_since DESC"),
            postgresql_where=text("waiting_for IS NOT NULL"),
        ),
    )

    tenant_id: UUID = Field(primary_key=True)
    conversation_id: UUID = Field(primary_key=True)
    line_id: UUID
    contact_id: UUID
    channel: str
    reply_address_kind: str
    reply_address: str
    agent_id: UUID
    agent_version: int
    mode: str = "agent"
    started_at: datetime
    last_message_at: datetime
    input_version: int = Field(default=0, sa_type=BigInteger)
    pending_since: datetime | None = None
    due_at: datetime | None = None
    waiting_for: str | None = None
    lease_until: datetime | None = None
    lease_epoch: int = Field(default=0, sa_type=BigInteger)
    next_position: int = Field(default=1, sa_type=BigInteger)
    away_text_on: date | None = None


class TurnRow(SQLModel, table=True):
    """A burst of messages and the agent's answer: the unit of work and of charging."""

    __tablename__ = "turn"
    __table_args__ = (
        Index("turn_conversation", "tenant_id", "conversation_id", "started_at"),
        Index("turn_running", "tenant_id", "conversation_id", unique=True, postgresql_where=text("state = 'running'")),
    )

    tenant_id: UUID = Field(primary_key=True)
    turn_id: UUID = Field(primary_key=True)
    conversation_id: UUID
    state: str
    attempt: int = 1
    crashes: int = 0
    abandoned_drafts: int = 0
    lease_epoch: int = Field(sa_type=BigInteger)
    input_version: int = Field(sa_type=BigInteger)
    agent_version: int
    trace_id: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    failure: str | None = None
    started_at: datetime
    ended_at: datetime | None = None


class MessageRow(SQLModel, table=True):
    """One inbound or outbound text."""

    __tablename__ = "message"
    __table_args__ = (
        Index("message_conversation", "tenant_id", "conversation_id", "created_at", "message_id"),
        Index(
            "message_provider_id",
            "tenant_id",
            "line_id",
            "provider_id",
            unique=True,
            postgresql_where=text("provider_id IS NOT NULL"),
        ),
        Index("message_turn", "tenant_id", "turn_id", postgresql_where=text("turn_id IS NOT NULL")),
        Index(
            "message_unanswered",
            "tenant_id",
            "conversation_id",
            postgresql_where=text("direction = 'in' AND state = 'received' AND turn_id IS NULL"),
        ),
    )

    tenant_id: UUID = Field(primary_key=True)
    message_id: UUID = Field(primary_key=True)
    conversation_id: UUID
    line_id: UUID
    contact_id: UUID
    direction: str
    author: str
    kind: str
    text: str = ""
    content: JsonValue = Field(default_factory=dict, sa_type=JSONB)
    provider_id: str | None = None
    turn_id: UUID | None = None
    receipt_id: UUID | None = None
    state: str
    failure: str | None = None
    reaction: str | None = None
    edited_at: datetime | None = None
    revoked_at: datetime | None = None
    provider_at: datetime | None = None
    created_at: datetime
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    webhook_id: UUID | None = None
    segments: int | None = None


class MessageMediaRow(SQLModel, table=True):
    """What came with a message."""

    __tablename__ = "message_media"

    tenant_id: UUID = Field(primary_key=True)
    message_id: UUID = Field(primary_key=True)
    position: int = Field(primary_key=True)
    kind: str
    mime_type: str
    state: str
    failure: str | None = None
    sha256: bytes | None = None
    content: bytes | None = None
    transcript: str | None = None
    fetched_at: datetime | None = None


class WebhookRow(SQLModel, table=True):
    """A provider's request, as it came."""

    __tablename__ = "webhook"

    tenant_id: UUID = Field(primary_key=True)
    webhook_id: UUID = Field(primary_key=True)
    provider: str
    body: bytes
    received_at: datetime


class DeliveryReportRow(SQLModel, table=True):
    """A provider's later news about a message."""

    __tablename__ = "delivery_report"

    tenant_id: UUID = Field(primary_key=True)
    line_id: UUID = Field(primary_key=True)
    provider_id: str = Field(primary_key=True)
    status: str = Field(primary_key=True)
    message_id: UUID | None = None
    provider_at: datetime | None = None
    pricing: JsonValue | None = Field(default=None, sa_type=JSONB)
    errors: JsonValue | None = Field(default=None, sa_type=JSONB)
    received_at: datetime


class OutboxRow(SQLModel, table=True):
    """Messages recorded but not yet acknowledged."""

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("tenant_id", "conversation_id", "position", name="outbox_order"),
        Index("outbox_due", "due_at", postgresql_where=text("state IN ('pending', 'sending', 'unknown')")),
        Index(
            "outbox_open",
            "tenant_id",
            "conversation_id",
            "position",
            postgresql_where=text("state IN ('pending', 'sending', 'unknown')"),
        ),
    )

    tenant_id: UUID = Field(primary_key=True)
    message_id: UUID = Field(primary_key=True)
    conversation_id: UUID
    line_id: UUID
    turn_id: UUID | None = None
    position: int = Field(sa_type=BigInteger)
    charge_key: str | None = None
    refund_lines: JsonValue = Field(default_factory=list, sa_type=JSONB)
    state: str = "pending"
    attempts: int = 0
    unknowns: int = 0
    due_at: datetime
    lease_until: datetime | None = None
    lease_epoch: int = Field(default=0, sa_type=BigInteger)
    first_attempt_at: datetime | None = None
    trace_id: str
