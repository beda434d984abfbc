"""The months' work of all tenants: whose is due, in which order, and nobody's trouble but his own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from gateway.db import Database
from gateway.jobs import RecurringJob
from gateway.line_file import parse_tenant_file
from gateway.lines import apply_file
from gateway.recurring import RECURRING, bill_months
from gateway.services import Services
from gateway.subscriptions import tenants_with_cycles_due
from gateway.tenants import NewTenant, Tenant, create_tenant
from gateway.worker import Worker
from metering.entries import list_entries
from metering.plans import Plan
from tests.conftest import Clock
from tests.gateway.subscriber import OFFERS, SMALL, Subscriber
from tests.gateway.wiring import wired

RENTED = Plan("Rented", 9900, "EUR", 60_000)
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


@pytest.fixture
async def services(db: Database, clock: Clock, new_id: Callable[[], UUID], tmp_path: Path) -> AsyncIterator[Services]:
    clock.at = datetime(2027, 1, 31, 11, tzinfo=UTC)
    async with wired(db, clock, new_id, tmp_path) as wired_services:
        yield replace(wired_services, plans=OFFERS)


async def subscriber(
    services: Services, clock: Clock, name: str, plan: Plan = SMALL, zone: str = "Europe/Berlin"
) -> Subscriber:
    wanted = NewTenant(name=name, timezone=zone)
    tenant: Tenant = await create_tenant(
        services.db, services.ledger, wanted, plan, now=services.now(), new_id=services.new_id
    )
    return Subscriber(services=services, clock=clock, tenant=tenant, zone=tenant.zone)


async def test_a_month_begins_at_each_tenants_own_midnight(services: Services, clock: Clock) -> None:
    tenants = [
        await subscriber(services, clock, zone, zone=zone)
        for zone in ("Asia/Tokyo", "Europe/Berlin", "Pacific/Honolulu")
    ]
    for hour, balances in ((14, [100, 100, 100]), (15, [200, 100, 100]), (23, [200, 200, 100]), (34, [200, 200, 200])):
        clock.at = datetime(2027, 2, 27, tzinfo=UTC) + timedelta(hours=hour)
        async with services.db.queue() as connection:
            due = await tenants_with_cycles_due(connection, now=clock.at)
        before = [await each.balance() for each in tenants]
        await bill_months(services)
        assert [await each.balance() for each in tenants] == balances, hour
        assert len(due) == sum(old != new for old, new in zip(before, balances, strict=True))


async def test_a_package_comes_before_the_rent_of_the_same_day(services: Services, clock: Clock) -> None:
    salon = await subscriber(services, clock, "Salon", RENTED)
    salon.offers(RENTED)
    await apply_file(services, salon.tenant, parse_tenant_file(LINE, ()))
    assert await salon.balance() == 0
    salon.it_is("2027-02-28")
    await bill_months(salon.services)
    async with services.db.transaction(salon.tenant.tenant_id) as connection:
        entries = await list_entries(connection, salon.tenant.tenant_id, limit=2)
        line_state = await connection.fetchval("SELECT state FROM line")
    assert [entry.amount_millicredits for entry in entries] == [-60_000_000, 60_000_000]
    assert line_state == "active"


async def test_one_tenants_trouble_keeps_no_other_waiting(services: Services, clock: Clock) -> None:
    broken = await subscriber(services, clock, "Aaa", replace(SMALL, name="Gone"))
    well = await subscriber(services, clock, "Zzz")
    async with services.db.transaction(broken.tenant.tenant_id) as connection:
        await connection.execute("""UPDATE subscription SET terms = '{"name": "Gone", "of": "another version"}'""")
    well.it_is("2027-02-28")
    await bill_months(services)
    assert await well.balance() == 200
    assert await broken.balance() == 100


async def test_the_worker_does_the_recurring_work(services: Services, clock: Clock) -> None:
    salon = await subscriber(services, clock, "Salon")
    salon.it_is("2027-02-28")
    quick = replace(services, limits=replace(services.limits, recurring_at="* * * * * *"))
    stop, worker = asyncio.Event(), Worker(quick)
    running = asyncio.create_task(worker.run(stop))
    async with asyncio.timeout(20):
        while await salon.balance() != 200:  # noqa: ASYNC110 - the database calls nobody
            await asyncio.sleep(0.05)
    stop.set()
    await running
    await worker.drain(5.0)


def test_every_job_has_a_name_of_its_own() -> None:
    assert len({job.name for job in RECURRING}) == len(RECURRING)
    assert all(isinstance(job, RecurringJob) for job in RECURRING)
