"""A salon's year, day by day from the 31st of January: packages, changes, refills, rents, a month that is not paid."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.db import Database
from gateway.line_file import parse_tenant_file
from gateway.lines import apply_file
from gateway.plan_choices import cancel, change_plan, refill, resume
from gateway.recurring import bill_months
from gateway.sweeps import expire_grants
from gateway.tenants import NewTenant
from metering.cycle import months_after
from metering.entries import read_wallet
from metering.operations import Hold
from metering.plans import Plan
from metering.statements import Statement, read_statement
from tests.conftest import Clock
from tests.gateway.subscriber import Subscriber, subscribed

SMALL = Plan("Klein", 4900, "EUR", 80_000)
MIDDLE = Plan("Mittel", 9900, "EUR", 150_000, rollover_max_credits=100_000)
LARGE = Plan("Groß", 24900, "EUR", 400_000)
RENT = 60_000
LINE = """
[[agent]]
name = "Rezeption"
instructions = "Du bist die Rezeption."
[[line]]
number = "+4915100000001"
kind = "mobile"
agent = "Rezeption"
channels = ["whatsapp"]
whatsapp_provider = "meta"
whatsapp_phone_number_id = "1000001"
"""
WORKERS_ARE_AWAY = (date(2027, 10, 20), date(2027, 12, 20))


@pytest.fixture
async def salon(db: Database, clock: Clock, new_id: Callable[[], UUID], tmp_path: Path) -> AsyncIterator[Subscriber]:
    clock.at = datetime(2027, 1, 31, 11, tzinfo=UTC)
    wanted = NewTenant(name="Salon Lindenhof")
    async with subscribed(db, clock, new_id, tmp_path, wanted=wanted, plan=SMALL) as subscriber:
        subscriber.offers(SMALL, MIDDLE, LARGE)
        await apply_file(subscriber.services, subscriber.tenant, parse_tenant_file(LINE, ()))
        yield subscriber


async def pauses(salon: Subscriber) -> None:
    """Ask for more than the whole balance."""
    now = salon.services.now()
    hold = Hold(
        key=f"turn:{salon.services.new_id()}:1",
        max_millicredits=10**12,
        min_millicredits=10**12,
        step_millicredits=1,
        may_shrink=True,
        expires_at=now + timedelta(seconds=30),
        rate_card="2026-11",
        day=salon.tenant.day(now),
    )
    await salon.services.ledger.hold(salon.tenant.tenant_id, hold, wait_s=1)


async def state(salon: Subscriber) -> tuple[str, str]:
    """Return how the services and the line are."""
    async with salon.services.db.transaction(salon.tenant.tenant_id) as connection:
        wallet = await read_wallet(connection, salon.tenant.tenant_id)
        line: str = await connection.fetchval("SELECT state FROM line")
    return wallet.state, line


async def uses_little(salon: Subscriber) -> None:
    await salon.spends(5_000)


async def upgrades_at_once(salon: Subscriber) -> None:
    await change_plan(salon.services, salon.tenant, MIDDLE, refill_now=True)


async def downgrades(salon: Subscriber) -> None:
    await change_plan(salon.services, salon.tenant, SMALL)


async def upgrades_with_the_next_cycle(salon: Subscriber) -> None:
    await change_plan(salon.services, salon.tenant, LARGE)


async def buys_one_more_package(salon: Subscriber) -> None:
    await refill(salon.services, salon.tenant)


async def cancels(salon: Subscriber) -> None:
    await cancel(salon.services, salon.tenant)


async def resumes(salon: Subscriber) -> None:
    await resume(salon.services, salon.tenant)


async def cancels_and_uses_all_but_a_little(salon: Subscriber) -> None:
    await cancels(salon)
    await salon.spends(await salon.balance() - 1_000)


async def runs_dry(salon: Subscriber) -> None:
    assert await state(salon) == ("active", "suspended")
    await pauses(salon)
    assert await state(salon) == ("paused", "suspended")


async def begins_anew(salon: Subscriber) -> None:
    await change_plan(salon.services, salon.tenant, MIDDLE)
    assert await state(salon) == ("active", "active")


LIFE: Mapping[date, Callable[[Subscriber], Awaitable[None]]] = {
    date(2027, 2, 10): uses_little,
    date(2027, 3, 10): upgrades_at_once,
    date(2027, 4, 15): downgrades,
    date(2027, 5, 20): upgrades_with_the_next_cycle,
    date(2027, 6, 12): buys_one_more_package,
    date(2027, 7, 5): cancels,
    date(2027, 7, 20): resumes,
    date(2027, 9, 1): cancels_and_uses_all_but_a_little,
    date(2027, 10, 2): runs_dry,
    date(2027, 10, 5): begins_anew,
}
GRANTED = [
    ("plan:2027-01-31", 80_000),
    ("plan:2027-02-28", 80_000),
    ("refill", 70_000),
    ("plan:2027-03-31", 150_000),
    ("plan:2027-04-30", 80_000),
    ("plan:2027-05-31", 400_000),
    ("refill", 400_000),
    ("plan:2027-06-30", 400_000),
    ("plan:2027-07-31", 400_000),
    ("plan:2027-08-31", 400_000),
    ("plan:2027-10-05", 150_000),
    ("plan:2027-11-05", 150_000),
    ("plan:2027-12-05", 150_000),
    ("plan:2028-01-05", 150_000),
]


async def statements(salon: Subscriber) -> list[Statement]:
    found = []
    async with salon.services.db.snapshot(salon.tenant.tenant_id) as connection:
        for number in range(13):
            month = months_after(date(2027, 1, 1), number)
            found.append(
                await read_statement(connection, salon.tenant.tenant_id, month=month, timezone=salon.tenant.zone)
            )
    return found


async def test_a_year_of_a_salon_adds_up_month_by_month(salon: Subscriber) -> None:
    for day in (date(2027, 2, 1) + timedelta(days=number) for number in range(365)):
        salon.it_is(day.isoformat(), "06:00")
        if not WORKERS_ARE_AWAY[0] <= day < WORKERS_ARE_AWAY[1]:
            await bill_months(salon.services)
            await expire_grants(salon.services)
        salon.it_is(day.isoformat(), "18:00")
        if day in LIFE:
            await LIFE[day](salon)

    granted = await salon.grants()
    assert [(ref if ref.startswith("plan:") else "refill", amount) for ref, amount in granted] == GRANTED
    months = await statements(salon)
    for month, following in itertools.pairwise(months):
        assert month.closing_millicredits == following.opening_millicredits
        assert (month.last_sequence or 0) < (following.first_sequence or 10**9)
    for month in months:
        assert month.closing_millicredits == (
            month.opening_millicredits
            + month.granted_millicredits
            - month.charged_millicredits
            + month.refunded_millicredits
            - month.expired_millicredits
        )
    assert months[-1].closing_millicredits == 1_000 * await salon.balance()
    rents = [entry for month in months for entry in month.entries if entry.key.startswith("rental:")]
    assert len({entry.key for entry in rents}) == len(rents)
    assert {entry.amount_millicredits for entry in rents} == {-RENT * 1_000}
    assert sum(month.granted_millicredits for month in months) == 1_000 * sum(amount for _, amount in granted)
    assert await state(salon) == ("active", "active")
    await salon.audit()


class Interrupted:
    """Awaits a coroutine and cancels the task at its n-th pause; knows afterwards whether it came so far."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], at: int) -> None:
        self._coroutine = coroutine
        self._at = at
        self.paused = 0

    def __await__(self) -> Generator[Any, Any, None]:
        steps = self._coroutine.__await__()
        sent: Any = None
        failure: BaseException | None = None
        while True:
            try:
                waits_for = steps.send(sent) if failure is None else steps.throw(failure)
            except StopIteration:
                return
            failure = None
            self.paused += 1
            task = asyncio.current_task()
            if self.paused == self._at and task is not None:
                task.cancel()
            try:
                sent = yield waits_for
            except BaseException as error:  # noqa: BLE001 - handed on, whatever it is
                failure = error


async def run_interrupted(salon: Subscriber, at: int) -> bool:
    """Run the months' work and cancel it at a pause; return whether it came so far."""
    interrupted = Interrupted(bill_months(salon.services), at)

    async def run() -> None:
        await interrupted

    task = asyncio.create_task(run())
    await asyncio.wait([task])
    return task.cancelled()


@pytest.mark.parametrize("plan", [SMALL, MIDDLE])
async def test_work_that_is_cut_off_anywhere_and_done_twice_grants_and_charges_once(
    salon: Subscriber, plan: Plan
) -> None:
    await change_plan(salon.services, salon.tenant, plan)
    for month in itertools.count(1):  # and a pause later each month
        salon.it_is(months_after(date(2027, 1, 31), month).isoformat(), "06:00")
        came_so_far = await run_interrupted(salon, month)
        await asyncio.gather(*(bill_months(salon.services) for _ in range(2)))
        await bill_months(salon.services)
        assert len(await salon.grants()) == len(await salon.invoices()) == month + 1
        async with salon.services.db.transaction(salon.tenant.tenant_id) as connection:
            rents = await connection.fetchval("SELECT count(*) FROM ledger_entry WHERE key LIKE 'rental:%'")
        assert rents == month + 1
        if not came_so_far:
            break
    assert month > 10
    await salon.audit()
