"""A phone call as its parts share it (pure): whose it is, what is held for it, how far it has come.

Credits are millicredits, times since the first stream's start milliseconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from agents.agent import AgentConfiguration
from gateway.voice.engines.base import PastItem
from metering.budgets import limits_for
from metering.operations import BudgetLimit, RefusalReason

CHANNEL = "voice"

# offered: Twilio was told to open a stream. live: a process pumps it. forwarding: a person is dialled or has it.
# away: its stream has ended to begin again elsewhere. ended, declined: over.
CallState = Literal["offered", "live", "forwarding", "away", "ended", "declined"]
Away = Literal["away", "forwarding"]
CountedBy = Literal["audio", "tiktoken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAccount:
    """Who pays a call, and by which prices and daily limits.

    `epoch` names the stream that acts for the call: `begin_stream` returns a higher one for each, and what an earlier
    stream still tries changes nothing (`at`). 0: none has begun.
    """

    tenant_id: UUID
    call_id: UUID
    conversation_id: UUID
    contact_id: UUID
    line_id: UUID
    agent_id: UUID
    agent_version: int
    rate_card: str  # the version that was valid when the call came in
    timezone: ZoneInfo
    budgets: tuple[BudgetLimit, ...]
    epoch: int = 0

    def day(self, now: datetime) -> date:
        """Return the tenant's day, on which budgets and usage are counted."""
        return now.astimezone(self.timezone).date()

    def at(self, epoch: int) -> "CallAccount":
        """Return the account as the stream of that epoch uses it."""
        return replace(self, epoch=epoch)


def account_of(
    configuration: AgentConfiguration,
    *,
    tenant_id: UUID,
    call_id: UUID,
    conversation_id: UUID,
    contact_id: UUID,
    line_id: UUID,
    agent_id: UUID,
    agent_version: int,
    rate_card: str,
    timezone: str,
    epoch: int = 0,
) -> CallAccount:
    """Return who pays a call. `configuration` is the agent's on the phone: its daily limits count."""
    budgets = configuration.budgets
    return CallAccount(
        tenant_id=tenant_id,
        call_id=call_id,
        conversation_id=conversation_id,
        contact_id=contact_id,
        line_id=line_id,
        agent_id=agent_id,
        agent_version=agent_version,
        rate_card=rate_card,
        timezone=ZoneInfo(timezone),
        budgets=limits_for(
            channel=CHANNEL,
            contact_id=contact_id,
            agent_id=agent_id,
            contact_credits=budgets.contact,
            agent_credits=budgets.agent,
            channel_credits=budgets.channel,
        ),
        epoch=epoch,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteHeld:
    """What is set aside for one minute: its fee, and audio for `audio_millicredits`.

    `full`: audio at worst case to the minute's end. A minute that has begun before keeps its fee's key; beginning it
    again charges nothing.
    """

    minute: int
    fee_key: str
    audio_key: str
    audio_millicredits: int
    full: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MinuteRefused:
    """A minute cannot be had; `scope` names the daily limit that is reached."""

    reason: RefusalReason
    scope: str | None = None


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a call has come: what the next stream goes on from. Everything in it is plain JSON.

    `meter` is the meter's snapshot, `past` the words and tools so far as `PastItem`s in mappings.
    """

    elapsed_ms: int = 0
    meter: Mapping[str, object] = field(default_factory=dict)
    past: Sequence[Mapping[str, object]] = ()
    greeted: bool = False
    why: str = ""  # the stream ended: "move", "transfer_failed", …

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "past": [dict(item) for item in self.past]}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Progress":
        """Read what `to_json` gave; what is missing is as at the beginning."""
        return cls(
            elapsed_ms=int(stored.get("elapsed_ms", 0)),
            meter=dict(stored.get("meter", {})),
            past=[dict(item) for item in stored.get("past", ())],
            greeted=bool(stored.get("greeted", False)),
            why=str(stored.get("why", "")),
        )

    @property
    def past_items(self) -> tuple[PastItem, ...]:
        return tuple(PastItem(**item) for item in self.past)  # type: ignore[arg-type]  # as `past_of` wrote them


def past_of(items: Sequence[PastItem]) -> list[Mapping[str, object]]:
    """Return items as `Progress.past` keeps them."""
    return [asdict(item) for item in items]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call as a stream finds it. `configuration` is the agent's on the phone."""

    account: CallAccount
    call_sid: str
    our_number: str  # E.164
    caller: str | None = field(repr=False)  # E.164; None: withheld
    configuration: AgentConfiguration = field(repr=False)
    contact_name: str = field(repr=False)
    contact_facts: Mapping[str, object] = field(repr=False)
    engine: str
    state: CallState
    progress: Progress | None = field(repr=False)  # None: nothing has been said yet
    offered_at: datetime
    stream_started_at: datetime | None  # of the first stream

    @property
    def tenant_id(self) -> UUID:
        return self.account.tenant_id

    @property
    def call_id(self) -> UUID:
        return self.account.call_id

    def at(self, epoch: int) -> "Call":
        """Return the call as the stream of that epoch pumps it."""
        return replace(self, account=self.account.at(epoch))
