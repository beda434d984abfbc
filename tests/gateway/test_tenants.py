import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import pytest

from gateway.db import Database
from gateway.errors import BadInputError
from gateway.invoices import list_invoices
from gateway.services import Services
from gateway.subscriptions import read_subscription
from gateway.tenants import NewTenant, Tenant, create_tenant, find_tenant, list_tenants
from metering.chain import Entry
from metering.entries import list_entries, read_wallet
from metering.plans import Plan
from tests.conftest import Clock
from tests.gateway.wiring import wired

START = Plan("Start", 4900, "EUR", 150_000)
LINDENHOF = NewTenant(name="Salon Lindenhof")
OWNED = replace(LINDENHOF, owner_email="Inge@Lindenhof.example", owner_password="a good password")
LAPSING = Plan("Lapsing", 4900, "EUR", 1_000, rollover=False)
AN_ID = "0193f7a0-5b1c-4d3e-8f00-9a8b7c6d5e4f"  # always the same: xdist compares the names of tests


@pytest.fixture
async def services(db: Database, clock: Clock, new_id: Callable[[], UUID], tmp_path: Path) -> AsyncIterator[Services]:
    async with wired(db, clock, new_id, tmp_path) as wired_services:
        yield wired_services


async def created(services: Services, plan: Plan | None = None, wanted: NewTenant = LINDENHOF) -> Tenant:
    return await create_tenant(services.db, services.ledger, wanted, plan, now=services.now(), new_id=services.new_id)


async def entries_of(services: Services, tenant: Tenant) -> list[Entry]:
    async with services.db.transaction(tenant.tenant_id) as connection:
        return await list_entries(connection, tenant.tenant_id, limit=10)


async def test_a_tenant_without_a_plan_has_an_empty_wallet_and_no_subscription(services: Services) -> None:
    tenant = await created(services)
    async with services.db.transaction(tenant.tenant_id) as connection:
        wallet = await read_wallet(connection, tenant.tenant_id)
        assert await read_subscription(connection, tenant.tenant_id) is None
    assert (wallet.balance_millicredits, wallet.state) == (0, "active")
    assert tenant.on_account


async def test_a_plans_first_package_is_granted_at_once_and_once(services: Services) -> None:
    tenant = await created(services, START)
    async with services.db.transaction(tenant.tenant_id) as connection:
        wallet = await read_wallet(connection, tenant.tenant_id)
        subscription = await read_subscription(connection, tenant.tenant_id)
        grants = await connection.fetch("SELECT kind, reference, expires_at FROM credit_grant")
    assert wallet.balance_millicredits == 150_000_000
    assert [entry.amount_millicredits for entry in await entries_of(services, tenant)] == [150_000_000]
    assert [tuple(grant) for grant in grants] == [("plan", "plan:2026-11-24", None)]
    assert subscription is not None
    assert (subscription.plan, subscription.cycle) == ("Start", 1)
    assert subscription.cycle_starts_on == date(2026, 11, 24)
    assert subscription.cycle_ends_on == date(2026, 12, 24)


async def test_a_tenant_that_pays_before_has_an_invoice_and_no_credits(services: Services) -> None:
    tenant = await created(services, START, replace(LINDENHOF, on_account=False))
    async with services.db.transaction(tenant.tenant_id) as connection:
        wallet = await read_wallet(connection, tenant.tenant_id)
        subscription = await read_subscription(connection, tenant.tenant_id)
        [invoice] = await list_invoices(connection, tenant.tenant_id, limit=10)
    assert (wallet.balance_millicredits, tenant.on_account) == (0, False)
    assert subscription is not None
    assert (subscription.plan, subscription.cycle) == ("Start", 1)
    assert (invoice.state, invoice.amount_minor, invoice.credits) == ("open", 4900, 150_000)
    assert invoice.due_on == date(2026, 12, 8)


async def test_a_cycle_starts_on_the_tenants_day_not_on_utcs(services: Services, clock: Clock) -> None:
    clock.at = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
    tenant = await created(services, LAPSING)
    async with services.db.transaction(tenant.tenant_id) as connection:
        subscription = await read_subscription(connection, tenant.tenant_id)
        expires_at = await connection.fetchval("SELECT expires_at FROM credit_grant")
    assert subscription is not None
    assert subscription.cycle_starts_on == date(2026, 11, 25)
    assert expires_at == datetime(2026, 12, 24, 23, 0, tzinfo=UTC)


async def test_a_tenant_whose_owner_cannot_sign_in_is_not_made_and_nothing_is_granted(services: Services) -> None:
    await created(services, wanted=OWNED)
    with pytest.raises(BadInputError, match="signs in already"):
        await created(services, START, replace(OWNED, name="Salon Zwei"))
    async with services.db.directory() as connection:
        assert [tenant.name for tenant in await list_tenants(connection)] == ["Salon Lindenhof"]
    assert await _granted_anywhere(services) == 0


async def _granted_anywhere(services: Services) -> int:
    async with services.db.queue() as connection:
        count: int = await connection.fetchval("SELECT count(*) FROM credit_grant")
    return count


async def test_two_tenants_of_one_name_made_at_once_become_one(services: Services) -> None:
    results = await asyncio.gather(*(created(services, START) for _ in range(4)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, BadInputError)]
    assert len(refused) == 3
    assert all("already" in str(result) for result in refused)
    assert await _granted_anywhere(services) == 1


async def test_an_owner_is_alerted_where_they_sign_in(services: Services) -> None:
    tenant = await created(services, wanted=OWNED)
    assert tenant.alert_email == "inge@lindenhof.example"


async def test_a_tenant_is_found_by_name_or_id(services: Services) -> None:
    tenant = await created(services, wanted=NewTenant(name="  Salon   Lindenhof "))
    assert tenant.name == "Salon Lindenhof"
    async with services.db.directory() as connection:
        assert await find_tenant(connection, "Salon Lindenhof") == tenant
        assert await find_tenant(connection, str(tenant.tenant_id).upper()) == tenant


@pytest.mark.parametrize("name", ["", "salon lindenhof", "Salon", AN_ID, "Salon\x00", "Salon\ud800"])
async def test_an_unknown_tenant_is_told_where_to_see_them(services: Services, name: str) -> None:
    await created(services)
    async with services.db.directory() as connection:
        with pytest.raises(BadInputError, match="turnmeter tenant list"):
            await find_tenant(connection, name)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": " "}, "name has 1 to 120"),
        ({"name": "x" * 121}, "name has 1 to 120"),
        ({"name": "Salon\x07"}, "name has 1 to 120"),
        ({"name": AN_ID}, "is not an id"),
        ({"locale": "fr"}, "not a locale"),
        ({"timezone": "Europe"}, "not a time zone"),
        ({"timezone": "../etc/passwd"}, "not a time zone"),
        ({"owner_email": "inge@lindenhof.example"}, "both an e-mail address and a password"),
        ({"owner_password": "a good password"}, "both an e-mail address and a password"),
        ({"owner_email": "inge@lindenhof.example", "owner_password": "short"}, "12 to 200"),
        ({"owner_email": "inge", "owner_password": "a good password"}, "name@example.com"),
    ],
)
async def test_a_tenant_that_does_not_hold_together_is_refused(
    services: Services, change: dict[str, str], complaint: str
) -> None:
    with pytest.raises(BadInputError, match=complaint):
        await created(services, START, replace(LINDENHOF, **change))  # type: ignore[arg-type]  # texts only
    async with services.db.directory() as connection:
        assert await list_tenants(connection) == []
