"""What a subscriber may choose, what it costs, and that nothing is bought twice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import pytest

from gateway.billing import confirm, void
from gateway.db import Database
from gateway.errors import ProblemError
from gateway.plan_choices import cancel, change_plan, refill, resume
from gateway.repeat_keys import RepeatKey
from gateway.tenants import NewTenant
from metering.plans import Plan
from tests.conftest import Clock
from tests.gateway.subscriber import LARGE, SMALL, TOP, Subscriber, subscribed

ONCE = RepeatKey(key="refill-1", request_hash=b"1" * 32)


@pytest.fixture
async def salon(db: Database, clock: Clock, new_id: Callable[[], UUID], tmp_path: Path) -> AsyncIterator[Subscriber]:
    clock.at = datetime(2027, 1, 31, 11, tzinfo=UTC)
    wanted = NewTenant(name="Salon Lindenhof")
    async with subscribed(db, clock, new_id, tmp_path, wanted=wanted, plan=SMALL) as subscriber:
        yield subscriber
        await subscriber.audit()


@pytest.fixture
async def prepaid(db: Database, clock: Clock, new_id: Callable[[], UUID], tmp_path: Path) -> AsyncIterator[Subscriber]:
    clock.at = datetime(2027, 1, 31, 11, tzinfo=UTC)
    wanted = NewTenant(name="Vorkasse", on_account=False)
    async with subscribed(db, clock, new_id, tmp_path, wanted=wanted, plan=SMALL) as subscriber:
        yield subscriber
        await subscriber.audit()


async def chooses(salon: Subscriber, plan: Plan, *, refill_now: bool = False) -> str | None:
    chosen = await change_plan(salon.services, salon.tenant, plan, refill_now=refill_now)
    return chosen.subscription.next_plan


async def refused(salon: Subscriber, plan: Plan, *, refill_now: bool = False) -> str:
    with pytest.raises(ProblemError) as caught:
        await chooses(salon, plan, refill_now=refill_now)
    return caught.value.code


async def test_a_change_waits_for_the_next_cycle_and_the_present_plan_clears_it(salon: Subscriber) -> None:
    assert await chooses(salon, LARGE) == "Large"
    assert await chooses(salon, SMALL) is None
    assert await chooses(salon, TOP) == "Top"
    salon.it_is("2027-02-28")
    await salon.cycle_runs()
    subscription = await salon.subscription()
    assert (subscription.plan, subscription.next_plan) == ("Top", None)
    assert await salon.grants() == [("plan:2027-01-31", 100), ("plan:2027-02-28", 1_000)]


async def test_an_upgrade_refilled_at_once_costs_the_difference_and_stands(salon: Subscriber) -> None:
    assert await chooses(salon, LARGE, refill_now=True) == "Large"
    assert await refused(salon, SMALL) == "upgrade_committed"
    assert await chooses(salon, LARGE, refill_now=True) == "Large"
    assert await chooses(salon, TOP, refill_now=True) == "Top"
    assert await refused(salon, LARGE) == "upgrade_committed"
    bought = [
        (invoice.credits, invoice.amount_minor) for invoice in await salon.invoices() if invoice.purpose != "cycle"
    ]
    assert sorted(bought) == [(150, 5_000), (750, 10_000)]
    assert await salon.balance() == 1_000
    salon.it_is("2027-02-28")
    assert await chooses(salon, SMALL) == "Small"


async def test_upgrades_asked_for_many_times_at_once_are_bought_once(salon: Subscriber) -> None:
    await asyncio.gather(*(chooses(salon, TOP, refill_now=True) for _ in range(6)))
    assert await salon.balance() == 1_000


async def test_an_upgrade_to_be_paid_first_is_granted_then_and_free_again_once_withdrawn(prepaid: Subscriber) -> None:
    await chooses(prepaid, LARGE, refill_now=True)
    [upgrade] = [invoice for invoice in await prepaid.invoices() if invoice.purpose == "upgrade"]
    assert await prepaid.balance() == 0
    assert await refused(prepaid, SMALL) == "upgrade_committed"
    await void(prepaid.services, upgrade.reference)
    assert await chooses(prepaid, SMALL) is None
    await chooses(prepaid, TOP, refill_now=True)
    [again] = [invoice for invoice in await prepaid.invoices() if invoice.plan == "Top"]
    await confirm(prepaid.services, again.reference)
    assert await prepaid.grants() == [(f"invoice:{again.invoice_id}", 900)]


async def test_what_is_no_upgrade_is_not_refilled(salon: Subscriber) -> None:
    assert await refused(salon, SMALL, refill_now=True) == "not_an_upgrade"
    salon.offers(SMALL, Plan("Abroad", 1, "CHF", 9_000))
    assert await refused(salon, Plan("Abroad", 1, "CHF", 9_000), refill_now=True) == "other_currency"


async def test_only_the_top_plan_buys_one_more_package_and_an_agreed_upgrade_its_difference(salon: Subscriber) -> None:
    with pytest.raises(ProblemError) as caught:
        await refill(salon.services, salon.tenant)
    assert caught.value.code == "not_refillable"
    await chooses(salon, TOP)
    await refill(salon.services, salon.tenant)
    assert await salon.balance() == 1_000
    await refill(salon.services, salon.tenant)
    assert await salon.balance() == 2_000


async def test_a_refill_asked_for_again_under_its_key_is_bought_once(salon: Subscriber) -> None:
    await chooses(salon, TOP)
    salon.it_is("2027-02-28")
    chosen = await asyncio.gather(*(refill(salon.services, salon.tenant, repeat=ONCE) for _ in range(5)))
    assert len({each.invoice.invoice_id for each in chosen if each.invoice}) == 1
    assert await salon.balance() == 100 + 1_000 + 1_000
    with pytest.raises(ProblemError) as caught:
        await refill(salon.services, salon.tenant, repeat=RepeatKey(key=ONCE.key, request_hash=b"2" * 32))
    assert caught.value.code == "idempotency_key_reused"


async def test_a_cancelled_subscription_is_resumed_until_its_cycle_ends_and_then_begun_anew(salon: Subscriber) -> None:
    await chooses(salon, LARGE)
    await cancel(salon.services, salon.tenant)
    assert await refused(salon, TOP) == "subscription_cancelled"
    resumed = await resume(salon.services, salon.tenant)
    assert (resumed.state, resumed.next_plan) == ("active", "Large")
    await cancel(salon.services, salon.tenant)
    salon.it_is("2027-03-10")
    with pytest.raises(ProblemError) as caught:
        await resume(salon.services, salon.tenant)
    assert caught.value.code == "not_subscribed"
    await chooses(salon, TOP)
    subscription = await salon.subscription()
    assert (subscription.plan, subscription.state, subscription.next_plan) == ("Top", "active", None)
    assert (subscription.anchor_on, subscription.cycle) == (date(2027, 3, 10), 1)
    assert await salon.balance() == 100 + 1_000


async def test_a_choice_made_after_a_cycle_was_missed_is_for_the_one_after(salon: Subscriber) -> None:
    salon.it_is("2027-03-05")
    assert await chooses(salon, LARGE) == "Large"
    assert (await salon.subscription()).cycle == 2
    assert await salon.balance() == 200


async def test_choices_and_cycles_at_once_lose_nothing(salon: Subscriber) -> None:
    salon.it_is("2027-02-28")
    await asyncio.gather(
        *(salon.cycle_runs() for _ in range(4)),
        chooses(salon, TOP, refill_now=True),
        *(salon.cycle_runs() for _ in range(4)),
    )
    assert (await salon.subscription()).next_plan == "Top"
    assert await salon.balance() == 100 + 100 + 900
