"""`plan list`, `plan show`, `plan change`, `plan refill`, `plan cancel`, `plan resume`."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict

from gateway import plan_choices
from gateway.cli.invoice import invoice_document, money
from gateway.cli.output import print_json, print_table
from gateway.cli.tenant import plan_line, subscription_document
from gateway.invoices import Invoice
from gateway.services import Services
from gateway.subscriptions import Subscription, read_subscription
from gateway.tenants import Tenant, find_tenant
from metering.credits import MILLICREDITS, format_credits


async def list_all(services: Services, *, as_json: bool) -> None:
    plans = services.plans.plans
    if as_json:
        print_json({"items": [asdict(plan) for plan in plans]})
        return
    rows = [
        (
            plan.name,
            money(plan.price_minor, plan.currency),
            f"{plan.credits:,}",
            _rollover(plan.rollover_max_credits, plan.rollover),
        )
        for plan in plans
    ]
    print_table(("Plan", "A month", "Credits", "What is left"), rows, right=("A month", "Credits"))


async def show(services: Services, name_or_id: str, *, as_json: bool) -> None:
    tenant = await _find(services, name_or_id)
    async with services.db.transaction(tenant.tenant_id) as connection:
        subscription = await read_subscription(connection, tenant.tenant_id)
    _print(tenant, subscription, None, as_json=as_json)


async def change(services: Services, name_or_id: str, plan_name: str, *, refill_now: bool, as_json: bool) -> None:
    tenant, plan = await _find(services, name_or_id), services.plans.find(plan_name)
    chosen = await plan_choices.change_plan(services, tenant, plan, refill_now=refill_now)
    _print(tenant, chosen.subscription, chosen.invoice, as_json=as_json)


async def refill(services: Services, name_or_id: str, *, as_json: bool) -> None:
    tenant = await _find(services, name_or_id)
    chosen = await plan_choices.refill(services, tenant)
    _print(tenant, chosen.subscription, chosen.invoice, as_json=as_json)


async def cancel(services: Services, name_or_id: str, *, as_json: bool) -> None:
    await _set(services, name_or_id, plan_choices.cancel, as_json=as_json)


async def resume(services: Services, name_or_id: str, *, as_json: bool) -> None:
    await _set(services, name_or_id, plan_choices.resume, as_json=as_json)


async def _set(
    services: Services,
    name_or_id: str,
    choose: Callable[[Services, Tenant], Awaitable[Subscription]],
    *,
    as_json: bool,
) -> None:
    tenant = await _find(services, name_or_id)
    _print(tenant, await choose(services, tenant), None, as_json=as_json)


async def _find(services: Services, name_or_id: str) -> Tenant:
    async with services.db.directory() as connection:
        return await find_tenant(connection, name_or_id)


def _rollover(most: int | None, rolls_over: bool) -> str:
    if not rolls_over:
        return "ends with the cycle"
    return "rolls over" if most is None else f"rolls over, at most {most:,}"


def _print(tenant: Tenant, subscription: Subscription | None, invoice: Invoice | None, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "tenant": tenant.name,
                "subscription": None if subscription is None else subscription_document(subscription),
                "invoice": None if invoice is None else invoice_document(invoice),
            }
        )
        return
    print(f"Plan       {'none' if subscription is None else plan_line(subscription)}")
    if invoice is not None:
        what = "granted" if invoice.granted_at else "to be granted when it is paid"
        print(f"Invoice    {invoice.reference}, {money(invoice.amount_minor, invoice.currency)}, by {invoice.due_on}")
        print(f"Credits    {format_credits(invoice.credits * MILLICREDITS, tenant.locale)}, {what}")
