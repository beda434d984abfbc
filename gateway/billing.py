"""Billing: cycles that begin, credits that are sold, payments that are confirmed; each of it once.

What is granted at once is granted in the transaction that writes the invoice; the rest when its payment is confirmed,
in the transaction that marks it paid. The ledger's keys say what "once" means: `plan:<first day of the cycle>` for a
package, `invoice:<id>` for any other credits.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import structlog

from gateway.alerts import raise_alert
from gateway.errors import BadInputError, ProblemError, TurnmeterError
from gateway.group_commit import Companion
from gateway.invoices import (
    Invoice,
    find_invoice,
    grant_of,
    insert_invoice,
    mark_paid,
    mark_void,
    package_invoice,
    read_invoice,
)
from gateway.rentals import collect_rents
from gateway.services import Services
from gateway.subscriptions import Subscription, move_on, read_subscription
from gateway.tenants import Tenant, find_tenant
from metering.connection import Connection
from metering.cycle import cycle_on
from metering.ledger import lock as lock_wallet
from metering.operations import Applied, ExpireExcess, Outcome, Refused
from metering.plans import Plan, Plans

Check = Callable[[Connection], Awaitable[bool]]
Write = Callable[[Connection], Awaitable[None]]

log = structlog.get_logger(__name__)


class _MovedOnError(Exception):
    """Another of the same batch changed what this one was decided on: roll back, and ask again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """A payment as it is noted; `was_paid` if it had been confirmed before."""

    tenant: Tenant
    invoice: Invoice
    was_paid: bool


async def run_cycle(services: Services, tenant: Tenant) -> None:
    """Begin every cycle that is due on the tenant's day, in order, each once; rents are the caller's to collect.

    Its package is granted now if the tenant is on account or it costs nothing, else when its invoice is paid.
    """
    while await _begin_next(services, tenant):
        pass


async def _begin_next(services: Services, tenant: Tenant) -> bool:
    """Begin the next cycle if it is due; return whether another may be."""
    async with services.db.transaction(tenant.tenant_id) as connection:
        seen = await read_subscription(connection, tenant.tenant_id)
    now = services.now()
    if seen is None or not seen.is_due(tenant.day(now)):
        return False
    plan, missing = _next_plan(services.plans, seen)
    if missing is not None:
        await _tell_of_missing(services, tenant, missing, seen.cycle_ends_on)
    if plan is None:
        return False
    cycle = seen.following()

    async def is_as_seen(connection: Connection) -> bool:
        return await read_subscription(connection, tenant.tenant_id) == seen

    async def write(connection: Connection) -> None:
        await move_on(connection, tenant.tenant_id, plan, cycle)
        if invoice.granted_at is None:
            await _tell_of_invoice(services, connection, invoice)

    await _let_excess_go(services, tenant, seen, is_as_seen)
    invoice = package_invoice(
        tenant.tenant_id,
        plan,
        cycle,
        on_account=tenant.on_account,
        invoice_id=services.new_id(),
        today=tenant.day(now),
        now=now,
    )
    await sell(services, tenant, invoice, check=is_as_seen, write=write)
    return True


def _next_plan(plans: Plans, seen: Subscription) -> tuple[Plan | None, str | None]:
    """Return the plan that the next cycle begins with, and the one that was agreed but is not on offer any more.

    Then the plan stays as it was last agreed; None if nobody knows how.
    """
    agreed = seen.next_plan or seen.plan
    plan = plans.get(agreed)
    if plan is not None:
        return plan, None
    return plans.get(seen.plan) or seen.agreed, agreed


async def _let_excess_go(services: Services, tenant: Tenant, seen: Subscription, check: Check) -> None:
    """Take what the ended cycle's plan does not let roll over."""
    ended = seen.agreed or services.plans.get(seen.plan)
    keep = None if ended is None else ended.rollover_max_millicredits
    if keep is None:
        return
    day = seen.cycle_ends_on.isoformat()
    excess = ExpireExcess(key=f"rollover:{day}", before_reference=f"plan:{day}", keep_millicredits=keep)
    await services.ledger.submit(tenant.tenant_id, excess, Companion(check=check))


async def sell(services: Services, tenant: Tenant, invoice: Invoice, *, check: Check, write: Write) -> bool:
    """Write an invoice and what goes with it, and grant its credits along if that is due at once.

    `check` is asked under the wallet's lock whether what the sale was decided on still holds; False, and nothing is
    written.
    """
    if invoice.granted_at is None:
        async with services.db.transaction(tenant.tenant_id) as connection:
            await lock_wallet(connection, tenant.tenant_id)
            if not await check(connection):
                return False
            await write(connection)
            await insert_invoice(connection, invoice)
        return True

    async def write_sale(connection: Connection, outcome: Outcome) -> None:
        if not isinstance(outcome, Applied):
            return
        if not await check(connection):
            raise _MovedOnError
        await write(connection)
        await insert_invoice(connection, invoice)

    return await _grant(services, tenant, invoice, Companion(check=check, write=write_sale), ends_on=None)


async def _grant(
    services: Services, tenant: Tenant, invoice: Invoice, companion: Companion, *, ends_on: date | None
) -> bool:
    """Grant an invoice's credits; False if the companion's check said no."""
    grant = grant_of(invoice, grant_id=services.new_id(), ends_on=ends_on or invoice.credits_end_on, zone=tenant.zone)
    outcome = await services.ledger.submit(tenant.tenant_id, grant, companion)
    if isinstance(outcome, Refused):
        raise TurnmeterError(f"{grant.reference} was granted before, for another amount or expiry")
    return outcome is not None


async def confirm(
    services: Services, reference: str, *, amount_minor: int | None = None, paid_reference: str | None = None
) -> Confirmed:
    """Note the payment of an invoice and grant its credits, unless they were: once, whatever is repeated.

    Raises BadInputError for an unknown reference or another amount, ProblemError (409) for a withdrawn invoice.
    """
    tenant, invoice_id = await _find(services, reference)
    while True:
        invoice = await _read(services, tenant, invoice_id)
        if amount_minor is not None and amount_minor != invoice.amount_minor:
            raise BadInputError(f"{invoice.reference} is for another amount: {invoice.amount_minor} {invoice.currency}")
        if invoice.state == "void":
            raise ProblemError(409, "invoice_void", f"{invoice.reference} was withdrawn; nothing is due on it.")
        if invoice.state == "paid":
            return Confirmed(tenant=tenant, invoice=invoice, was_paid=True)
        if await _note_payment(services, tenant, invoice, paid_reference):
            await collect_rents(services, tenant)
            invoice = await _read(services, tenant, invoice_id)
            return Confirmed(tenant=tenant, invoice=invoice, was_paid=False)


async def _note_payment(services: Services, tenant: Tenant, invoice: Invoice, paid_reference: str | None) -> bool:
    """Mark an open invoice paid, granting what was not granted; False if it was not open any more."""

    async def is_open(connection: Connection) -> bool:
        current = await read_invoice(connection, tenant.tenant_id, invoice.invoice_id)
        return current is not None and current.state == "open"

    async def mark(connection: Connection) -> bool:
        return await mark_paid(
            connection, tenant.tenant_id, invoice.invoice_id, paid_reference=paid_reference, now=services.now()
        )

    async def write(connection: Connection, outcome: Outcome) -> None:
        if isinstance(outcome, Applied) and not await mark(connection):
            raise _MovedOnError

    if invoice.granted_at is not None:
        async with services.db.transaction(tenant.tenant_id) as connection:
            await lock_wallet(connection, tenant.tenant_id)
            return await mark(connection)
    ends_on = await _end_of_late_package(services, tenant, invoice)
    return await _grant(services, tenant, invoice, Companion(check=is_open, write=write), ends_on=ends_on)


async def _end_of_late_package(services: Services, tenant: Tenant, invoice: Invoice) -> date | None:
    """Return when credits end that are paid for after their cycle: with the cycle that they are paid in."""
    today = tenant.day(services.now())
    if invoice.credits_end_on is None or invoice.credits_end_on > today:
        return None
    async with services.db.transaction(tenant.tenant_id) as connection:
        subscription = await read_subscription(connection, tenant.tenant_id)
    anchor_on = invoice.cycle_starts_on if subscription is None else subscription.anchor_on
    return cycle_on(anchor_on, today).ends_on


async def void(services: Services, reference: str) -> Confirmed:
    """Withdraw an open invoice; credits that it granted already stay. Raises as `confirm`, also if it is paid."""
    tenant, invoice_id = await _find(services, reference)
    async with services.db.transaction(tenant.tenant_id) as connection:
        await lock_wallet(connection, tenant.tenant_id)
        await mark_void(connection, tenant.tenant_id, invoice_id, now=services.now())
    invoice = await _read(services, tenant, invoice_id)
    if invoice.state == "paid":
        raise ProblemError(409, "invoice_paid", f"{invoice.reference} is paid; it cannot be withdrawn.")
    return Confirmed(tenant=tenant, invoice=invoice, was_paid=False)


async def _find(services: Services, reference: str) -> tuple[Tenant, UUID]:
    async with services.db.directory() as connection:
        found = await find_invoice(connection, reference)
        if found is None:
            raise BadInputError(f'no invoice has the reference "{reference}"; `turnmeter invoice list` shows them')
        tenant_id, invoice_id = found
        return await find_tenant(connection, str(tenant_id)), invoice_id


async def _read(services: Services, tenant: Tenant, invoice_id: UUID) -> Invoice:
    async with services.db.transaction(tenant.tenant_id) as connection:
        invoice = await read_invoice(connection, tenant.tenant_id, invoice_id)
    if invoice is None:
        raise AssertionError("the directory leads to an invoice that is not there")
    return invoice


async def _tell_of_missing(services: Services, tenant: Tenant, plan: str, since: date) -> None:
    log.warning("plan_not_on_offer", tenant_id=str(tenant.tenant_id), plan=plan)
    async with services.db.transaction(tenant.tenant_id) as connection:
        await raise_alert(
            connection,
            tenant.tenant_id,
            kind="plan_not_on_offer",
            dedupe_key=f"plan_not_on_offer:{plan}:{since.isoformat()}",
            detail={"plan": plan, "since": since.isoformat()},
            now=services.now(),
            new_id=services.new_id,
        )


async def _tell_of_invoice(services: Services, connection: Connection, invoice: Invoice) -> None:
    await raise_alert(
        connection,
        invoice.tenant_id,
        kind="invoice_open",
        dedupe_key=f"invoice_open:{invoice.invoice_id}",
        detail={"reference": invoice.reference, "due_on": invoice.due_on.isoformat()},
        now=services.now(),
        new_id=services.new_id,
    )
