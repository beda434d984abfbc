"""`webhook create`, `webhook list`, `webhook delete`, `webhook deliveries`."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from gateway.cli.output import print_json, print_table
from gateway.errors import BadInputError
from gateway.services import Services
from gateway.tenants import Tenant, find_tenant
from gateway.webhook_log import list_deliveries
from gateway.webhook_store import create_endpoint, delete_endpoint, list_endpoints, read_endpoint


async def create(services: Services, name_or_id: str, url: str, kinds: Sequence[str], *, as_json: bool) -> None:
    """Make a webhook and print its secret, the only time that it is seen."""
    tenant = await _tenant(services, name_or_id)
    endpoint_id = services.new_id()
    async with services.db.transaction(tenant.tenant_id) as connection:
        secret = await create_endpoint(
            connection,
            tenant.tenant_id,
            endpoint_id=endpoint_id,
            url=url,
            kinds=kinds,
            secret_box=services.secret_box,
            may_stay_inside=services.limits.webhooks_may_stay_inside,
            now=services.now(),
        )
    if as_json:
        print_json({"id": endpoint_id, "url": url, "kinds": list(kinds), "secret": secret})
    else:
        print(f"{secret}\n\nKeep it now: it is not shown again. The webhook's id is {endpoint_id}.")


async def list_all(services: Services, name_or_id: str, *, as_json: bool) -> None:
    tenant = await _tenant(services, name_or_id)
    async with services.db.transaction(tenant.tenant_id) as connection:
        endpoints = await list_endpoints(connection, tenant.tenant_id)
    if as_json:
        print_json({"items": [_named(asdict(endpoint), "endpoint_id") for endpoint in endpoints]})
        return
    rows = [
        (
            str(endpoint.endpoint_id),
            endpoint.url,
            ", ".join(endpoint.kinds) or "all",
            "on" if endpoint.enabled else f"off ({endpoint.disabled_reason})",
            _when(tenant, endpoint.failing_since),
        )
        for endpoint in endpoints
    ]
    print_table(("Id", "URL", "Events", "State", "Failing since"), rows)


async def delete(services: Services, name_or_id: str, webhook_id: str, *, as_json: bool) -> None:
    tenant = await _tenant(services, name_or_id)
    endpoint_id = _endpoint_id(webhook_id)
    async with services.db.transaction(tenant.tenant_id) as connection:
        if not await delete_endpoint(connection, tenant.tenant_id, endpoint_id):
            raise _unknown(endpoint_id)
    if as_json:
        print_json({"id": endpoint_id, "deleted": True})
    else:
        print("Deleted.")


async def deliveries(services: Services, name_or_id: str, webhook_id: str, *, limit: int, as_json: bool) -> None:
    """Show what was sent to a webhook, newest event first."""
    tenant = await _tenant(services, name_or_id)
    endpoint_id = _endpoint_id(webhook_id)
    async with services.db.transaction(tenant.tenant_id) as connection:
        if await read_endpoint(connection, tenant.tenant_id, endpoint_id) is None:
            raise _unknown(endpoint_id)
        found = await list_deliveries(connection, tenant.tenant_id, endpoint_id, limit=limit)
    if as_json:
        print_json({"items": [_named(asdict(delivery), "event_id") for delivery in found]})
        return
    rows = [
        (
            str(delivery.event_id),
            delivery.kind,
            _when(tenant, delivery.created_at),
            delivery.state,
            str(delivery.attempts),
            delivery.last_error or str(delivery.last_status or ""),
            _when(tenant, delivery.next_attempt_at),
        )
        for delivery in found
    ]
    print_table(("Id", "Event", "Happened", "State", "Attempts", "Last answer", "Next attempt"), rows)


async def _tenant(services: Services, name_or_id: str) -> Tenant:
    async with services.db.directory() as connection:
        return await find_tenant(connection, name_or_id)


def _endpoint_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise BadInputError("that is not the id of a webhook; `turnmeter webhook list` shows them") from None


def _unknown(endpoint_id: UUID) -> BadInputError:
    return BadInputError(f"there is no webhook {endpoint_id}; `turnmeter webhook list` shows them")


def _named(row: dict[str, object], id_name: str) -> dict[str, object]:
    """Call the row's own id `id`, as the API does."""
    return {"id" if name == id_name else name: value for name, value in row.items()}


def _when(tenant: Tenant, moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(tenant.zone):%Y-%m-%d %H:%M}"
