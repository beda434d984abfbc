"""The schema of what is told outside, as SQLModel tables (see gateway.tables)."""

from datetime import datetime
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy import ARRAY, BigInteger, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class WebhookEndpointRow(SQLModel, table=True):
    """An address of the owner's that wants to hear of events."""

    __tablename__ = "webhook_endpoint"

    tenant_id: UUID = Field(primary_key=True)
    endpoint_id: UUID = Field(primary_key=True)
    url: str
    kinds: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    secret_encrypted: bytes
    previous_secret_encrypted: bytes | None = None
    previous_secret_until: datetime | None = None
    enabled: bool = True
    disabled_reason: str | None = None
    failing_since: datetime | None = None
    created_at: datetime


class WebhookDeliveryRow(SQLModel, table=True):
    """One event on its way to one endpoint."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        UniqueConstraint("tenant_id", "endpoint_id", "kind", "subject_id", name="webhook_delivery_once"),
        Index("webhook_delivery_due", "next_attempt_at", postgresql_where=text("state = 'pending'")),
        Index("webhook_delivery_created", "tenant_id", "created_at"),
    )

    tenant_id: UUID = Field(primary_key=True)
    endpoint_id: UUID = Field(primary_key=True)
    event_id: UUID = Field(primary_key=True)
    kind: str
    subject_id: UUID
    body: JsonValue = Field(sa_type=JSONB)
    state: str = "pending"
    attempts: int = 0
    next_attempt_at: datetime | None = None
    lease_until: datetime | None = None
    lease_epoch: int = Field(default=0, sa_type=BigInteger)
    last_status: int | None = None
    last_latency_ms: int | None = None
    last_error: str | None = None
    created_at: datetime
    delivered_at: datetime | None = None
