"""Days that pass, cycles, choices and payments in any order, on real PostgreSQL, against a model in plain Python."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from typing_extensions import override

from gateway.billing import confirm, void
from gateway.db import Database
from gateway.errors import ProblemError
from gateway.ids import uuid7
from gateway.plan_choices import cancel, change_plan, refill, resume
from gateway.tenants import NewTenant, create_tenant
from metering.cycle import months_after
from metering.plans import Plan
from tests.conftest import Clock
from tests.gateway.subscriber import CAPPED, LARGE, OFFERS, SMALL, TOP, Subscriber
from tests.gateway.wiring import wired

PLANS = st.sampled_from([SMALL, CAPPED, LARGE, TOP])
SOME = st.integers(0, 10**6)
NAMES = count(1)


@dataclass
class Bill:
    """An invoice as the model knows it."""

    purpose: str
    credits: int
    cycle_starts_on: date
    state: str = "open"
    granted: bool = False


@dataclass
class Model:
    """What a subscription is and has, said once more without rows, keys or locks."""

    plan: Plan
    anchor_on: date
    on_account: bool
    cycle: int = 1
    cancelled: bool = False
    next_plan: Plan | None = None
    packages: int = 0
    beside: int = 0
    bills: list[Bill] = field(default_factory=list)

    @property
    def starts_on(self) -> date:
        return months_after(self.anchor_on, self.cycle - 1)

    @property
    def ends_on(self) -> date:
        return months_after(self.anchor_on, self.cycle)

    @property
    def owned(self) -> int:
        """The package of this cycle with what upgrades added to it."""
        return self.plan.credits + sum(bill.credits for bill in self._upgrades())

    def _upgrades(self) -> list[Bill]:
        return [
            bill
            for bill in self.bills
            if bill.purpose == "upgrade" and bill.state != "void" and bill.cycle_starts_on == self.starts_on
        ]

    def is_over(self, today: date) -> bool:
        return self.cancelled and self.ends_on <= today

    def bill(self, purpose: str, amount: int) -> None:
        bill = Bill(purpose, amount, self.starts_on)
        self.bills.append(bill)
        if self.on_account:
            self.grant(bill)

    def grant(self, bill: Bill) -> None:
        if not bill.granted:
            bill.granted = True
            self.packages += bill.credits if bill.purpose == "cycle" else 0
            self.beside += bill.credits if bill.purpose != "cycle" else 0

    def run(self, today: date) -> None:
        while not self.cancelled and self.ends_on <= today:
            if self.plan.rollover_max_credits is not None:
                self.packages = min(self.packages, self.plan.rollover_max_credits)
            self.plan, self.next_plan, self.cycle = self.next_plan or self.plan, None, self.cycle + 1
            self.bill("cycle", self.plan.credits)

    def change(self, plan: Plan, today: date, *, refill_now: bool) -> str:
        """Return the code of the refusal, or nothing."""
        if self.is_over(today):
            self.plan, self.anchor_on, self.cycle, self.cancelled, self.next_plan = plan, today, 1, False, None
            self.bill("cycle", plan.credits)
            return ""
        if self.cancelled:
            return "subscription_cancelled"
        if self._upgrades() and plan.credits < self.owned:
            return "upgrade_committed"
        if refill_now and plan.credits <= self.plan.credits:
            return "not_an_upgrade"
        if refill_now and plan.credits > self.owned:
            self.bill("upgrade", plan.credits - self.owned)
        self.next_plan = None if plan == self.plan else plan
        return ""

    def refill(self, today: date) -> str:
        if self.is_over(today):
            return "not_subscribed"
        if self.cancelled:
            return "subscription_cancelled"
        if self.next_plan is not None and self.next_plan.credits > self.owned:
            return self.change(self.next_plan, today, refill_now=True)
        if self.owned < TOP.credits:
            return "not_refillable"
        self.bill("refill", TOP.credits)
        return ""


class CyclesMachine(RuleBasedStateMachine):
    """Each rule does the same to a tenant and to the model."""

    database_url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.opened = contextlib.AsyncExitStack()
        self.clock = Clock(datetime(2027, 1, 31, 11, tzinfo=UTC))

    def new_id(self) -> UUID:
        self.clock.at += timedelta(milliseconds=1)  # so that ids are in order
        return uuid7(unix_ms=int(self.clock.at.timestamp() * 1000), random_bits=os.urandom(10))

    @property
    def today(self) -> date:
        return self.salon.tenant.day(self.clock.at)

    @initialize(plan=PLANS, on_account=st.booleans(), later=st.integers(0, 400))
    def begin(self, plan: Plan, *, on_account: bool, later: int) -> None:
        self.clock.at += timedelta(days=later)
        self.salon = self.runner.run(self.make(plan, on_account=on_account))
        self.model = Model(plan, self.today, on_account)
        self.model.bill("cycle", plan.credits)

    async def make(self, plan: Plan, *, on_account: bool) -> Subscriber:
        db = await Database.connect(self.database_url, connections=4)
        self.opened.push_async_callback(db.close)
        folder = self.opened.enter_context(tempfile.TemporaryDirectory())
        services = await self.opened.enter_async_context(wired(db, self.clock, self.new_id, Path(folder)))
        wanted = NewTenant(name=f"Salon {next(NAMES)}", on_account=on_account)
        tenant = await create_tenant(db, services.ledger, wanted, plan, now=self.clock.now(), new_id=self.new_id)
        return Subscriber(services=replace(services, plans=OFFERS), clock=self.clock, tenant=tenant)

    def told(self, choice: Callable[[], Awaitable[object]]) -> str:
        async def run() -> str:
            try:
                await choice()
            except ProblemError as problem:
                return problem.code
            return ""

        return self.runner.run(run())

    @rule(days=st.sampled_from([1, 15, 31, 31, 75]), times=st.integers(0, 3))
    def days_pass(self, days: int, times: int) -> None:
        self.clock.at += timedelta(days=days)

        async def at_once() -> None:
            await asyncio.gather(*(self.salon.cycle_runs() for _ in range(times)))

        self.runner.run(at_once())
        if times:
            self.model.run(self.today)

    @rule(plan=PLANS, refill_now=st.booleans())
    def change(self, plan: Plan, *, refill_now: bool) -> None:
        self.model.run(self.today)
        expected = self.model.change(plan, self.today, refill_now=refill_now)
        salon = self.salon
        assert self.told(lambda: change_plan(salon.services, salon.tenant, plan, refill_now=refill_now)) == expected

    @rule()
    def refill(self) -> None:
        self.model.run(self.today)
        expected = self.model.refill(self.today)
        assert self.told(lambda: refill(self.salon.services, self.salon.tenant)) == expected

    @rule()
    def cancel(self) -> None:
        self.model.run(self.today)
        expected = "not_subscribed" if self.model.is_over(self.today) else ""
        self.model.cancelled = True
        assert self.told(lambda: cancel(self.salon.services, self.salon.tenant)) == expected

    @rule()
    def resume(self) -> None:
        expected = "not_subscribed" if self.model.is_over(self.today) else ""
        self.model.cancelled = self.model.cancelled and bool(expected)
        assert self.told(lambda: resume(self.salon.services, self.salon.tenant)) == expected

    @precondition(lambda self: self.model.bills)
    @rule(which=SOME, withdraw=st.booleans())
    def pay_or_withdraw(self, which: int, *, withdraw: bool) -> None:
        place = which % len(self.model.bills)
        bill, invoice = self.model.bills[place], self.runner.run(self.salon.invoices())[place]
        refused_for = "paid" if withdraw else "void"
        expected = f"invoice_{refused_for}" if bill.state == refused_for else ""
        if not expected and bill.state == "open":
            bill.state = "void" if withdraw else "paid"
            if not withdraw:
                self.model.grant(bill)
        act = void if withdraw else confirm
        assert self.told(lambda: act(self.salon.services, invoice.reference)) == expected

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        if not hasattr(self, "model"):
            return
        subscription = self.runner.run(self.salon.subscription())
        model = self.model
        assert (subscription.plan, subscription.cycle) == (model.plan.name, model.cycle)
        assert (subscription.cycle_starts_on, subscription.cycle_ends_on) == (model.starts_on, model.ends_on)
        assert subscription.next_plan == (model.next_plan and model.next_plan.name)
        assert (subscription.state == "cancelled") == model.cancelled
        assert self.runner.run(self.salon.balance()) == model.packages + model.beside
        found = [(each.purpose, each.credits, each.state) for each in self.runner.run(self.salon.invoices())]
        assert found == [(bill.purpose, bill.credits, bill.state) for bill in model.bills]

    @override
    def teardown(self) -> None:
        try:
            if hasattr(self, "salon"):
                self.runner.run(self.salon.audit())
        finally:
            self.runner.run(self.opened.aclose())
            self.runner.close()


def test_any_days_choices_and_payments_leave_what_the_model_says(database_url: str) -> None:
    thorough = settings.get_current_profile_name() == "thorough"
    chosen = settings() if thorough else settings(max_examples=40, stateful_step_count=25)
    unhurried = settings(
        chosen, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
    )
    CyclesMachine.database_url = database_url
    run_state_machine_as_test(CyclesMachine, settings=unhurried)
