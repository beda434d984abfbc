"""The schema of wallets, ledger and receipts, as SQLModel tables: for the cold paths.

The migrations decide; a test says that these agree.
"""

from datetime import date, datetime
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy import ARRAY, BigInteger, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class WalletRow(SQLModel, table=True):
    """A tenant's credits: what it owns and what is set aside."""

    __tablename__ = "wallet"

    tenant_id: UUID = Field(primary_key=True)
    balance_millicredits: int = Field(default=0, sa_type=BigInteger)
    held_millicredits: int = Field(default=0, sa_type=BigInteger)
    sequence: int = Field(default=0, sa_type=BigInteger)
    chain_hash: bytes = bytes(32)
    state: str = "active"
    paused_at: datetime | None = None
    full_millicredits: int = Field(default=0, sa_type=BigInteger)
    full_sequence: int = Field(default=0, sa_type=BigInteger)


class CreditGrantRow(SQLModel, table=True):
    """Credits put into a wallet, and what is left of them."""

    __tablename__ = "credit_grant"
    __table_args__ = (
        UniqueConstraint("tenant_id", "reference", name="credit_grant_once"),
        Index(
            "credit_grant_expiring",
            "expires_at",
            postgresql_where=text("remaining_millicredits > 0 AND expires_at IS NOT NULL"),
        ),
        Index(
            "credit_grant_live",
            "tenant_id",
            "expires_at",
            "grant_id",
            postgresql_where=text("remaining_millicredits > 0"),
        ),
    )

    tenant_id: UUID = Field(primary_key=True)
    grant_id: UUID = Field(primary_key=True)
    kind: str
    reference: str
    reason: str
    amount_millicredits: int = Field(sa_type=BigInteger)
    remaining_millicredits: int = Field(sa_type=BigInteger)
    granted_at: datetime
    expires_at: datetime | None = None
    expired_at: datetime | None = None


class HoldRow(SQLModel, table=True):
    """Credits set aside for work in progress; ends once."""

    __tablename__ = "hold"
    __table_args__ = (Index("hold_open", "expires_at", postgresql_where=text("state = 'open'")),)

    tenant_id: UUID = Field(primary_key=True)
    key: str = Field(primary_key=True)
    amount_millicredits: int = Field(sa_type=BigInteger)
    captured_millicredits: int | None = Field(default=None, sa_type=BigInteger)
    state: str = "open"
    rate_card: str
    budget_day: date | None = None
    budget_scopes: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    opened_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None


class ChargeKeyRow(SQLModel, table=True):
    """The only place where a money key is unique; kept for good."""

    __tablename__ = "charge_key"

    tenant_id: UUID = Field(primary_key=True)
    key: str = Field(primary_key=True)
    payload_hash: bytes
    sequence: int = Field(sa_type=BigInteger)


class LedgerEntryRow(SQLModel, table=True):
    """An immutable signed change of a wallet."""

    __tablename__ = "ledger_entry"
    __table_args__ = (
        Index("ledger_entry_created", "tenant_id", "created_at"),
        Index(
            "ledger_entry_refunds",
            "tenant_id",
            "refunds_sequence",
            postgresql_where=text("refunds_sequence IS NOT NULL"),
        ),
    )

    tenant_id: UUID = Field(primary_key=True)
    sequence: int = Field(primary_key=True, sa_type=BigInteger)
    kind: str
    key: str
    amount_millicredits: int = Field(sa_type=BigInteger)
    balance_before_millicredits: int = Field(sa_type=BigInteger)
    balance_after_millicredits: int = Field(sa_type=BigInteger)
    receipt_id: UUID | None = None
    refunds_sequence: int | None = Field(default=None, sa_type=BigInteger)
    reason: str = ""
    created_at: datetime
    hash: bytes


class EntryGrantRow(SQLModel, table=True):
    """Which grants an entry added to or took from."""

    __tablename__ = "entry_grant"

    tenant_id: UUID = Field(primary_key=True)
    sequence: int = Field(primary_key=True, sa_type=BigInteger)
    grant_id: UUID = Field(primary_key=True)
    amount_millicredits: int = Field(sa_type=BigInteger)


class ReceiptRow(SQLModel, table=True):
    """The itemized account of one charge."""

    __tablename__ = "receipt"
    __table_args__ = (
        Index("receipt_conversation", "tenant_id", "conversation_id", "created_at"),
        Index("receipt_sequence", "tenant_id", "sequence"),
        Index("receipt_turn", "tenant_id", "turn_id"),
    )

    tenant_id: UUID = Field(primary_key=True)
    receipt_id: UUID = Field(primary_key=True)
    sequence: int = Field(sa_type=BigInteger)
    subject: str
    turn_id: UUID | None = None
    conversation_id: UUID | None = None
    contact_id: UUID | None = None
    line_id: UUID | None = None
    agent_id: UUID | None = None
    agent_version: int | None = None
    channel: str | None = None
    rate_card: str
    lines: JsonValue = Field(sa_type=JSONB)
    total_millicredits: int = Field(sa_type=BigInteger)
    provider_usage: JsonValue = Field(default_factory=dict, sa_type=JSONB)
    day: date
    created_at: datetime


class UsageDayRow(SQLModel, table=True):
    """Charges and refunds by the tenant's day."""

    __tablename__ = "usage_day"

    tenant_id: UUID = Field(primary_key=True)
    day: date = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    item: str = Field(primary_key=True)
    quantity: int = Field(sa_type=BigInteger)
    amount_millicredits: int = Field(sa_type=BigInteger)


class BudgetDayRow(SQLModel, table=True):
    """What counts against the daily limits."""

    __tablename__ = "budget_day"

    tenant_id: UUID = Field(primary_key=True)
    day: date = Field(primary_key=True)
    scope: str = Field(primary_key=True)
    held_millicredits: int = Field(default=0, sa_type=BigInteger)
    charged_millicredits: int = Field(default=0, sa_type=BigInteger)


class SubscriptionRow(SQLModel, table=True):
    """A tenant's plan and its billing cycle."""

    __tablename__ = "subscription"
    __table_args__ = (Index("subscription_due", "cycle_ends_on", postgresql_where=text("state = 'active'")),)

    tenant_id: UUID = Field(primary_key=True)
    plan: str
    anchor_on: date
    cycle: int
    cycle_starts_on: date
    cycle_ends_on: date
    state: str = "active"
    next_plan: str | None = None
    terms: JsonValue = Field(default=None, sa_type=JSONB(none_as_null=True), nullable=True)
