import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from gateway.channels.base import LineAddress
from gateway.db import Database
from gateway.line_directory import LineDirectory
from gateway.rentals import collect_rent, collect_rents, tenants_with_rents_due
from gateway.services import Services
from gateway.tenants import Tenant
from metering.audit import audit
from metering.cycle import months_after
from metering.operations import Charge, ReceiptDraft
from metering.rates import Item, Line
from tests.conftest import Clock
from tests.gateway.letting import (
    AGENT,
    LINE,
    LOCAL,
    LOCAL_RENT,
    MOBILE_RENT,
    alerts_of,
    applied,
    balance_of,
    granted,
    line_of,
    lines_of,
    made,
    put_to,
    rents_of,
    rows,
)
from tests.gateway.wiring import wired

SINCE = date(2027, 1, 31)
DUE = date(2027, 2, 28)


@pytest.fixture
async def services(db: Database, clock: Clock, new_id: Callable[[], UUID], tmp_path: Path) -> AsyncIterator[Services]:
    async with wired(db, clock, new_id, tmp_path) as wired_services:
        yield wired_services


async def rented(services: Services, clock: Clock, *, left_millicredits: int, text: str = LINE) -> Tenant:
    """A tenant with lines since the 31st of January, their first month paid."""
    clock.at = clock.at.replace(year=2027, month=1, day=31)
    tenant = await made(services, "Acme", millicredits=200_000_000)
    await applied(services, tenant, AGENT + text)
    rest = await balance_of(services, tenant)
    if left_millicredits > rest:
        await granted(services, tenant, left_millicredits - rest)
    elif left_millicredits < rest:
        await spent(services, tenant, rest - left_millicredits)
    return tenant


async def spent(services: Services, tenant: Tenant, millicredits: int) -> None:
    receipt = ReceiptDraft(
        receipt_id=services.new_id(),
        subject="turn",
        rate_card=services.rate_cards.on(tenant.day(services.now())).version,
        lines=(Line(Item.CHAT_INPUT, millicredits // 40, 40),),
        day=tenant.day(services.now()),
    )
    await services.ledger.submit(tenant.tenant_id, Charge(key=f"turn:{receipt.receipt_id}", receipt=receipt))


async def test_a_month_is_charged_on_its_first_day_and_not_before(services: Services, clock: Clock) -> None:
    tenant = await rented(services, clock, left_millicredits=200_000_000)
    put_to(clock, tenant, DUE - timedelta(days=1), hour=23)
    await collect_rents(services, tenant)
    assert await rents_of(services, tenant) == [(SINCE, MOBILE_RENT)]
    put_to(clock, tenant, DUE, hour=0)
    await collect_rents(services, tenant)
    assert await rents_of(services, tenant) == [(SINCE, MOBILE_RENT), (DUE, MOBILE_RENT)]
    line = await line_of(services, tenant)
    assert (line.state, line.provisioned_on, line.rented_until) == ("active", SINCE, date(2027, 3, 31))
    assert await balance_of(services, tenant) == 200_000_000 - MOBILE_RENT


async def test_a_line_from_the_31st_of_january_pays_twelve_months_across_both_changes_of_the_clocks(
    services: Services, clock: Clock
) -> None:
    tenant = await rented(services, clock, left_millicredits=12 * MOBILE_RENT)
    charged_on = []
    day = SINCE
    while day < date(2028, 1, 31):
        day += timedelta(days=1)
        put_to(clock, tenant, day, hour=0)
        before = len(await rents_of(services, tenant))
        await collect_rents(services, tenant)
        if len(await rents_of(services, tenant)) > before:
            charged_on.append(day)
    months = [months_after(SINCE, month) for month in range(13)]
    assert [month for month, _ in await rents_of(services, tenant)] == months
    assert charged_on == months[1:]
    assert [f"{day:%d.%m.}" for day in charged_on[:4]] == ["28.02.", "31.03.", "30.04.", "31.05."]
    assert await balance_of(services, tenant) == 0
    assert await alerts_of(services, tenant, "rental_unpaid") == []
    async with services.db.snapshot(tenant.tenant_id) as connection:
        assert await audit(connection, tenant.tenant_id, services.rate_cards) == ()


async def test_collecting_twenty_times_at_once_in_two_processes_charges_once(
    services: Services, db: Database, clock: Clock, new_id: Callable[[], UUID], tmp_path: Path
) -> None:
    tenant = await rented(services, clock, left_millicredits=500_000_000, text=LINE + LOCAL)
    put_to(clock, tenant, DUE)
    async with wired(db, clock, new_id, tmp_path) as other:
        await asyncio.gather(*(collect_rents(process, tenant) for process in (services, other) * 10))
    assert sorted(await rents_of(services, tenant)) == sorted(
        [(SINCE, MOBILE_RENT), (SINCE, LOCAL_RENT), (DUE, MOBILE_RENT), (DUE, LOCAL_RENT)]
    )
    assert {line.rented_until for line in await lines_of(services, tenant)} == {date(2027, 3, 31)}


async def test_of_two_lines_that_one_balance_cannot_pay_each_is_paid_or_suspended_whoever_collects(
    services: Services, db: Database, clock: Clock, new_id: Callable[[], UUID], tmp_path: Path
) -> None:
    tenant = await rented(services, clock, left_millicredits=MOBILE_RENT, text=LINE + LOCAL)
    put_to(clock, tenant, DUE)
    async with wired(db, clock, new_id, tmp_path) as other:
        await asyncio.gather(*(collect_rents(process, tenant) for process in (services, other) * 5))
    paid = {line.kind for line in await lines_of(services, tenant) if line.state == "active"}
    assert len(paid) == 1
    assert await balance_of(services, tenant) == (0 if paid == {"mobile"} else MOBILE_RENT - LOCAL_RENT)


async def test_months_that_were_missed_while_the_server_was_off_are_charged_in_order(
    services: Services, clock: Clock
) -> None:
    tenant = await rented(services, clock, left_millicredits=4 * MOBILE_RENT)
    put_to(clock, tenant, date(2027, 5, 2))
    await collect_rents(services, tenant)
    assert [month for month, _ in await rents_of(services, tenant)] == [
        SINCE,
        DUE,
        date(2027, 3, 31),
        date(2027, 4, 30),
    ]
    assert (await line_of(services, tenant)).rented_until == date(2027, 5, 31)


async def test_missed_months_are_each_charged_once_when_two_processes_come_back_together(
    services: Services, db: Database, clock: Clock, new_id: Callable[[], UUID], tmp_path: Path
) -> None:
    tenant = await rented(services, clock, left_millicredits=5 * MOBILE_RENT)
    put_to(clock, tenant, date(2027, 6, 15))
    async with wired(db, clock, new_id, tmp_path) as other:
        await asyncio.gather(*(collect_rents(process, tenant) for process in (services, other) * 10))
    assert [month for month, _ in await rents_of(services, tenant)] == [months_after(SINCE, each) for each in range(5)]
    assert (await line_of(services, tenant)).rented_until == months_after(SINCE, 5)


async def test_missed_months_are_paid_as_far_as_the_credits_go(services: Services, clock: Clock) -> None:
    tenant = await rented(services, clock, left_millicredits=MOBILE_RENT)
    put_to(clock, tenant, date(2027, 5, 2))
    await collect_rents(services, tenant)
    assert [month for month, _ in await rents_of(services, tenant)] == [SINCE, DUE]
    line = await line_of(services, tenant)
    # The owner hears of it today, so the thirty days begin today.
    assert (line.state, line.rented_until, line.unpaid_since) == ("suspended", date(2027, 3, 31), date(2027, 5, 2))


async def test_an_unpaid_line_is_told_of_on_four_days_and_given_up_on_the_thirtieth(
    services: Services, clock: Clock
) -> None:
    tenant = await rented(services, clock, left_millicredits=MOBILE_RENT - 40)
    told: dict[int, list[int]] = {}
    for days in range(31):
        put_to(clock, tenant, DUE + timedelta(days=days))
        line = await line_of(services, tenant)
        assert line.state == ("active" if days == 0 else "suspended")
        await collect_rents(services, tenant)
        await collect_rents(services, tenant)
        told[days] = [alert["day"] for alert in await alerts_of(services, tenant, "rental_unpaid")]
    assert told[0] == told[2] == [0]
    assert told[3] == told[6] == [0, 3]
    assert told[7] == told[13] == [0, 3, 7]
    assert told[14] == told[30] == [0, 3, 7, 14]
    first = (await alerts_of(services, tenant, "rental_unpaid"))[0]
    line = await line_of(services, tenant)
    assert first == {
        "line_id": str(line.line_id),
        "line_kind": "mobile",
        "due_on": "2027-02-28",
        "release_on": "2027-03-30",
        "rent_millicredits": MOBILE_RENT,
        "day": 0,
    }
    assert (line.state, line.rented_until) == ("released", DUE)
    assert len(await alerts_of(services, tenant, "number_released")) == 1
    assert await balance_of(services, tenant) == MOBILE_RENT - 40
    directory = LineDirectory(services.db, services.now)
    assert await directory.find(LineAddress(kind="number", value=line.number)) is None
    assert await directory.find(LineAddress(kind="whatsapp_phone_number_id", value="1000001")) is None


async def test_a_number_that_was_given_up_costs_nothing_more_and_is_never_paid_again(
    services: Services, clock: Clock
) -> None:
    tenant = await rented(services, clock, left_millicredits=0)
    for days in (0, 30):
        put_to(clock, tenant, DUE + timedelta(days=days))
        await collect_rents(services, tenant)
    await granted(services, tenant, 500_000_000)
    put_to(clock, tenant, DUE + timedelta(days=90))
    await collect_rents(services, tenant)
    assert await balance_of(services, tenant) == 500_000_000
    assert (await line_of(services, tenant)).state == "released"


async def test_credits_on_the_thirtieth_day_still_save_the_number(services: Services, clock: Clock) -> None:
    tenant = await rented(services, clock, left_millicredits=0)
    put_to(clock, tenant, DUE)
    await collect_rents(services, tenant)
    put_to(clock, tenant, DUE + timedelta(days=30))
    await granted(services, tenant, MOBILE_RENT)
    await collect_rents(services, tenant)
    assert (await line_of(services, tenant)).state == "active"


async def test_a_grant_pays_the_month_that_fell_due_and_the_months_stay_where_they_were(
    services: Services, clock: Clock
) -> None:
    tenant = await rented(services, clock, left_millicredits=0)
    put_to(clock, tenant, DUE)
    await collect_rents(services, tenant)
    put_to(clock, tenant, DUE + timedelta(days=10))
    await granted(services, tenant, MOBILE_RENT + 1)
    await collect_rents(services, tenant)
    line = await line_of(services, tenant)
    assert (line.state, line.unpaid_since) == ("active", None)
    assert (line.provisioned_on, line.rented_until) == (SINCE, date(2027, 3, 31))
    assert await rents_of(services, tenant) == [(SINCE, MOBILE_RENT), (DUE, MOBILE_RENT)]
    # Once more unpaid, the owner is told once more.
    put_to(clock, tenant, date(2027, 3, 31))
    await collect_rents(services, tenant)
    assert [alert["due_on"] for alert in await alerts_of(services, tenant, "rental_unpaid")] == [
        "2027-02-28",
        "2027-03-31",
    ]


async def test_a_suspended_line_that_owes_two_months_pays_both_or_none(services: Services, clock: Clock) -> None:
    tenant = await rented(services, clock, left_millicredits=0)
    put_to(clock, tenant, DUE)
    await collect_rents(services, tenant)
    put_to(clock, tenant, DUE + timedelta(days=29))
    await collect_rents(services, tenant)
    put_to(clock, tenant, date(2027, 3, 31), hour=1)  # the thirtieth day was yesterday, and the server was off
    await granted(services, tenant, 2 * MOBILE_RENT)
    await collect_rents(services, tenant)
    assert [month for month, _ in await rents_of(services, tenant)] == [SINCE, DUE, date(2027, 3, 31)]
    assert (await line_of(services, tenant)).state == "active"


async def test_credits_for_one_of_two_months_are_not_taken(services: Services, clock: Clock) -> None:
    clock.at = clock.at.replace(year=2027, month=1, day=31)
    tenant = await made(services, "Acme", millicredits=MOBILE_RENT)
    await applied(services, tenant, AGENT + LINE)
    await rows(services, tenant, "UPDATE line SET state = 'suspended', unpaid_since = '2027-03-30'")
    put_to(clock, tenant, date(2027, 4, 1))
    await granted(services, tenant, 2 * MOBILE_RENT - 1)
    await collect_rents(services, tenant)
    assert await balance_of(services, tenant) == 2 * MOBILE_RENT - 1
    assert (await line_of(services, tenant)).state == "suspended"
    await granted(services, tenant, 1)
    await collect_rents(services, tenant)
    assert await balance_of(services, tenant) == 0
    assert (await line_of(services, tenant)).rented_until == date(2027, 4, 30)


async def test_a_first_month_that_could_not_be_paid_begins_when_it_is(services: Services, clock: Clock) -> None:
    tenant = await made(services, "Poor")
    await applied(services, tenant, AGENT + LINE)
    put_to(clock, tenant, date(2026, 12, 5))
    await collect_rents(services, tenant)
    assert [alert["day"] for alert in await alerts_of(services, tenant, "rental_unpaid")] == [0, 7]
    await granted(services, tenant, MOBILE_RENT)
    await collect_rents(services, tenant)
    line = await line_of(services, tenant)
    assert (line.state, line.provisioned_on, line.rented_until) == ("active", date(2026, 12, 5), date(2027, 1, 5))


async def test_a_month_that_apply_has_paid_is_not_charged_again_on_the_same_day(
    services: Services, clock: Clock
) -> None:
    tenant = await rented(services, clock, left_millicredits=500_000_000)
    await rows(services, tenant, "UPDATE line SET rented_until = provisioned_on")  # as if the line had not heard of it
    await asyncio.gather(collect_rents(services, tenant), applied(services, tenant, LINE))
    assert await rents_of(services, tenant) == [(SINCE, MOBILE_RENT)]
    assert (await line_of(services, tenant)).rented_until == DUE


async def test_a_line_that_goes_to_another_agent_in_between_pays_its_month_once(
    services: Services, clock: Clock
) -> None:
    tenant = await rented(services, clock, left_millicredits=500_000_000)
    await applied(services, tenant, AGENT.replace("Rezeption", "Büro") + LINE.replace("Rezeption", "Büro"))
    await rows(services, tenant, "UPDATE line SET rented_until = provisioned_on")
    await collect_rents(services, tenant)
    assert await rents_of(services, tenant) == [(SINCE, MOBILE_RENT)]


async def test_a_failure_beside_the_charge_leaves_neither_a_charge_nor_a_changed_line(
    services: Services, clock: Clock
) -> None:
    tenant = await rented(services, clock, left_millicredits=0)
    put_to(clock, tenant, DUE)
    await collect_rents(services, tenant)
    await granted(services, tenant, MOBILE_RENT)
    before = await line_of(services, tenant)
    calls = 0

    def failing_now() -> datetime:  # the first tells the day, the second is asked while the line is woken
        nonlocal calls
        calls += 1
        if calls > 1:
            raise RuntimeError("the process is gone")
        return clock.now()

    with pytest.raises(RuntimeError, match="gone"):
        await collect_rent(replace(services, now=failing_now), tenant, before.line_id)
    assert await line_of(services, tenant) == before
    assert await balance_of(services, tenant) == MOBILE_RENT
    await collect_rents(services, tenant)
    assert (await line_of(services, tenant)).state == "active"
    assert await balance_of(services, tenant) == 0


async def test_the_owner_is_warned_once_in_the_week_before_a_month_that_could_not_be_paid(
    services: Services, clock: Clock
) -> None:
    tenant = await rented(services, clock, left_millicredits=MOBILE_RENT + LOCAL_RENT - 40, text=LINE + LOCAL)
    put_to(clock, tenant, DUE - timedelta(days=8))
    await collect_rents(services, tenant)
    assert await alerts_of(services, tenant, "rental_soon") == []
    for days in (7, 6, 1):
        put_to(clock, tenant, DUE - timedelta(days=days))
        await collect_rents(services, tenant)
    (warning,) = await alerts_of(services, tenant, "rental_soon")
    assert (warning["due_on"], warning["line_kind"]) == ("2027-02-28", "local")  # the balance covers the other
    assert {line.state for line in await lines_of(services, tenant)} == {"active"}


async def test_nobody_is_warned_whose_credits_suffice(services: Services, clock: Clock) -> None:
    tenant = await rented(services, clock, left_millicredits=MOBILE_RENT)
    put_to(clock, tenant, DUE - timedelta(days=7))
    await collect_rents(services, tenant)
    assert await alerts_of(services, tenant, "rental_soon") == []


async def test_a_tenant_has_rents_due_when_its_own_day_has_come(services: Services, clock: Clock) -> None:
    async def due_now() -> list[UUID]:
        async with services.db.queue() as connection:
            return await tenants_with_rents_due(connection, now=clock.now())

    clock.at = clock.at.replace(year=2027, month=1, day=31, hour=12)
    here = await made(services, "Berlin", millicredits=500_000_000)
    there = await made(services, "Auckland", millicredits=500_000_000, timezone="Pacific/Auckland")
    await applied(services, here, AGENT + LINE)
    await applied(services, there, AGENT + LINE.replace("00001", "00002"))
    assert [line.provisioned_on.day for line in await lines_of(services, there)] == [1]  # the first of February
    put_to(clock, here, DUE - timedelta(days=8))
    assert await due_now() == []
    put_to(clock, here, DUE - timedelta(days=7))  # to be warned, if need be
    assert await due_now() == [here.tenant_id]
    put_to(clock, here, DUE)
    assert set(await due_now()) == {here.tenant_id, there.tenant_id}
    await collect_rents(services, here)
    assert await due_now() == [there.tenant_id]


async def test_tenants_with_a_line_out_of_service_are_tried_again_until_it_is_given_up(
    services: Services, clock: Clock
) -> None:
    tenant = await rented(services, clock, left_millicredits=0)
    for days, expected in ((0, True), (20, True), (30, False)):
        put_to(clock, tenant, DUE + timedelta(days=days))
        await collect_rents(services, tenant)
        async with services.db.queue() as connection:
            assert bool(await tenants_with_rents_due(connection, now=clock.now())) is expected


async def test_a_number_that_was_given_up_can_be_set_up_again_with_months_of_its_own(
    services: Services, clock: Clock
) -> None:
    tenant = await rented(services, clock, left_millicredits=0)
    for days in (0, 30):
        put_to(clock, tenant, DUE + timedelta(days=days))
        await collect_rents(services, tenant)
    put_to(clock, tenant, date(2027, 4, 10))
    await granted(services, tenant, MOBILE_RENT)
    result = await applied(services, tenant, LINE)
    assert [(line.change, line.state, line.charged_millicredits) for line in result.lines] == [
        ("activated", "active", MOBILE_RENT)
    ]
    line = await line_of(services, tenant)
    assert (line.provisioned_on, line.rented_until) == (date(2027, 4, 10), date(2027, 5, 10))
    found = await LineDirectory(services.db, services.now).find(LineAddress(kind="number", value=line.number))
    assert found is not None
    assert found.line_id == line.line_id
