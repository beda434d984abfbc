"""`secrets rotate`: stored secrets under the key that comes first in TURNMETER_SECRET_KEY."""

from gateway import line_store, webhook_store
from gateway.cli.output import print_json
from gateway.services import Services
from gateway.tenants import list_tenants


async def rotate(services: Services, *, as_json: bool) -> None:
    async with services.db.directory() as connection:
        tenants = await list_tenants(connection)
    rotated = 0
    for tenant in tenants:
        async with services.db.transaction(tenant.tenant_id) as connection:
            rotated += await line_store.rotate_secrets(connection, services.secret_box, tenant.tenant_id)
            rotated += await webhook_store.rotate_secrets(connection, services.secret_box, tenant.tenant_id)
    if as_json:
        print_json({"rotated": rotated})
    else:
        print(f"{rotated} secrets re-encrypted; all are under the first key now.")
