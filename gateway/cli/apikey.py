"""`apikey create`, `apikey list`, `apikey revoke`."""

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from gateway.cli.output import print_json, print_table
from gateway.errors import BadInputError
from gateway.identity import create_api_key, list_api_keys, revoke_api_key
from gateway.services import Services
from gateway.tenants import find_tenant


async def create(services: Services, name_or_id: str, *, label: str, as_json: bool) -> None:
    """Make a key and print its token, the only time that it is seen."""
    async with services.db.directory() as connection:
        tenant = await find_tenant(connection, name_or_id)
        key = await create_api_key(
            connection, tenant.tenant_id, api_key_id=services.new_id(), label=label, now=services.now()
        )
    if as_json:
        print_json({**asdict(key), "label": label, "tenant_id": tenant.tenant_id})
    else:
        print(f"{key.token}\n\nKeep it now: it is not shown again. Revoke it with its id, {key.api_key_id}.")


async def list_all(services: Services, name_or_id: str, *, as_json: bool) -> None:
    async with services.db.directory() as connection:
        tenant = await find_tenant(connection, name_or_id)
        keys = await list_api_keys(connection, tenant.tenant_id)
    if as_json:
        print_json({"items": [asdict(key) for key in keys]})
        return

    def when(moment: datetime | None) -> str:
        return "" if moment is None else f"{moment.astimezone(tenant.zone):%Y-%m-%d %H:%M}"

    rows = [
        (str(key.api_key_id), key.label, when(key.created_at), when(key.last_used_at), when(key.revoked_at))
        for key in keys
    ]
    print_table(("Id", "Label", "Made", "Last used", "Revoked"), rows)


async def revoke(services: Services, name_or_id: str, api_key_id: str, *, as_json: bool) -> None:
    try:
        key_id = UUID(api_key_id)
    except ValueError:
        raise BadInputError("that is not the id of a key; `turnmeter apikey list` shows them") from None
    async with services.db.directory() as connection:
        tenant = await find_tenant(connection, name_or_id)
        await revoke_api_key(connection, tenant.tenant_id, key_id, now=services.now())
    if as_json:
        print_json({"api_key_id": key_id, "revoked": True})
    else:
        print("Revoked.")
