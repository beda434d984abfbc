"""What a subscriber chooses: a plan, another for the next cycle, a refill, the end, and going on after all."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from gateway.billing import Check, Write, run_cycle, sell
from gateway.errors import ProblemError
from gateway.invoices import Invoice, new_invoice, package_invoice, read_invoice, upgrades_bought
from gateway.plan_changes import Bought, Purchase, Standing, decide_change, decide_refill, decide_upgrade
from gateway.rentals import collect_rents
from gateway.repeat_keys import RepeatKey, find_done, remember
from gateway.services import Services
from gateway.subscriptions import Subscription, agree_next, read_subscription, set_state, subscribe
from gateway.tenants import Tenant
from metering.connection import Connection
from metering.cycle import nth_cycle
from metering.ledger import lock as lock_wallet
from metering.plans import Plan, Plans


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The subscription as it is now, and the invoice of what was bought along."""

    subscription: Subscription
    invoice: Invoice | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What a choice is decided on."""

    subscription: Subscription
    upgrades: Sequence[Invoice]

    def standing(self, plans: Plans) -> Standing:
        """Return what the rules look at. Raises ProblemError for a plan that left the file before terms were kept."""
        subscription = self.subscription
        plan = plans.get(subscription.plan) or subscription.agreed
        if plan is None:
            raise ProblemError(409, "plan_unknown", f"{subscription.plan} is not on offer any more.")
        return Standing(
            plan=plan,
            next_plan=None if subscription.next_plan is None else plans.get(subscription.next_plan),
            bought=tuple(Bought(credits=each.credits, amount_minor=each.amount_minor) for each in self.upgrades),
            is_cancelled=subscription.state == "cancelled",
        )


async def change_plan(services: Services, tenant: Tenant, plan: Plan, *, refill_now: bool = False) -> Chosen:
    """Subscribe to a plan, or choose one for the next cycle; the present one again keeps it.

    With `refill_now` an upgrade's difference is bought at once, once per cycle. Raises ProblemError (409).
    """
    await run_cycle(services, tenant)
    while True:
        seen = await _look(services, tenant)
        if seen is None:
            chosen = await _subscribe(services, tenant, plan)
        elif refill_now:
            chosen = await _upgrade(services, tenant, plan, seen)
        else:
            chosen = await _agree(services, tenant, plan, seen)
        if chosen is not None:
            await collect_rents(services, tenant)
            return chosen


async def refill(services: Services, tenant: Tenant, *, repeat: RepeatKey | None = None) -> Chosen:
    """Buy an agreed upgrade's difference, or on the top plan one more package.

    A repeated request buys once. Raises ProblemError (409).
    """
    await run_cycle(services, tenant)
    while True:
        done = None if repeat is None else await _done_before(services, tenant, repeat)
        if done is not None:
            return done
        seen = await _look(services, tenant)
        if seen is None:
            raise _not_subscribed()
        purchase = decide_refill(seen.standing(services.plans), services.plans)
        chosen = await _buy(services, tenant, purchase, seen, repeat=repeat)
        if chosen is not None:
            await collect_rents(services, tenant)
            return chosen


async def cancel(services: Services, tenant: Tenant) -> Subscription:
    """End a subscription with its cycle. Raises ProblemError (409) without one."""
    await run_cycle(services, tenant)
    async with services.db.transaction(tenant.tenant_id) as connection:
        await lock_wallet(connection, tenant.tenant_id)
        await _expect_running(services, connection, tenant)
        await set_state(connection, tenant.tenant_id, "cancelled")
        return await _expect_running(services, connection, tenant)


async def resume(services: Services, tenant: Tenant) -> Subscription:
    """Let a cancelled subscription go on, before its cycle ends. Raises ProblemError (409)."""
    async with services.db.transaction(tenant.tenant_id) as connection:
        await lock_wallet(connection, tenant.tenant_id)
        await _expect_running(services, connection, tenant)
        await set_state(connection, tenant.tenant_id, "active")
        return await _expect_running(services, connection, tenant)


async def _look(services: Services, tenant: Tenant) -> _Seen | None:
    async with services.db.transaction(tenant.tenant_id) as connection:
        return await _read_seen(services, connection, tenant)


async def _read_seen(services: Services, connection: Connection, tenant: Tenant) -> _Seen | None:
    """Return what a running subscription's choices are decided on, None without one."""
    subscription = await read_subscription(connection, tenant.tenant_id)
    if subscription is None or subscription.is_over(tenant.day(services.now())):
        return None
    upgrades = await upgrades_bought(connection, tenant.tenant_id, subscription.cycle_starts_on)
    return _Seen(subscription=subscription, upgrades=upgrades)


async def _expect_running(services: Services, connection: Connection, tenant: Tenant) -> Subscription:
    seen = await _read_seen(services, connection, tenant)
    if seen is None:
        raise _not_subscribed()
    return seen.subscription


async def _subscribe(services: Services, tenant: Tenant, plan: Plan) -> Chosen | None:
    now = services.now()
    today = tenant.day(now)
    cycle = nth_cycle(today, 1)
    invoice = package_invoice(
        tenant.tenant_id,
        plan,
        cycle,
        on_account=tenant.on_account,
        invoice_id=services.new_id(),
        today=today,
        now=now,
    )

    async def write(connection: Connection) -> None:
        await subscribe(connection, tenant.tenant_id, plan, cycle)

    return await _sell(services, tenant, invoice, _as_seen(services, tenant, None), write)


async def _agree(services: Services, tenant: Tenant, plan: Plan, seen: _Seen) -> Chosen | None:
    """Note the plan for the next cycle; None if the subscription is not as it was seen."""
    next_plan = decide_change(seen.standing(services.plans), plan)
    async with services.db.transaction(tenant.tenant_id) as connection:
        await lock_wallet(connection, tenant.tenant_id)
        if await _read_seen(services, connection, tenant) != seen:
            return None
        await agree_next(connection, tenant.tenant_id, next_plan)
        subscription = await _expect_running(services, connection, tenant)
    return Chosen(subscription=subscription, invoice=None)


async def _upgrade(services: Services, tenant: Tenant, plan: Plan, seen: _Seen) -> Chosen | None:
    purchase = decide_upgrade(seen.standing(services.plans), plan)
    if purchase is not None:
        return await _buy(services, tenant, purchase, seen)
    chosen = await _agree(services, tenant, plan, seen)
    return chosen and Chosen(subscription=chosen.subscription, invoice=seen.upgrades[-1])


async def _buy(
    services: Services, tenant: Tenant, purchase: Purchase, seen: _Seen, *, repeat: RepeatKey | None = None
) -> Chosen | None:
    """Sell what was decided on; None if the subscription is not as it was seen."""
    now = services.now()
    invoice = new_invoice(
        tenant.tenant_id,
        purpose=purchase.purpose,
        plan=purchase.plan,
        cycle_starts_on=seen.subscription.cycle_starts_on,
        credits=purchase.credits,
        amount_minor=purchase.amount_minor,
        credits_end_on=None,  # what is bought beside the package does not end with a cycle
        on_account=tenant.on_account,
        invoice_id=services.new_id(),
        today=tenant.day(now),
        now=now,
    )

    async def write(connection: Connection) -> None:
        if purchase.purpose == "upgrade":
            await agree_next(connection, tenant.tenant_id, purchase.plan.name)
        if repeat is not None:
            response = {"invoice_id": str(invoice.invoice_id)}
            await remember(connection, tenant.tenant_id, repeat, status=201, response=response, now=now)

    return await _sell(services, tenant, invoice, _as_seen(services, tenant, seen, repeat), write)


async def _sell(services: Services, tenant: Tenant, invoice: Invoice, check: Check, write: Write) -> Chosen | None:
    if not await sell(services, tenant, invoice, check=check, write=write):
        return None
    async with services.db.transaction(tenant.tenant_id) as connection:
        subscription = await _expect_running(services, connection, tenant)
    return Chosen(subscription=subscription, invoice=invoice)


def _as_seen(services: Services, tenant: Tenant, seen: _Seen | None, repeat: RepeatKey | None = None) -> Check:
    """Return what asks under the wallet's lock whether everything is still as it was seen."""

    async def check(connection: Connection) -> bool:
        if repeat is not None:
            done = await find_done(connection, tenant.tenant_id, repeat.key, now=services.now())
            if done is not None:
                return False
        return await _read_seen(services, connection, tenant) == seen

    return check


async def _done_before(services: Services, tenant: Tenant, repeat: RepeatKey) -> Chosen | None:
    async with services.db.transaction(tenant.tenant_id) as connection:
        done = await find_done(connection, tenant.tenant_id, repeat.key, now=services.now())
        if done is None:
            return None
        if done.request_hash != repeat.request_hash:
            raise ProblemError(
                409, "idempotency_key_reused", "This Idempotency-Key was used for another request; take a new one."
            )
        # A key is not only used here: another request's answer has no invoice, and another hash.
        invoice_id = UUID(str(done.response["invoice_id"]))
        invoice = await read_invoice(connection, tenant.tenant_id, invoice_id)
        subscription = await read_subscription(connection, tenant.tenant_id)
    if subscription is None:
        raise _not_subscribed()
    return Chosen(subscription=subscription, invoice=invoice)


def _not_subscribed() -> ProblemError:
    return ProblemError(409, "not_subscribed", "There is no running subscription: choose a plan first.")
