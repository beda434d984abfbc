"""`statement`: a month of one tenant, entry by entry."""

import sys
from datetime import date, datetime
from zoneinfo import ZoneInfo

from gateway.cli.output import print_json, print_table
from gateway.errors import BadInputError
from gateway.services import Services
from gateway.tenants import Tenant, find_tenant
from metering.credits import format_credits
from metering.statements import Statement, as_csv, as_document, read_statement


async def statement(
    services: Services, name_or_id: str, *, month: str | None, as_csv_table: bool, as_json: bool
) -> None:
    """Print a calendar month on the tenant's clock, the current one if none is given."""
    async with services.db.directory() as connection:
        tenant = await find_tenant(connection, name_or_id)
    first = tenant.day(services.now()).replace(day=1) if month is None else _parse_month(month)
    async with services.db.transaction(tenant.tenant_id) as connection:
        found = await read_statement(connection, tenant.tenant_id, month=first, timezone=tenant.zone)
    if as_json:
        print_json(as_document(found))
    elif as_csv_table:
        sys.stdout.buffer.write(as_csv(found).encode())
        sys.stdout.buffer.flush()
    else:
        _print(found, tenant)


def _parse_month(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").date()  # noqa: DTZ007 - a month on the tenant's clock, not a moment
    except ValueError:
        raise BadInputError(f'"{text}" is not a month; write it like 2026-11') from None


def _print(found: Statement, tenant: Tenant) -> None:
    zone = ZoneInfo(found.timezone)
    rows = [
        (
            f"{entry.created_at.astimezone(zone):%Y-%m-%d %H:%M}",
            entry.kind,
            entry.reason or entry.key,
            format_credits(entry.amount_millicredits, tenant.locale),
            format_credits(entry.balance_after_millicredits, tenant.locale),
        )
        for entry in found.entries
    ]
    print(f"{tenant.name}, {found.month:%Y-%m} ({found.timezone})")
    print_table(("When", "What", "For", "Credits", "Balance"), rows, right=("Credits", "Balance"))
    for name, amount in (
        ("Opening", found.opening_millicredits),
        ("Granted", found.granted_millicredits),
        ("Charged", -found.charged_millicredits),
        ("Refunded", found.refunded_millicredits),
        ("Expired", -found.expired_millicredits),
        ("Closing", found.closing_millicredits),
    ):
        print(f"{name:<10} {format_credits(amount, tenant.locale):>20} Credits")
