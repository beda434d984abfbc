"""The recurring work, by name: what runs once per period, in whichever process comes first.

A run may be repeated at any time, by a process that takes over or by two that met: what each does says for itself what
"once" means, by a key in the ledger or a row.
"""

from typing import Final
from uuid import UUID

import structlog

from gateway.billing import run_cycle
from gateway.jobs import RecurringJob
from gateway.mail import mail_due
from gateway.rentals import collect_rents, tenants_with_rents_due
from gateway.services import Services
from gateway.subscriptions import tenants_with_cycles_due
from gateway.sweeps import expire_grants, housekeep
from gateway.tenants import find_tenant

log = structlog.get_logger(__name__)


async def bill_months(services: Services) -> None:
    """Begin the cycles that are due, then collect the rents: a grant of the same day comes first.

    One tenant's trouble does not keep the others waiting.
    """
    now = services.now()
    async with services.db.queue() as connection:
        cycles = await tenants_with_cycles_due(connection, now=now)
        rents = await tenants_with_rents_due(connection, now=now)
    for tenant_id in dict.fromkeys([*cycles, *rents]):
        try:
            await _bill(services, tenant_id)
        except Exception:  # the edge between tenants: the next run tries this one again
            log.exception("billing_failed", tenant_id=str(tenant_id))


async def _bill(services: Services, tenant_id: UUID) -> None:
    async with services.db.directory() as connection:
        tenant = await find_tenant(connection, str(tenant_id))
    await run_cycle(services, tenant)
    await collect_rents(services, tenant)


RECURRING: Final = (
    RecurringJob(name="monthly", at="* * * * *", run=bill_months),
    RecurringJob(name="sweep", at="* * * * *", run=expire_grants),
    RecurringJob(name="housekeep", at="17 * * * *", run=housekeep),
    RecurringJob(name="mail", at="* * * * *", run=mail_due),
)
