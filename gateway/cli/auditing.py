"""`audit`: every balance, receipt and hash recomputed."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from gateway.cli.output import print_error, print_json
from gateway.cli.running import FAILURE
from gateway.services import Services
from gateway.tenants import Tenant, find_tenant, list_tenants
from gateway.voice.credit.audit import audit_calls
from metering.audit import Audited, audit_tenant


async def audit(services: Services, name_or_id: str | None, *, as_json: bool) -> int:
    """Audit one tenant or all; return the exit code: failure if the books of any do not agree."""
    async with services.db.directory() as connection:
        tenants = await list_tenants(connection) if name_or_id is None else [await find_tenant(connection, name_or_id)]
    audited = [(tenant, await _audit(services, tenant)) for tenant in tenants]
    if as_json:
        print_json(_document(audited))
    else:
        _print(audited)
    return FAILURE if any(found.differences for _, found in audited) else 0


async def _audit(services: Services, tenant: Tenant) -> Audited:
    async with services.db.snapshot(tenant.tenant_id) as connection:
        audited = await audit_tenant(connection, tenant.tenant_id, services.rate_cards)
        calls = await audit_calls(connection, tenant.tenant_id)
    return replace(audited, differences=(*audited.differences, *calls))


def _document(audited: Sequence[tuple[Tenant, Audited]]) -> dict[str, object]:
    return {
        "tenants": len(audited),
        "entries": sum(found.entries for _, found in audited),
        "receipts": sum(found.receipts for _, found in audited),
        "differences": [
            {"tenant_id": tenant.tenant_id, **asdict(difference)}
            for tenant, found in audited
            for difference in found.differences
        ],
    }


def _print(audited: Sequence[tuple[Tenant, Audited]]) -> None:
    for tenant, found in audited:
        for difference in found.differences:
            print_error(
                f"{tenant.name}: {difference.what} {difference.where}: "
                f"{difference.expected} expected, {difference.found} found"
            )
    entries = sum(found.entries for _, found in audited)
    receipts = sum(found.receipts for _, found in audited)
    differing = sum(bool(found.differences) for _, found in audited)
    verdict = f"the books of {differing} do not agree" if differing else "all books agree"
    print(f"{len(audited)} tenants, {entries} entries, {receipts} receipts: {verdict}.")
