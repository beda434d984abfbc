"""Cycles begin once each, whatever runs how often; what is not on account waits for its payment."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest

from gateway.billing import confirm, void
from gateway.db import Database
from gateway.errors import BadInputError, ProblemError
from gateway.group_commit import Ledger
from gateway.plan_choices import cancel, change_plan
from gateway.sweeps import expire_grants
from gateway.tenants import NewTenant
from metering.plans import Plan
from tests.conftest import Clock
from tests.gateway.subscriber import CAPPED, LAPSING, LARGE, SMALL, TOP, Subscriber, subscribed

Subscribe = Callable[..., AbstractAsyncContextManager[Subscriber]]


@pytest.fixture
def subscribe(db: Database, clock: Clock, new_id: Callable[[], UUID], tmp_path: Path) -> Subscribe:
    @contextlib.asynccontextmanager
    async def make(plan: Plan = SMALL, *, day: str = "2027-01-31", prepaid: bool = False) -> AsyncIterator[Subscriber]:
        clock.at = clock.at.replace(year=int(day[:4]), month=int(day[5:7]), day=int(day[8:]), hour=11)
        wanted = NewTenant(name="Salon Lindenhof", on_account=not prepaid)
        async with subscribed(db, clock, new_id, tmp_path, wanted=wanted, plan=plan) as subscriber:
            yield subscriber
            await subscriber.audit()

    return make


async def test_each_cycle_is_granted_on_its_first_day_and_not_before(subscribe: Subscribe) -> None:
    async with subscribe() as salon:
        for day, time, balance in (
            ("2027-01-31", "23:59", 100),
            ("2027-02-27", "23:59", 100),
            ("2027-02-28", "00:00", 200),
            ("2027-03-30", "23:59", 200),
            ("2027-03-31", "00:00", 300),  # the clocks have gone forward
            ("2027-04-29", "23:59", 300),
            ("2027-04-30", "00:00", 400),
        ):
            salon.it_is(day, time)
            await salon.cycle_runs()
            await salon.cycle_runs()
            assert await salon.balance() == balance, day
        assert [invoice.state for invoice in await salon.invoices()] == ["open"] * 4
        assert all(invoice.granted_at for invoice in await salon.invoices())


async def test_a_subscription_begun_on_a_leap_day_has_a_cycle_each_february(subscribe: Subscribe) -> None:
    async with subscribe(day="2028-02-29") as salon:
        salon.it_is("2029-02-27", "23:59")
        await salon.cycle_runs()
        assert (await salon.subscription()).cycle == 12
        salon.it_is("2029-02-28", "00:00")
        await salon.cycle_runs()
        assert (await salon.subscription()).cycle_starts_on == date(2029, 2, 28)
        salon.it_is("2032-02-29", "00:00")
        await salon.cycle_runs()
        assert (await salon.subscription()).cycle_starts_on == date(2032, 2, 29)


async def test_cycles_that_were_missed_are_made_up_for_in_order(subscribe: Subscribe) -> None:
    async with subscribe() as salon:
        await change_plan(salon.services, salon.tenant, LARGE)
        salon.it_is("2027-04-30")
        await salon.cycle_runs()
        assert await salon.grants() == [
            ("plan:2027-01-31", 100),
            ("plan:2027-02-28", 250),
            ("plan:2027-03-31", 250),
            ("plan:2027-04-30", 250),
        ]
        assert [invoice.amount_minor for invoice in await salon.invoices()] == [4900, 9900, 9900, 9900]


async def test_cycles_that_run_at_once_in_several_processes_are_granted_once(
    subscribe: Subscribe, db: Database
) -> None:
    async with subscribe(CAPPED) as salon:
        salon.it_is("2027-04-30")
        other = replace(salon.services, ledger=Ledger(db, now=salon.clock.now, on_resumed=nobody_waits))
        elsewhere = replace(salon, services=other)
        await asyncio.gather(*(each.cycle_runs() for each in (salon, elsewhere) for _ in range(6)))
        await other.ledger.close()
        assert len(await salon.grants()) == len(await salon.invoices()) == 4
        assert await salon.balance() == 150 + 100


async def nobody_waits(*_: object) -> None:
    """What resumes with a paused wallet: nothing."""


async def test_what_does_not_roll_over_ends_with_its_cycle(subscribe: Subscribe) -> None:
    async with subscribe(LAPSING) as salon:
        await salon.spends(30)
        salon.it_is("2027-02-28")
        await salon.cycle_runs()
        await expire_grants(salon.services)
        assert await salon.balance() == 100


async def test_what_rolls_over_has_the_limit_that_the_ended_cycle_was_sold_with(subscribe: Subscribe) -> None:
    async with subscribe(CAPPED) as salon:
        salon.it_is("2027-02-28")
        await salon.cycle_runs()
        assert await salon.balance() == 200
        salon.offers(replace(CAPPED, rollover_max_credits=1), TOP)
        await change_plan(salon.services, salon.tenant, TOP, refill_now=True)
        salon.it_is("2027-03-31")
        await salon.cycle_runs()
        assert await salon.balance() == 150 + 900 + 1_000  # what was bought beside the packages does not count


async def test_before_its_payment_nothing_is_granted_and_then_once(subscribe: Subscribe) -> None:
    async with subscribe(prepaid=True) as salon:
        [first] = await salon.invoices()
        assert (await salon.balance(), first.state, first.granted_at) == (0, "open", None)
        salon.it_is("2027-02-28")
        await salon.cycle_runs()
        assert await salon.balance() == 0
        assert await salon.alerts() == ["invoice_open"]
        _, second = await salon.invoices()
        confirmed = await confirm(salon.services, second.reference, amount_minor=4900, paid_reference="SEPA 7")
        assert (confirmed.was_paid, confirmed.invoice.paid_reference) == (False, "SEPA 7")
        again = await asyncio.gather(*(confirm(salon.services, second.reference) for _ in range(5)))
        assert all(each.was_paid for each in again)
        assert await salon.grants() == [("plan:2027-02-28", 100)]


async def test_a_payment_confirmed_many_times_at_once_grants_once(subscribe: Subscribe) -> None:
    async with subscribe(prepaid=True) as salon:
        [invoice] = await salon.invoices()
        done = await asyncio.gather(*(confirm(salon.services, invoice.reference) for _ in range(8)))
        assert sorted(each.was_paid for each in done) == [False] + [True] * 7
        assert await salon.balance() == 100


async def test_on_account_a_payment_is_only_noted(subscribe: Subscribe) -> None:
    async with subscribe() as salon:
        [invoice] = await salon.invoices()
        confirmed = await confirm(salon.services, invoice.reference.lower().replace("-", " "))
        assert (confirmed.invoice.state, await salon.balance()) == ("paid", 100)


async def test_a_payment_of_another_amount_or_without_an_invoice_is_refused(subscribe: Subscribe) -> None:
    async with subscribe(prepaid=True) as salon:
        [invoice] = await salon.invoices()
        with pytest.raises(BadInputError, match="another amount"):
            await confirm(salon.services, invoice.reference, amount_minor=4899)
        with pytest.raises(BadInputError, match="no invoice has the reference"):
            await confirm(salon.services, "TM-00000-00000")
        assert await salon.balance() == 0


async def test_a_withdrawn_invoice_is_not_paid_and_a_paid_one_not_withdrawn(subscribe: Subscribe) -> None:
    async with subscribe(prepaid=True) as salon:
        [invoice] = await salon.invoices()
        assert (await void(salon.services, invoice.reference)).invoice.state == "void"
        with pytest.raises(ProblemError) as refused:
            await confirm(salon.services, invoice.reference)
        assert refused.value.code == "invoice_void"
        salon.it_is("2027-02-28")
        await salon.cycle_runs()
        _, second = await salon.invoices()
        await confirm(salon.services, second.reference)
        with pytest.raises(ProblemError) as refused:
            await void(salon.services, second.reference)
        assert refused.value.code == "invoice_paid"


async def test_a_package_paid_after_its_cycle_is_good_until_the_end_of_the_one_it_is_paid_in(
    subscribe: Subscribe,
) -> None:
    async with subscribe(LAPSING, prepaid=True) as salon:
        [invoice] = await salon.invoices()
        salon.it_is("2027-03-05")
        await salon.cycle_runs()
        await confirm(salon.services, invoice.reference)
        await expire_grants(salon.services)
        assert await salon.balance() == 100
        salon.it_is("2027-03-31")
        await expire_grants(salon.services)
        assert await salon.balance() == 0


async def test_a_plan_that_costs_nothing_waits_for_no_payment(subscribe: Subscribe) -> None:
    async with subscribe(replace(SMALL, price_minor=0), prepaid=True) as salon:
        [invoice] = await salon.invoices()
        assert (await salon.balance(), invoice.state) == (100, "paid")


async def test_a_plan_that_left_the_file_goes_on_as_it_was_agreed_and_is_told_of(subscribe: Subscribe) -> None:
    async with subscribe() as salon:
        salon.offers(LARGE, TOP)
        salon.it_is("2027-03-31")
        await salon.cycle_runs()
        assert await salon.balance() == 300
        assert await salon.alerts() == ["plan_not_on_offer"] * 2
        await change_plan(salon.services, salon.tenant, LARGE)
        salon.offers(TOP)
        salon.it_is("2027-04-30")
        await salon.cycle_runs()
        subscription = await salon.subscription()
        assert (subscription.plan, subscription.cycle, await salon.balance()) == ("Small", 4, 400)


async def test_of_a_plan_whose_terms_nobody_knows_nothing_is_lost_once_it_is_back(subscribe: Subscribe) -> None:
    async with subscribe() as salon:
        async with salon.services.db.transaction(salon.tenant.tenant_id) as connection:
            await connection.execute("UPDATE subscription SET terms = NULL")
        salon.offers(TOP)
        salon.it_is("2027-03-31")
        await salon.cycle_runs()
        assert (await salon.balance(), await salon.alerts()) == (100, ["plan_not_on_offer"])
        salon.offers(SMALL)
        await salon.cycle_runs()
        assert await salon.balance() == 300


async def test_a_cancelled_subscription_gets_no_further_package(subscribe: Subscribe) -> None:
    async with subscribe() as salon:
        await cancel(salon.services, salon.tenant)
        salon.it_is("2027-12-31")
        await salon.cycle_runs()
        assert len(await salon.grants()) == 1


async def test_a_tenant_without_a_plan_has_no_cycles(subscribe: Subscribe) -> None:
    async with subscribe(None) as salon:
        await salon.cycle_runs()
        assert await salon.invoices() == []
