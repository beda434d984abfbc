"""The owner's API: the plan, its changes, refills, and invoices."""

import hashlib
import json
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from gateway import invoices, plan_choices
from gateway.api.call import AnyRoute, Asked, Call, Nothing, Refusal, Route, Told, invalid
from gateway.api.paging import Listed, Page, id_cursor, next_page, parse_id_cursor
from gateway.repeat_keys import RepeatKey
from gateway.services import Services
from gateway.subscriptions import read_subscription
from gateway.tenants import Tenant, find_tenant

NAME_LENGTH_MAX = 200
CHOICES_REFUSED = (
    Refusal(status=409, code="subscription_cancelled"),
    Refusal(status=409, code="upgrade_committed"),
    Refusal(status=409, code="other_currency"),
    Refusal(status=409, code="plan_unknown"),
)


class PlanOffer(Told):
    """A plan on offer: a price a month, and a package of credits at each cycle's begin."""

    name: str
    price_minor: int
    currency: str
    credits: int
    rollover: bool
    rollover_max_credits: int | None


class SubscriptionTold(Told):
    """The plan and the cycle it is in; `cycle_ends_on` is the first day of the next one."""

    plan: str
    cycle: int
    cycle_starts_on: date
    cycle_ends_on: date
    state: Literal["active", "cancelled"]
    next_plan: str | None


class PlanPage(Told):
    """The subscription, null without one, and what is on offer."""

    subscription: SubscriptionTold | None
    plans: list[PlanOffer]


class Invoice(Told):
    """Credits to be paid for. `granted_at` is null until they are in the wallet; an open one names how to pay it."""

    id: UUID = Field(validation_alias="invoice_id")
    reference: str
    purpose: invoices.Purpose
    plan: str
    cycle_starts_on: date
    amount_minor: int
    currency: str
    credits: int
    state: invoices.InvoiceState
    due_on: date
    created_at: datetime
    granted_at: datetime | None
    paid_at: datetime | None
    voided_at: datetime | None
    payment_url: str | None = None


class InvoicePage(Listed[Invoice]):
    """Invoices, newest first."""


class PlanChange(Asked):
    """The plan for the next cycle. With `refill_now` an upgrade's difference is bought at once, and it is committed."""

    plan: str = Field(min_length=1, max_length=NAME_LENGTH_MAX)
    refill_now: bool = False


class PlanChosen(Told):
    """The subscription as it is now, and the invoice of what was bought along."""

    subscription: SubscriptionTold
    invoice: Invoice | None


async def show_plan(call: Call[Nothing, Nothing]) -> PlanPage:
    async with call.services.db.transaction(call.tenant_id) as connection:
        subscription = await read_subscription(connection, call.tenant_id)
    return PlanPage(
        subscription=None if subscription is None else SubscriptionTold.model_validate(subscription),
        plans=[PlanOffer.model_validate(plan) for plan in call.services.plans.plans],
    )


async def change_plan(call: Call[Nothing, PlanChange]) -> PlanChosen:
    services = call.services
    plan = services.plans.get(call.body.plan)
    if plan is None:
        raise invalid("plan", f"must be one of {', '.join(services.plans.names)}")
    chosen = await plan_choices.change_plan(services, await _tenant(call), plan, refill_now=call.body.refill_now)
    return await _told(services, chosen)


async def refill_plan(call: Call[Nothing, Nothing]) -> PlanChosen:
    return await _told(
        call.services, await plan_choices.refill(call.services, await _tenant(call), repeat=_repeat(call))
    )


async def list_invoices(call: Call[Page, Nothing]) -> InvoicePage:
    before = parse_id_cursor(call.query.cursor)
    async with call.services.db.transaction(call.tenant_id) as connection:
        rows = await invoices.list_invoices(connection, call.tenant_id, limit=call.query.limit + 1, before=before)
    page, cursor = next_page(rows, call.query.limit, lambda row: id_cursor(row.invoice_id))
    return InvoicePage(items=[await _invoice(call.services, row) for row in page], next_cursor=cursor)


async def _tenant(call: Call[Nothing, PlanChange] | Call[Nothing, Nothing]) -> Tenant:
    async with call.services.db.directory() as connection:
        return await find_tenant(connection, str(call.tenant_id))


async def _told(services: Services, chosen: plan_choices.Chosen) -> PlanChosen:
    return PlanChosen(
        subscription=SubscriptionTold.model_validate(chosen.subscription),
        invoice=None if chosen.invoice is None else await _invoice(services, chosen.invoice),
    )


async def _invoice(services: Services, invoice: invoices.Invoice) -> Invoice:
    told = Invoice.model_validate(invoice)
    if invoice.state != "open":
        return told
    how = await services.payments.ask(invoice)
    return told.model_copy(update={"payment_url": how.url})


def _repeat(call: Call[Nothing, Nothing]) -> RepeatKey | None:
    if call.idempotency_key is None:
        return None
    asked = json.dumps(["plan/refill"])
    return RepeatKey(key=call.idempotency_key, request_hash=hashlib.sha256(asked.encode()).digest())


ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="GET",
        path="/plan",
        summary="Show the plan and what is on offer",
        handler=show_plan,
        query=Nothing,
        body=Nothing,
        told=PlanPage,
    ),
    Route(
        method="POST",
        path="/plan",
        summary="Choose a plan for the next cycle, or begin with one",
        handler=change_plan,
        query=Nothing,
        body=PlanChange,
        told=PlanChosen,
        refusals=(*CHOICES_REFUSED, Refusal(status=409, code="not_an_upgrade")),
    ),
    Route(
        method="POST",
        path="/plan/refill",
        summary="Buy an agreed upgrade's difference, or on the top plan one more package",
        handler=refill_plan,
        query=Nothing,
        body=Nothing,
        told=PlanChosen,
        status=201,
        takes_idempotency_key=True,
        refusals=(
            *CHOICES_REFUSED,
            Refusal(status=409, code="not_subscribed"),
            Refusal(status=409, code="not_refillable"),
            Refusal(status=409, code="idempotency_key_reused"),
        ),
    ),
    Route(
        method="GET",
        path="/invoices",
        summary="List invoices",
        handler=list_invoices,
        query=Page,
        body=Nothing,
        told=InvoicePage,
    ),
)
