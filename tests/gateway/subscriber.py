"""A tenant with a plan, and what became of its money: for tests of cycles, choices and payments."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

from gateway.billing import run_cycle
from gateway.db import Database
from gateway.invoices import Invoice, list_invoices
from gateway.services import Services
from gateway.subscriptions import Subscription, read_subscription
from gateway.tenants import NewTenant, Tenant, create_tenant
from metering.audit import audit
from metering.entries import read_wallet
from metering.operations import Charge, ReceiptDraft
from metering.plans import Plan, Plans
from metering.rates import Item
from tests.conftest import Clock
from tests.gateway.wiring import wired

SMALL = Plan("Small", 4900, "EUR", 100)
LARGE = Plan("Large", 9900, "EUR", 250)
TOP = Plan("Top", 19900, "EUR", 1_000)
LAPSING = Plan("Lapsing", 4900, "EUR", 100, rollover=False)
CAPPED = Plan("Capped", 4900, "EUR", 100, rollover_max_credits=150)
OFFERS = Plans((SMALL, LAPSING, CAPPED, LARGE, TOP))


@dataclass
class Subscriber:
    """Whose money it is."""

    services: Services
    clock: Clock
    tenant: Tenant
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Europe/Berlin"))

    def it_is(self, day: str, time: str = "12:00") -> None:
        """Set the clock to a day and time of the tenant's."""
        self.clock.at = datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=self.zone).astimezone(ZoneInfo("UTC"))

    async def cycle_runs(self) -> None:
        await run_cycle(self.services, self.tenant)

    def offers(self, *plans: Plan) -> None:
        """Change what the operator's file says."""
        self.services = replace(self.services, plans=Plans(plans))

    async def subscription(self) -> Subscription:
        async with self.services.db.transaction(self.tenant.tenant_id) as connection:
            subscription = await read_subscription(connection, self.tenant.tenant_id)
        assert subscription is not None
        return subscription

    async def invoices(self) -> list[Invoice]:
        """Return invoices, oldest first."""
        async with self.services.db.transaction(self.tenant.tenant_id) as connection:
            found = await list_invoices(connection, self.tenant.tenant_id, limit=100)
        return found[::-1]

    async def grants(self) -> list[tuple[str, int]]:
        """Return the reference of each grant and what it was, in credits, in the order they came."""
        rows = await self._rows(
            "SELECT g.reference, g.amount_millicredits / 1000 FROM credit_grant g JOIN ledger_entry e "
            "ON e.tenant_id = g.tenant_id AND e.key = 'grant:' || g.reference "
            "WHERE g.tenant_id = $1 ORDER BY e.sequence"
        )
        return [(str(reference), int(str(amount))) for reference, amount in rows]

    async def alerts(self) -> list[str]:
        return [
            str(kind) for (kind,) in await self._rows("SELECT kind FROM alert WHERE tenant_id = $1 ORDER BY alert_id")
        ]

    async def balance(self) -> int:
        """Return the balance in credits."""
        async with self.services.db.transaction(self.tenant.tenant_id) as connection:
            return (await read_wallet(connection, self.tenant.tenant_id)).balance_millicredits // 1000

    async def spends(self, amount_credits: int) -> None:
        services = self.services
        line = services.rate_cards.on(date(2026, 11, 24)).line(Item.CHAT_OUTPUT, amount_credits * 5)
        receipt = ReceiptDraft(
            receipt_id=services.new_id(),
            subject="turn",
            rate_card=services.rate_cards.on(date(2026, 11, 24)).version,
            lines=(line,),
            day=self.tenant.day(services.now()),
            channel="whatsapp",
        )
        await services.ledger.submit(self.tenant.tenant_id, Charge(key=f"turn:{services.new_id()}", receipt=receipt))

    async def audit(self) -> None:
        async with self.services.db.snapshot(self.tenant.tenant_id) as connection:
            assert await audit(connection, self.tenant.tenant_id, self.services.rate_cards) == ()

    async def _rows(self, query: str) -> Sequence[Sequence[object]]:
        async with self.services.db.transaction(self.tenant.tenant_id) as connection:
            return [tuple(row) for row in await connection.fetch(query, self.tenant.tenant_id)]


@contextlib.asynccontextmanager
async def subscribed(
    db: Database, clock: Clock, new_id: Callable[[], UUID], folder: Path, *, wanted: NewTenant, plan: Plan | None
) -> AsyncIterator[Subscriber]:
    """Make a tenant with a plan on the clock's day."""
    async with wired(db, clock, new_id, folder) as services:
        offering = replace(services, plans=OFFERS)
        tenant = await create_tenant(db, services.ledger, wanted, plan, now=clock.now(), new_id=new_id)
        yield Subscriber(services=offering, clock=clock, tenant=tenant, zone=tenant.zone)
