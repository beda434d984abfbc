"""The schema of phone calls, as SQLModel tables (see gateway.tables)."""

from datetime import datetime
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class CallTokenRow(SQLModel, table=True):
    """What opens a call's stream, once; only its hash."""

    __tablename__ = "call_token"
    __table_args__ = (Index("call_token_expired", "expires_at"),)

    token_hash: bytes = Field(primary_key=True)
    tenant_id: UUID
    call_id: UUID
    expires_at: datetime
    used_at: datetime | None = None


class CallRow(SQLModel, table=True):
    """One phone call, from Twilio's question who answers it to its last correction."""

    __tablename__ = "call"
    __table_args__ = (
        UniqueConstraint("tenant_id", "call_sid", name="call_sid_unique"),
        Index("call_open", "lease_until", postgresql_where=text("state IN ('offered', 'live', 'forwarding', 'away')")),
        Index("call_conversation", "tenant_id", "conversation_id", "offered_at"),
        Index("call_recent", "tenant_id", text("offered_at DESC"), text("call_id DESC")),
    )

    tenant_id: UUID = Field(primary_key=True)
    call_id: UUID = Field(primary_key=True)
    conversation_id: UUID
    line_id: UUID
    contact_id: UUID
    agent_id: UUID
    agent_version: int
    call_sid: str
    caller: str | None = None
    engine: str
    rate_card: str
    state: str = "offered"
    lease_until: datetime
    lease_epoch: int = Field(default=0, sa_type=BigInteger)
    minutes_charged: int = 0
    input_tokens: int = Field(default=0, sa_type=BigInteger)
    output_tokens: int = Field(default=0, sa_type=BigInteger)
    progress: JsonValue = Field(default_factory=dict, sa_type=JSONB)
    provider_usage: JsonValue = Field(default_factory=dict, sa_type=JSONB)
    figures: JsonValue = Field(default_factory=dict, sa_type=JSONB)
    end_reason: str | None = None
    offered_at: datetime
    stream_started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_s: int | None = None
    reconciled_at: datetime | None = None
    recording: str = "none"
    recording_sid: str | None = None
    recording_duration_s: int | None = None
    recording_consent_at: datetime | None = None


class CallLegRow(SQLModel, table=True):
    """A person's leg of a forwarded call."""

    __tablename__ = "call_leg"

    tenant_id: UUID = Field(primary_key=True)
    call_id: UUID = Field(primary_key=True)
    leg: int = Field(primary_key=True)
    leg_sid: str | None = None
    state: str = "dialling"
    time_limit_s: int
    minutes_charged: int = 0
    outcome: str | None = None
    dialled_at: datetime
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    duration_s: int | None = None
    reconciled_at: datetime | None = None


class VoiceNoticeRow(SQLModel, table=True):
    """One wording, spoken beforehand in one voice."""

    __tablename__ = "voice_notice"

    tenant_id: UUID = Field(primary_key=True)
    notice_hash: bytes = Field(primary_key=True)
    audio: bytes
    created_at: datetime
    last_used_at: datetime
