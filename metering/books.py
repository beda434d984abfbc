"""A wallet's rows in memory while a batch of operations is decided: what was loaded and what has changed (pure)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from metering.chain import Entry
from metering.operations import GrantKind, ReceiptDraft
from metering.rates import Line

HoldState = Literal["open", "captured", "released", "expired"]
BudgetKey = tuple[date, str]
UsageKey = tuple[date, str, str]  # day, channel ("" without one), item


@dataclass(slots=True, kw_only=True)
class WalletRow:
    """The wallet as the batch leaves it."""

    balance: int
    held: int
    sequence: int
    chain_hash: bytes
    paused: bool
    full: int = 0  # the mark: the balance right after the last grant, and that grant's entry
    full_sequence: int = 0

    @property
    def available(self) -> int:
        return self.balance - self.held


@dataclass(slots=True, kw_only=True)
class GrantRow:
    """Credits that were put in, and what is left of them."""

    grant_id: UUID
    kind: GrantKind
    reference: str
    reason: str
    amount: int
    remaining: int
    granted_at: datetime
    expires_at: datetime | None
    expired_at: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        return self.expired_at is not None or (self.expires_at is not None and self.expires_at <= now)


@dataclass(slots=True, kw_only=True)
class HoldRow:
    """A hold; it ends once."""

    key: str
    amount: int
    state: HoldState
    captured: int | None
    rate_card: str
    budget_day: date | None
    budget_scopes: Sequence[str]
    opened_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None


@dataclass(slots=True)
class BudgetRow:
    """What one scope has held and charged on one day."""

    held: int = 0
    charged: int = 0


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that was used before, and the entry it led to."""

    payload_hash: bytes
    entry: Entry


@dataclass(slots=True, kw_only=True)
class ChargedBefore:
    """A charge that may be refunded: what it took from which grant, less what was given back since."""

    entry: Entry
    taken: list[tuple[UUID, int]]  # in the order in which it was taken; what is left to give back
    refunded: int


@dataclass(slots=True, kw_only=True)
class Posting:
    """An entry about to be written, with all that belongs to it."""

    entry: Entry
    hash: bytes
    payload_hash: bytes
    grants: list[tuple[UUID, int]]
    receipt: ReceiptDraft | None = None
    lines: Sequence[Line] = ()


@dataclass(slots=True, kw_only=True)
class Books:
    """Everything a batch looks at and changes. Lists of changes are filled while deciding."""

    tenant_id: UUID
    now: datetime
    wallet: WalletRow
    grants: dict[UUID, GrantRow] = field(default_factory=dict)
    holds: dict[str, HoldRow] = field(default_factory=dict)
    budgets: dict[BudgetKey, BudgetRow] = field(default_factory=dict)
    keys: dict[str, KnownKey] = field(default_factory=dict)
    charges: dict[str, ChargedBefore] = field(default_factory=dict)
    new_grants: list[GrantRow] = field(default_factory=list)
    changed_grants: set[UUID] = field(default_factory=set)
    new_holds: set[str] = field(default_factory=set)
    changed_holds: set[str] = field(default_factory=set)
    changed_budgets: dict[BudgetKey, BudgetRow] = field(default_factory=dict)  # by how much
    usage: dict[UsageKey, list[int]] = field(default_factory=dict)  # quantity, amount
    postings: list[Posting] = field(default_factory=list)
    wallet_changed: bool = False
    _ordered: list[GrantRow] = field(default_factory=list)  # grants only come: as long as before, as sorted as before

    def live_grants(self) -> Iterator[GrantRow]:
        """Yield what charges are taken from, in order: earliest expiry first, then the oldest."""
        if len(self._ordered) != len(self.grants):
            far = datetime.max.replace(tzinfo=self.now.tzinfo)
            self._ordered = sorted(
                self.grants.values(), key=lambda grant: (grant.expires_at or far, grant.granted_at, grant.grant_id)
            )
        return (grant for grant in self._ordered if grant.remaining > 0)

    def move_held(self, amount: int) -> None:
        self.wallet.held += amount
        self.wallet_changed = True

    def move_budget(self, day: date, scope: str, *, held: int = 0, charged: int = 0) -> None:
        for row in (
            self.budgets.setdefault((day, scope), BudgetRow()),
            self.changed_budgets.setdefault((day, scope), BudgetRow()),
        ):
            row.held += held
            row.charged += charged

    def count_usage(self, day: date, channel: str | None, lines: Sequence[Line], *, sign: int) -> None:
        for line in lines:
            totals = self.usage.setdefault((day, channel or "", line.item.value), [0, 0])
            totals[0] += sign * line.quantity
            totals[1] += sign * line.amount_millicredits
