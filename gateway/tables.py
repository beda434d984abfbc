"""The schema of tenants, lines and what leads to them, as SQLModel tables: for the cold paths.

The migrations decide; a test says that these agree. CHECK and exclusion constraints stand in the migrations only:
a table class does not validate.
"""

from datetime import date, datetime
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy import ARRAY, BigInteger, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class TenantRow(SQLModel, table=True):
    """A customer organization; leads to nothing but itself."""

    __tablename__ = "tenant"
    __table_args__ = (UniqueConstraint("name", name="tenant_name_unique"),)

    tenant_id: UUID = Field(primary_key=True)
    name: str
    timezone: str = "Europe/Berlin"
    locale: str = "de"
    alert_email: str | None = None
    on_account: bool = True
    created_at: datetime


class LineDirectoryRow(SQLModel, table=True):
    """Which tenant's line a provider means by a number or an id."""

    __tablename__ = "line_directory"

    address_kind: str = Field(primary_key=True)
    address: str = Field(primary_key=True)
    tenant_id: UUID
    line_id: UUID


class ApiKeyRow(SQLModel, table=True):
    """A tenant's secret for the JSON API, hashed."""

    __tablename__ = "api_key"
    __table_args__ = (Index("api_key_tenant", "tenant_id"),)

    key_hash: bytes = Field(primary_key=True)
    tenant_id: UUID
    api_key_id: UUID
    label: str
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


class SignInRow(SQLModel, table=True):
    """Which member an e-mail address signs in as."""

    __tablename__ = "sign_in"

    email: str = Field(primary_key=True)
    tenant_id: UUID
    member_id: UUID


class QuarantineRow(SQLModel, table=True):
    """Signed payloads that nobody could be found for, or that could not be read."""

    __tablename__ = "quarantine"
    __table_args__ = (Index("quarantine_recent", "received_at"),)

    quarantine_id: UUID = Field(primary_key=True)
    provider: str
    reason: str
    detail: str
    body: bytes
    received_at: datetime


class MemberRow(SQLModel, table=True):
    """A person who signs in for a tenant."""

    __tablename__ = "member"
    __table_args__ = (UniqueConstraint("tenant_id", "email", name="member_email_unique"),)

    tenant_id: UUID = Field(primary_key=True)
    member_id: UUID = Field(primary_key=True)
    email: str
    role: str
    password_hash: str
    created_at: datetime


class LineRow(SQLModel, table=True):
    """One of our addresses, owned by a tenant, answered by an agent."""

    __tablename__ = "line"
    __table_args__ = (UniqueConstraint("tenant_id", "number", name="line_number_unique"),)

    tenant_id: UUID = Field(primary_key=True)
    line_id: UUID = Field(primary_key=True)
    number: str
    kind: str
    channels: list[str] = Field(sa_type=ARRAY(Text))
    agent_id: UUID
    whatsapp_provider: str | None = None
    whatsapp_phone_number_id: str | None = None
    whatsapp_access_token_encrypted: bytes | None = None
    state: str = "active"
    provisioned_on: date
    created_at: datetime
    rented_until: date | None = None
    unpaid_since: date | None = None
    twilio_number_sid: str | None = None


class NumberOrderRow(SQLModel, table=True):
    """A number that is being bought for a tenant, or was."""

    __tablename__ = "number_order"
    __table_args__ = (
        Index("number_order_open", "claimed_until", postgresql_where=text("state IN ('held', 'buying')")),
    )

    tenant_id: UUID = Field(primary_key=True)
    order_id: UUID = Field(primary_key=True)
    line_id: UUID
    number: str
    kind: str
    country: str
    agent_id: UUID
    channels: list[str] = Field(sa_type=ARRAY(Text))
    bundle_sid: str | None = None
    address_sid: str | None = None
    state: str = "held"
    attempts: int = 0
    claimed_until: datetime
    failure: str | None = None
    created_at: datetime
    ended_at: datetime | None = None


class AlertRow(SQLModel, table=True):
    """What the owner must hear of, once."""

    __tablename__ = "alert"
    __table_args__ = (
        UniqueConstraint("tenant_id", "dedupe_key", name="alert_once"),
        Index("alert_mail_due", "mail_due_at", postgresql_where=text("mail_due_at IS NOT NULL")),
    )

    tenant_id: UUID = Field(primary_key=True)
    alert_id: UUID = Field(primary_key=True)
    kind: str
    dedupe_key: str
    detail: JsonValue = Field(sa_type=JSONB)
    created_at: datetime
    acknowledged_at: datetime | None = None
    mailed_at: datetime | None = None
    mail_due_at: datetime | None = None
    mail_lease_until: datetime | None = None
    mail_attempts: int = 0


class InvoiceDirectoryRow(SQLModel, table=True):
    """Which tenant's invoice a payment's reference means."""

    __tablename__ = "invoice_directory"

    reference: str = Field(primary_key=True)
    tenant_id: UUID
    invoice_id: UUID


class InvoiceRow(SQLModel, table=True):
    """Credits that are to be paid for: a cycle's package, an upgrade's difference, a refill."""

    __tablename__ = "invoice"
    __table_args__ = (
        UniqueConstraint("tenant_id", "reference", name="invoice_reference_unique"),
        Index(
            "invoice_cycle_once",
            "tenant_id",
            "cycle_starts_on",
            unique=True,
            postgresql_where=text("purpose = 'cycle'"),
        ),
        Index(
            "invoice_upgrade_once",
            "tenant_id",
            "cycle_starts_on",
            "plan",
            unique=True,
            postgresql_where=text("purpose = 'upgrade' AND state <> 'void'"),
        ),
    )

    tenant_id: UUID = Field(primary_key=True)
    invoice_id: UUID = Field(primary_key=True)
    reference: str
    purpose: str
    plan: str
    cycle_starts_on: date
    amount_minor: int = Field(sa_type=BigInteger)
    currency: str
    credits: int = Field(sa_type=BigInteger)
    credits_end_on: date | None = None
    state: str = "open"
    due_on: date
    created_at: datetime
    granted_at: datetime | None = None
    paid_at: datetime | None = None
    paid_reference: str | None = None
    voided_at: datetime | None = None


class IdempotencyKeyRow(SQLModel, table=True):
    """An API request that must not act twice, and its answer."""

    __tablename__ = "idempotency_key"

    tenant_id: UUID = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_hash: bytes
    status: int
    response: JsonValue = Field(sa_type=JSONB)
    created_at: datetime
