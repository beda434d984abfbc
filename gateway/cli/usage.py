"""`usage`, `forecast`: what a tenant's usage came to, and what it will."""

from dataclasses import asdict, dataclass
from datetime import date, timedelta

from gateway.cli.output import print_json, print_table
from gateway.errors import BadInputError
from gateway.forecasts import Forecast, read_forecast
from gateway.services import Services
from gateway.tenants import Tenant, find_tenant
from metering.credits import format_credits
from metering.usage import FORECAST_DAYS, Runway, Usage, usage_between

USAGE_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """From one of the tenant's days to another; None: the last thirty until today."""

    first: date | None
    last: date | None


async def usage(services: Services, name_or_id: str, days: Days, *, as_json: bool) -> None:
    """Print usage by day, channel and item, oldest first; refunds are taken off."""
    async with services.db.directory() as connection:
        tenant = await find_tenant(connection, name_or_id)
    last = days.last or tenant.day(services.now())
    first = days.first or last - timedelta(days=USAGE_DAYS - 1)
    if first > last:
        raise BadInputError("--from must not be after --to")
    async with services.db.transaction(tenant.tenant_id) as connection:
        rows = await usage_between(connection, tenant.tenant_id, first=first, last=last)
    total_millicredits = sum(row.amount_millicredits for row in rows)
    if as_json:
        print_json({"from": first, "to": last, "items": rows, "total_millicredits": total_millicredits})
    else:
        _print_usage(tenant, rows, first, last)
        print(f"Together  {format_credits(total_millicredits, tenant.locale)} Credits")


async def forecast(services: Services, name_or_id: str, *, as_json: bool) -> None:
    """Print how long the credits last, and what the next thirty days cost."""
    async with services.db.directory() as connection:
        tenant = await find_tenant(connection, name_or_id)
    async with services.db.transaction(tenant.tenant_id) as connection:
        found = await read_forecast(services, connection, tenant)
    if as_json:
        print_json({**asdict(found), "runway": _runway_document(found.runway)})
    else:
        _print_forecast(found, tenant)


def _runway_document(runway: Runway) -> dict[str, object]:
    """Return a runway with the names that the API has for it."""
    document = asdict(runway)
    return {"from": document.pop("first"), "to": document.pop("last"), **document}


def _print_usage(tenant: Tenant, rows: list[Usage], first: date, last: date) -> None:
    print(f"{tenant.name}, {first} to {last}")
    told = [
        (
            row.day.isoformat(),
            row.channel or "",
            row.item,
            str(row.quantity),
            format_credits(row.amount_millicredits, tenant.locale),
        )
        for row in rows
    ]
    print_table(("Day", "Channel", "Item", "Quantity", "Credits"), told, right=("Quantity", "Credits"))


def _print_forecast(found: Forecast, tenant: Tenant) -> None:
    runway, locale = found.runway, tenant.locale
    print(f"{tenant.name}: the next {FORECAST_DAYS} days, until {found.until}")
    for name, amount in (
        ("Available", runway.available_millicredits),
        ("Usage", found.usage_millicredits),
        ("Rents due", found.rents_millicredits),
        ("Together", found.total_millicredits),
        ("Missing", found.missing_millicredits),
    ):
        print(f"{name:<10} {format_credits(amount, locale):>20} Credits")
    for rent in found.rents:
        print(f"  {rent.due_on}  {rent.kind} number, {format_credits(rent.amount_millicredits, locale)} Credits")
    spent = format_credits(runway.spent_millicredits, locale)
    print(f"Computed from {spent} Credits used from {runway.first} to {runway.last}, without the rent of numbers.")
    if runway.days_left is None:
        print("Nothing was used then: no pace, no end.")
    else:
        print(f"At this pace the credits last {runway.days_left} days, rents left out.")
