"""What accepting one event needs besides a connection, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from agents.store import VersionCache
from gateway.limits import Limits


class DuplicateError(Exception):
    """The event was accepted before: the transaction is to be rolled back, which is all there is to do."""


class ChannelNotOnLineError(Exception):
    """The line does not speak the channel that the event came by: it is to be put aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawBody:
    """What a tenant's row keeps of a webhook's body."""

    webhook_id: UUID
    provider: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """Where and when an event was delivered, and the body it came in."""

    tenant_id: UUID
    line_id: UUID
    channel: str
    raw: RawBody
    limits: Limits
    versions: VersionCache
    now: datetime
    new_id: Callable[[], UUID]

    @property
    def webhook_id(self) -> UUID:
        return self.raw.webhook_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A conversation that somebody in this process may be waiting for."""

    conversation_id: UUID
    due_at: datetime | None
