"""Every operation in any order and any batches, on real PostgreSQL, against a model in plain Python."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import count

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from typing_extensions import override

from gateway.db import Database
from metering.audit import audit
from metering.ledger import apply
from metering.operations import (
    Applied,
    BudgetLimit,
    Capture,
    Charge,
    ExpireExcess,
    ExpireGrant,
    ExpireHold,
    FixedHold,
    Grant,
    Hold,
    Operation,
    Outcome,
    Refund,
    Release,
)
from metering.rates import Item, Line
from tests.metering import operations as make
from tests.metering.spending import some_id
from tests.properties.wallet_model import Answer, Model, answer_of

AMOUNTS = st.sampled_from([0, 1, 7, 20, 33, 50, 80])
EXPIRIES_S = st.sampled_from([None, 10, 10, 20])
SOME = st.integers(0, 10**6)
LIMIT = (BudgetLimit(scope="channel:sms", limit_millicredits=120),)


class WalletMachine(RuleBasedStateMachine):
    """Rules add to a batch; `commit` lets the ledger decide it and compares answers and figures."""

    database_url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.db = self.runner.run(Database.connect(self.database_url, connections=2))
        self.tenant_id = some_id()
        self.model = Model(self.tenant_id, make.NOW)
        self.batch: list[tuple[Operation, Answer]] = []
        self.holds: list[str] = []
        self.asked: dict[str, Hold] = {}
        self.charges: list[str] = []
        self.grants: list[Grant] = []
        self.paid: list[tuple[Grant | Capture | Charge | Refund, Applied]] = []
        self.number = count(1)

    def ask(self, operation: Operation) -> Answer:
        answer = self.model.answer(operation)
        self.batch.append((operation, answer))
        return answer

    @initialize(first=st.lists(st.tuples(st.integers(20, 90), EXPIRIES_S), min_size=2, max_size=4))
    def begin_with_credits(self, first: list[tuple[int, int | None]]) -> None:
        for amount, expires_s in first:
            self.grant(amount, expires_s)

    @rule(amount=st.integers(1, 80), expires_s=EXPIRIES_S)
    def grant(self, amount: int, expires_s: int | None) -> None:
        expires_at = None if expires_s is None else self.model.now + timedelta(seconds=expires_s)
        self.grants.append(make.grant(amount, f"invoice {next(self.number)}", expires_at=expires_at))
        self.ask(self.grants[-1])

    @rule(amount=st.integers(1, 80), expires_s=EXPIRIES_S)
    def begin_a_cycle(self, amount: int, expires_s: int | None) -> None:
        """What earlier packages have left beyond 50 goes, and the next one comes."""
        reference = f"plan:{next(self.number):05d}"
        self.ask(ExpireExcess(key=f"rollover:{reference}", before_reference=reference, keep_millicredits=50))
        expires_at = None if expires_s is None else self.model.now + timedelta(seconds=expires_s)
        self.grants.append(make.grant(amount, reference, expires_at=expires_at, kind="plan"))
        self.ask(self.grants[-1])

    @rule(most=AMOUNTS, less=AMOUNTS, may_shrink=st.booleans(), limited=st.booleans(), fee=st.none() | AMOUNTS)
    def hold(self, most: int, less: int, *, may_shrink: bool, limited: bool, fee: int | None) -> None:
        key = f"turn:{next(self.number)}:{'limited' if limited else 'free'}"
        beside = () if fee is None else (FixedHold(key=f"fee:{key}", millicredits=fee),)
        asked = make.hold(
            key,
            most,
            max(0, most - less),
            may_shrink=may_shrink,
            budgets=LIMIT if limited else (),
            now=self.model.now,
        )
        if self.ask(replace(asked, beside=beside))[0] == "Held":
            self.holds += [key, *(fixed.key for fixed in beside)]
            self.asked[key] = asked

    @precondition(lambda self: self.asked)
    @rule(which=SOME)
    def grow(self, which: int) -> None:
        self.ask(replace(list(self.asked.values())[which % len(self.asked)], grows=True))

    @precondition(lambda self: self.holds)
    @rule(which=SOME, amount=AMOUNTS)
    def capture(self, which: int, amount: int) -> None:
        key = f"turn:{next(self.number)}"
        if self.ask(make.capture(key, self.holds[which % len(self.holds)], amount))[0] == "Applied":
            self.charges.append(key)

    @rule(amount=AMOUNTS)
    def charge(self, amount: int) -> None:
        key = f"sms:{next(self.number)}"
        if self.ask(make.charge(key, amount))[0] == "Applied":
            self.charges.append(key)

    @precondition(lambda self: self.charges)
    @rule(which=SOME, amount=st.sampled_from([0, 1, 7, 20, 33]))
    def refund(self, which: int, amount: int) -> None:
        charge = self.charges[which % len(self.charges)]
        self.ask(make.refund(f"refund:{charge}:{next(self.number)}", charge, amount))

    @precondition(lambda self: self.holds)
    @rule(which=SOME, expire=st.booleans())
    def end_hold(self, which: int, *, expire: bool) -> None:
        key = self.holds[which % len(self.holds)]
        self.ask(ExpireHold(hold_key=key) if expire else Release(hold_key=key))

    @precondition(lambda self: self.grants)
    @rule(which=SOME)
    def expire_grant(self, which: int) -> None:
        self.ask(ExpireGrant(grant_id=self.grants[which % len(self.grants)].grant_id))

    @rule()
    def commit(self) -> None:
        batch, self.batch = self.batch, []
        outcomes = self.apply([operation for operation, _ in batch])
        assert [answer_of(outcome) for outcome in outcomes] == [answer for _, answer in batch]
        for (operation, _), outcome in zip(batch, outcomes, strict=True):
            if isinstance(operation, Grant | Capture | Charge | Refund) and isinstance(outcome, Applied):
                self.paid.append((operation, outcome))
        self.runner.run(self.compare())

    @rule(seconds=st.sampled_from([5, 10, 20]))
    def wait(self, seconds: int) -> None:
        self.commit()
        self.model.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.paid and not self.batch)
    @rule(which=SOME)
    def repeat(self, which: int) -> None:
        operation, first = self.paid[which % len(self.paid)]
        [again] = self.apply([operation])
        assert isinstance(again, Applied)
        assert again.replayed
        assert (again.sequence, again.amount_millicredits, again.balance_after_millicredits) == (
            first.sequence,
            first.amount_millicredits,
            first.balance_after_millicredits,
        )

    @precondition(lambda self: self.paid)
    @rule(which=SOME)
    def reuse(self, which: int) -> None:
        """A key that was used comes again in a batch, for one millicredit more: nothing happens."""
        operation, _ = self.paid[which % len(self.paid)]
        self.batch.append((one_more(operation), ("Refused", "key_reused")))

    def apply(self, operations: list[Operation]) -> list[Outcome]:
        async def in_transaction() -> list[Outcome]:
            async with self.db.transaction(self.tenant_id) as connection:
                return await apply(connection, self.tenant_id, operations, now=self.model.now)

        return self.runner.run(in_transaction())

    async def compare(self) -> None:
        async with self.db.transaction(self.tenant_id) as connection:
            wallet = await connection.fetchrow(
                """SELECT balance_millicredits, held_millicredits, state = 'paused' FROM wallet
                   WHERE tenant_id = $1""",
                self.tenant_id,
            )
            grants = await connection.fetch(
                "SELECT grant_id, remaining_millicredits FROM credit_grant WHERE tenant_id = $1", self.tenant_id
            )
            limit = await connection.fetchrow(
                "SELECT held_millicredits, charged_millicredits FROM budget_day WHERE tenant_id = $1", self.tenant_id
            )
        assert wallet is not None
        assert tuple(limit or (0, 0)) == (self.model.held_today, self.model.charged_today)
        assert tuple(wallet) == (self.model.balance, self.model.held, self.model.paused)
        assert dict(map(tuple, grants)) == {lot.grant_id: lot.left for lot in self.model.lots.values()}

    @override
    def teardown(self) -> None:
        try:
            self.commit()
            self.runner.run(self.check_the_audit())
        finally:
            self.runner.run(self.db.close())
            self.runner.close()

    async def check_the_audit(self) -> None:
        async with self.db.transaction(self.tenant_id) as connection:
            assert await audit(connection, self.tenant_id, make.CARDS) == ()


def one_more(operation: Grant | Capture | Charge | Refund) -> Operation:
    match operation:
        case Grant():
            return replace(operation, amount_millicredits=operation.amount_millicredits + 1)
        case Refund():
            return replace(operation, lines=(*operation.lines, Line(Item.CHAT_OUTPUT, 1, 1)))
        case Capture() | Charge():
            more = (*operation.receipt.lines, Line(Item.CHAT_OUTPUT, 1, 1))
            return replace(operation, receipt=replace(operation.receipt, lines=more))


def test_any_operations_in_any_batches_leave_what_the_model_says(database_url: str) -> None:
    thorough = settings.get_current_profile_name() == "thorough"
    chosen = settings() if thorough else settings(max_examples=150, stateful_step_count=60)
    unhurried = settings(
        chosen, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
    )
    WalletMachine.database_url = database_url
    run_state_machine_as_test(WalletMachine, settings=unhurried)
