"""The schema of agents and what their tools keep, as SQLModel tables: for the cold paths.

The migrations decide; a test says that these agree.
"""

from datetime import datetime
from uuid import UUID

from pydantic import JsonValue
from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB, TSTZRANGE, Range
from sqlmodel import Field, SQLModel


class AgentRow(SQLModel, table=True):
    """A configured persona: the draft, and which version is published."""

    __tablename__ = "agent"
    __table_args__ = (UniqueConstraint("tenant_id", "name", name="agent_name_unique"),)

    tenant_id: UUID = Field(primary_key=True)
    agent_id: UUID = Field(primary_key=True)
    name: str
    draft: JsonValue | None = Field(default=None, sa_type=JSONB)
    published_version: int | None = None
    created_at: datetime


class AgentVersionRow(SQLModel, table=True):
    """A frozen agent."""

    __tablename__ = "agent_version"

    tenant_id: UUID = Field(primary_key=True)
    agent_id: UUID = Field(primary_key=True)
    version: int = Field(primary_key=True)
    configuration: JsonValue = Field(sa_type=JSONB)
    note: str = ""
    published_at: datetime


class AppointmentRow(SQLModel, table=True):
    """A booking; overlaps are excluded by the database."""

    __tablename__ = "appointment"
    __table_args__ = (Index("appointment_contact", "tenant_id", "contact_id"),)

    tenant_id: UUID = Field(primary_key=True)
    appointment_id: UUID = Field(primary_key=True)
    agent_id: UUID
    contact_id: UUID
    service: str
    during: Range[datetime] = Field(sa_type=TSTZRANGE)
    state: str = "booked"
    customer_name: str = ""
    note: str = ""
    created_at: datetime
    changed_at: datetime


class ToolCallRow(SQLModel, table=True):
    """A tool's recorded result; a later attempt of the turn starts from these."""

    __tablename__ = "tool_call"

    tenant_id: UUID = Field(primary_key=True)
    turn_id: UUID = Field(primary_key=True)
    position: int = Field(primary_key=True)
    attempt: int
    name: str
    arguments: JsonValue = Field(sa_type=JSONB)
    arguments_hash: bytes
    writes: bool
    state: str
    result: str | None = None
    created_at: datetime
