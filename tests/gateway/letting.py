"""Tenants with lines for the tests of rents and orders, and what one asks about them."""

from datetime import date
from typing import Any

from gateway.line_file import parse_tenant_file
from gateway.line_store import LineRow, list_lines
from gateway.lines import AppliedFile, apply_file, published_agents
from gateway.services import Services
from gateway.tenants import NewTenant, Tenant, create_tenant
from metering.entries import read_wallet
from metering.operations import Applied, Grant
from tests.conftest import Clock

MOBILE_RENT, LOCAL_RENT = 60_000_000, 10_000_000
AGENT = '[[agent]]\nname = "Rezeption"\ninstructions = "Hilf."\n'
LINE = """[[line]]
number = "+4915100000001"
kind = "mobile"
agent = "Rezeption"
channels = ["whatsapp"]
whatsapp_provider = "meta"
whatsapp_phone_number_id = "1000001"
"""
LOCAL = '[[line]]\nnumber = "+493012345678"\nkind = "local"\nagent = "Rezeption"\nchannels = ["voice"]\n'


async def granted(services: Services, tenant: Tenant, millicredits: int) -> None:
    grant_id = services.new_id()
    outcome = await services.ledger.submit(
        tenant.tenant_id,
        Grant(reference=str(grant_id), grant_id=grant_id, kind="manual", amount_millicredits=millicredits, reason="t"),
    )
    assert isinstance(outcome, Applied)


async def made(services: Services, name: str, *, millicredits: int = 0, timezone: str = "Europe/Berlin") -> Tenant:
    tenant = await create_tenant(
        services.db,
        services.ledger,
        NewTenant(name=name, timezone=timezone),
        None,
        now=services.now(),
        new_id=services.new_id,
    )
    if millicredits:
        await granted(services, tenant, millicredits)
    return tenant


async def applied(services: Services, tenant: Tenant, text: str) -> AppliedFile:
    async with services.db.transaction(tenant.tenant_id) as connection:
        known = await published_agents(connection, tenant.tenant_id)
    return await apply_file(services, tenant, parse_tenant_file(text, set(known.values())))


async def lines_of(services: Services, tenant: Tenant) -> list[LineRow]:
    async with services.db.transaction(tenant.tenant_id) as connection:
        return await list_lines(connection, tenant.tenant_id)


async def line_of(services: Services, tenant: Tenant) -> LineRow:
    (line,) = await lines_of(services, tenant)
    return line


async def balance_of(services: Services, tenant: Tenant) -> int:
    async with services.db.transaction(tenant.tenant_id) as connection:
        return (await read_wallet(connection, tenant.tenant_id)).balance_millicredits


async def rents_of(services: Services, tenant: Tenant) -> list[tuple[date, int]]:
    """Return the first days of the months that were charged, in the order of their charges, and what they cost."""
    entries = await rows(
        services,
        tenant,
        """SELECT key, amount_millicredits FROM ledger_entry WHERE kind = 'charge' AND key LIKE 'rental:%'
           ORDER BY sequence""",
    )
    return [(date.fromisoformat(entry["key"].rpartition(":")[2]), -entry["amount_millicredits"]) for entry in entries]


async def alerts_of(services: Services, tenant: Tenant, kind: str) -> list[dict[str, Any]]:
    return [
        row["detail"]
        for row in await rows(services, tenant, "SELECT detail FROM alert WHERE kind = $1 ORDER BY alert_id", kind)
    ]


async def rows(services: Services, tenant: Tenant, statement: str, *arguments: object) -> list[Any]:
    async with services.db.transaction(tenant.tenant_id) as connection:
        return list(await connection.fetch(statement, *arguments))


def put_to(clock: Clock, tenant: Tenant, day: date, *, hour: int = 9) -> None:
    """Make it a day for the tenant, by its own clock."""
    clock.at = (
        clock.at.astimezone(tenant.zone)
        .replace(year=day.year, month=day.month, day=day.day, hour=hour, minute=0)
        .astimezone(clock.at.tzinfo)
    )
