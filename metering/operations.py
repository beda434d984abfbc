"""What can be asked of a wallet, and what it answers: plain values, no I/O.

`metering.ledger.apply` takes operations in order and returns one outcome for each. A refusal and a
key seen before are outcomes, not exceptions: a batch never fails because of them.
All amounts are millicredits and never negative; the kind of operation gives the direction. A value that could move
credits the other way cannot be made: ValueError.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from metering.rates import Line

GrantKind = Literal["plan", "refill", "manual", "promotion", "refund"]
ReceiptSubject = Literal["turn", "message", "received", "rental", "call"]
RefusalReason = Literal[
    "insufficient_credits",  # more than the whole balance, even at the floor: the tenant pauses
    "tenant_paused",  # paused earlier; nothing was tried
    "credits_in_flight",  # the wallet could pay, but holds in flight kept the credits for too long
    "over_budget",  # a daily limit, even at the floor; `scope` says which
    "hold_ended",  # released or expired, and the balance cannot pay afresh
    "no_such_charge",  # a refund of a charge that never was
    "refund_exceeds_charge",
    "key_reused",  # the key was used before with another payload
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Credits put into the wallet, once per reference. Resumes a paused tenant."""

    reference: str
    grant_id: UUID
    kind: GrantKind
    amount_millicredits: int
    reason: str
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.amount_millicredits <= 0:
            raise ValueError(f"a grant of {self.amount_millicredits} millicredits")


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLimit:
    """A daily limit on one scope, such as `contact:<id>:whatsapp`, `agent:<id>`, `channel:sms`."""

    scope: str
    limit_millicredits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedHold:
    """A hold that does not shrink, opened beside another one."""

    key: str
    millicredits: int

    def __post_init__(self) -> None:
        if self.millicredits < 0:
            raise ValueError(f"a hold of {self.millicredits} millicredits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Reserve the most a piece of work can cost.

    What may be held is `min_millicredits + n * step_millicredits`, at most `max_millicredits`.
    A hold whose maximum fits the balance but not what is available waits (`MustWait`) until
    `may_shrink`; one whose maximum exceeds the balance shrinks at once.
    The holds `beside` are opened with it or not at all, within the same limits. A hold that `grows` is enlarged if it
    is open already, by whole steps as far as can be; `day` is then the day it was opened for.
    """

    key: str  # turn:<id>:<attempt>
    max_millicredits: int
    min_millicredits: int
    step_millicredits: int
    may_shrink: bool
    expires_at: datetime
    rate_card: str
    day: date  # the tenant's day, for budgets
    budgets: tuple[BudgetLimit, ...] = ()
    beside: tuple[FixedHold, ...] = ()
    grows: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.min_millicredits <= self.max_millicredits:
            raise ValueError(f"a hold of {self.min_millicredits} to {self.max_millicredits} millicredits")
        if self.step_millicredits < 1 and self.min_millicredits < self.max_millicredits:
            raise ValueError(f"a hold that shrinks by {self.step_millicredits} millicredits")

    @property
    def beside_millicredits(self) -> int:
        return sum(fixed.millicredits for fixed in self.beside)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptDraft:
    """The itemized account of one charge, before it has a place in the ledger."""

    receipt_id: UUID
    subject: ReceiptSubject
    rate_card: str
    lines: tuple[Line, ...]
    day: date  # the tenant's day, for usage
    channel: str | None = None
    turn_id: UUID | None = None
    conversation_id: UUID | None = None
    contact_id: UUID | None = None
    line_id: UUID | None = None
    agent_id: UUID | None = None
    agent_version: int | None = None
    provider_usage: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.total_millicredits < 0:
            raise ValueError(f"a receipt of {self.total_millicredits} millicredits")

    @property
    def total_millicredits(self) -> int:
        return sum(line.amount_millicredits for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """Settle a hold for its true cost; the rest returns.

    A hold that has expired meanwhile is charged afresh if the balance allows. What exceeds the hold
    is absorbed: a line `absorbed` takes it off the receipt, so that the receipt still adds up.
    """

    hold_key: str
    key: str  # turn:<id>
    receipt: ReceiptDraft


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """Take credits without a hold: rent, received SMS, a free message (zero).

    What is done for a customer is refused while the tenant is paused, and pauses it if the whole balance cannot pay.
    """

    key: str
    receipt: ReceiptDraft
    for_customer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """End a hold for nothing. A hold that has ended already stays as it is."""

    hold_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireHold:
    """End a hold whose lease ran out before `now`."""

    hold_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Give back part or all of a charge, to the grants it came from. Resumes a paused tenant."""

    key: str  # refund:<charge>:<part>
    charge_key: str
    lines: tuple[Line, ...]
    channel: str | None
    day: date
    reason: str

    def __post_init__(self) -> None:
        if self.total_millicredits < 0:
            raise ValueError(f"a refund of {self.total_millicredits} millicredits")

    @property
    def total_millicredits(self) -> int:
        return sum(line.amount_millicredits for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireGrant:
    """Take what is left of a grant whose time is over, as far as it is available."""

    grant_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireExcess:
    """Take what earlier cycles' packages have left beyond what rolls over, as far as it is available; once.

    Earlier are those plan grants whose reference sorts before the given one: references are `plan:<first day>`.
    """

    key: str  # rollover:<first day of the cycle that begins>
    before_reference: str
    keep_millicredits: int

    def __post_init__(self) -> None:
        if self.keep_millicredits < 0:
            raise ValueError(f"a rollover of {self.keep_millicredits} millicredits")


Operation = Grant | Hold | Capture | Charge | Release | ExpireHold | Refund | ExpireGrant | ExpireExcess


@dataclass(frozen=True, slots=True, kw_only=True)
class LowBalance:
    """The balance has fallen to a level of its mark, which is the balance right after the last grant."""

    percent: int  # 20, 10, or 0: nothing more can be paid
    balance_millicredits: int
    full_millicredits: int
    full_sequence: int  # names the mark: the grant's entry, 0 if there was none


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A ledger entry was written (or had been written before under this key: `replayed`)."""

    key: str
    sequence: int
    amount_millicredits: int  # signed as in the ledger
    balance_before_millicredits: int
    balance_after_millicredits: int
    receipt_id: UUID | None = None
    absorbed_millicredits: int = 0
    resumed: bool = False  # the wallet was paused before this
    low: LowBalance | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The hold stands, for this amount."""

    key: str
    amount_millicredits: int
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A hold ended without a charge, a grant had nothing left, a refund was of nothing; no entry was written."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MustWait:
    """Not now: holds in flight keep what this hold needs. Ask again when one has ended."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The wallet says no; nothing was changed (but for the pause, with insufficient credits)."""

    key: str
    reason: RefusalReason
    needed_millicredits: int = 0
    balance_millicredits: int = 0
    scope: str | None = None
    paused_now: bool = False  # this refusal is the one that paused the tenant
    low: LowBalance | None = None


Outcome = Applied | Held | Ended | MustWait | Refused
