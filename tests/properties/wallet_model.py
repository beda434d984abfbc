"""A wallet in plain Python: what the ledger must answer, said once more without batches, rows or SQL."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from metering.operations import (
    Applied,
    BudgetLimit,
    Capture,
    Charge,
    Ended,
    ExpireExcess,
    ExpireGrant,
    ExpireHold,
    Grant,
    Held,
    Hold,
    MustWait,
    Operation,
    Outcome,
    Refund,
    Refused,
    Release,
)

Answer = tuple[str, int | str]  # the outcome's name; the amount or the reason
FAR = datetime.max.replace(tzinfo=UTC)


def answer_of(outcome: Outcome) -> Answer:
    match outcome:
        case Applied() | Held():
            return type(outcome).__name__, outcome.amount_millicredits
        case Refused():
            return "Refused", outcome.reason
        case Ended() | MustWait():
            return type(outcome).__name__, ""


def sizes_of(hold: Hold) -> set[int]:
    return {*range(hold.min_millicredits, hold.max_millicredits, hold.step_millicredits), hold.max_millicredits}


@dataclass
class Lot:
    """A grant and what is left of it."""

    grant_id: UUID
    left: int
    granted_at: datetime
    expires_at: datetime
    package: str = ""  # its reference, if a plan granted it


@dataclass
class Model:
    """Answers operations; new keys only, repeated ones are the machine's business."""

    tenant_id: UUID
    now: datetime
    lots: dict[UUID, Lot] = field(default_factory=dict)
    open_holds: dict[str, Hold] = field(default_factory=dict)
    amounts: dict[str, int] = field(default_factory=dict)  # of every hold there was
    captured: set[str] = field(default_factory=set)
    taken: dict[str, list[UUID]] = field(default_factory=dict)  # of every charge: a grant for each millicredit
    charged_today: int = 0  # against the one daily limit there is
    paused: bool = False

    @property
    def balance(self) -> int:
        return sum(lot.left for lot in self.lots.values())

    @property
    def held(self) -> int:
        return sum(self.amounts[key] for key in self.open_holds)

    @property
    def held_today(self) -> int:
        return sum(self.amounts[key] for key, hold in self.open_holds.items() if hold.budgets)

    def answer(self, operation: Operation) -> Answer:
        match operation:
            case Grant():
                answer = self._grant(operation.grant_id, operation.amount_millicredits, operation.expires_at or FAR)
                self.lots[operation.grant_id].package = operation.reference if operation.kind == "plan" else ""
                return answer
            case Hold():
                return self._hold(operation)
            case Capture():
                return self._capture(operation)
            case Charge():
                return self._charge(operation.key, operation.receipt.total_millicredits)
            case Refund():
                return self._refund(operation)
            case Release() | ExpireHold() | ExpireGrant() | ExpireExcess():
                return self._end(operation)

    def _grant(self, grant_id: UUID, amount: int, expires_at: datetime) -> Answer:
        self.lots[grant_id] = Lot(grant_id, amount, self.now, expires_at)
        self.paused = False
        return "Applied", amount

    def _hold(self, hold: Hold) -> Answer:
        if hold.grows:
            return self._grow(hold)
        if self.paused:
            return "Refused", "tenant_paused"
        beside = sum(fixed.millicredits for fixed in hold.beside)
        wanted = sizes_of(hold)
        for limit in hold.budgets:
            wanted = {size for size in wanted if size + beside <= self.left_today(limit)}
        if not wanted:
            return "Refused", "over_budget"
        if hold.min_millicredits + beside > self.balance:
            self.paused = True
            return "Refused", "insufficient_credits"
        fitting = {size for size in wanted if size + beside <= self.balance - self.held}
        in_full = max(wanted) in fitting
        if not fitting or not (in_full or hold.may_shrink or max(wanted) + beside > self.balance):
            return "MustWait", ""
        self.open_holds[hold.key], self.amounts[hold.key] = hold, max(fitting)
        for fixed in hold.beside:
            self.open_holds[fixed.key], self.amounts[fixed.key] = replace(hold, key=fixed.key), fixed.millicredits
        return "Held", max(fitting)

    def _grow(self, hold: Hold) -> Answer:
        if hold.key not in self.open_holds:
            return "Refused", "hold_ended"
        room = 0 if self.paused else self.balance - self.held
        for limit in hold.budgets:
            room = min(room, self.left_today(limit))
        amount = self.amounts[hold.key]
        self.amounts[hold.key] = max({amount} | {size for size in sizes_of(hold) if size <= amount + room})
        return "Held", self.amounts[hold.key]

    def left_today(self, limit: BudgetLimit) -> int:
        return limit.limit_millicredits - self.held_today - self.charged_today

    def _capture(self, capture: Capture) -> Answer:
        total = capture.receipt.total_millicredits
        hold = self.open_holds.pop(capture.hold_key, None)
        if hold is not None:
            total = min(total, self.amounts[capture.hold_key])
            self.captured.add(capture.hold_key)
        elif capture.hold_key in self.captured or total > self.balance - self.held:
            return "Refused", "hold_ended"
        if capture.hold_key.endswith("limited"):
            self.charged_today += total
        return self._take(capture.key, total)

    def _charge(self, key: str, total: int) -> Answer:
        return ("Refused", "insufficient_credits") if total > self.balance - self.held else self._take(key, total)

    def _take(self, key: str, total: int) -> Answer:
        self.taken[key] = []
        for lot in sorted(self.lots.values(), key=lambda lot: (lot.expires_at, lot.granted_at, lot.grant_id)):
            part = min(lot.left, total - len(self.taken[key]))
            lot.left -= part
            self.taken[key] += [lot.grant_id] * part
        return "Applied", -total

    def _refund(self, refund: Refund) -> Answer:
        taken, total = self.taken.get(refund.charge_key), refund.total_millicredits
        if taken is None:
            return "Refused", "no_such_charge"
        if total > len(taken):
            return "Refused", "refund_exceeds_charge"
        if total == 0:
            return "Ended", ""
        back = [self.lots[taken.pop()] for _ in range(total)]
        homeless = sum(lot.expires_at <= self.now for lot in back)
        for lot in back:
            lot.left += lot.expires_at > self.now
        if homeless:
            self._grant(uuid5(self.tenant_id, refund.key), homeless, self.now + timedelta(days=30))
        self.paused = False
        return "Applied", total

    def _end(self, operation: Release | ExpireHold | ExpireGrant | ExpireExcess) -> Answer:
        match operation:
            case ExpireExcess():
                return self._expire_excess(operation)
            case Release():
                self.open_holds.pop(operation.hold_key, None)
            case ExpireHold():
                hold = self.open_holds.get(operation.hold_key)
                if hold is not None and hold.expires_at <= self.now:
                    del self.open_holds[operation.hold_key]
            case ExpireGrant():
                lot = self.lots[operation.grant_id]
                amount = min(lot.left, self.balance - self.held)
                if lot.expires_at <= self.now and amount:
                    lot.left -= amount
                    return "Applied", -amount
        return "Ended", ""

    def _expire_excess(self, operation: ExpireExcess) -> Answer:
        earlier = [lot for lot in self.lots.values() if "" < lot.package < operation.before_reference]
        live = sorted((lot for lot in earlier if lot.expires_at > self.now), key=lambda lot: lot.package)
        excess = sum(lot.left for lot in live) - operation.keep_millicredits
        amount = left = max(0, min(excess, self.balance - self.held))
        for lot in live:
            part = min(lot.left, left)
            lot.left, left = lot.left - part, left - part
        return ("Applied", -amount) if amount else ("Ended", "")
