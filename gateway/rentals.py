"""Collecting the rent of numbers: every month that is due is charged once, or its line goes out of service.

The charge, its key and the line's row are written in one transaction under the wallet's lock, so that it does not
matter how often, where and by whom rents are collected: docs/decisions/0011.
"""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from gateway import rental_payment, rental_store
from gateway.group_commit import Companion
from gateway.number_purchase import resume_orders
from gateway.number_return import give_numbers_back
from gateway.rental_days import LineState, Rental, is_warned_on
from gateway.rental_store import tenants_with_rents_due
from gateway.services import Services
from gateway.tenants import Tenant
from metering.connection import Connection
from metering.entries import read_wallet
from metering.operations import Applied, Outcome

__all__ = ["Collected", "collect_rent", "collect_rents", "tenants_with_rents_due"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What collecting a line's rent came to."""

    charged_millicredits: int
    state: LineState


async def collect_rents(services: Services, tenant: Tenant) -> None:
    """Charge every month that is due of every line, the longest due first; suspend, tell and release what is unpaid.

    Then Twilio is asked about orders that were interrupted, and to take back what was released. Does nothing twice: by
    the monthly job, after every grant, at the same moment in two processes.
    """
    day = tenant.day(services.now())
    async with services.db.transaction(tenant.tenant_id) as connection:
        rentals = await rental_store.list_rentals(connection, tenant.tenant_id)
    for rental in rentals:
        if rental.state == "suspended" or rental.is_due(day):
            await collect_rent(services, tenant, rental.line_id)
    await _warn(services, tenant.tenant_id, day)
    await resume_orders(services, tenant)
    await give_numbers_back(services, tenant.tenant_id)


async def collect_rent(services: Services, tenant: Tenant, line_id: UUID) -> Collected:
    """Charge a line's months that are due, in order; a line whose rent is paid is in service.

    Raises LookupError if the tenant has no such line.
    """
    collecting = _Collecting(services, tenant.tenant_id, line_id, tenant.day(services.now()))
    await collecting.begin()
    charged_millicredits = 0
    while (rental := collecting.rental) is not None and rental.is_due(collecting.day) and not collecting.unpaid:
        charge = rental_payment.rental_charge(
            services, line_id=line_id, kind=rental.kind, month=rental.month, day=collecting.day
        )
        collecting.asked_on = rental.due_on
        companion = Companion(check=collecting.check, write=collecting.write)
        outcome = await services.ledger.submit(tenant.tenant_id, charge, companion)
        if isinstance(outcome, Applied) and not outcome.replayed:
            charged_millicredits += charge.receipt.total_millicredits
    if rental is None:
        raise LookupError(f"no line {line_id}")
    return Collected(charged_millicredits=charged_millicredits, state=rental.state)


@dataclass(slots=True)
class _Collecting:
    """A line whose rent is being collected: how it stands, as the last transaction left it."""

    services: Services
    tenant_id: UUID
    line_id: UUID
    day: date
    rental: Rental | None = None
    asked_on: date | None = None  # the due day of the month that is being charged
    unpaid: bool = False

    async def begin(self) -> None:
        """Read the line; one that is out of service and owes nothing is in service again."""
        async with self.services.db.transaction(self.tenant_id) as connection:
            await self._look(connection)
            if self.rental is not None and self.rental.state == "suspended" and not self.rental.is_due(self.day):
                await self._note_paid(connection, self.rental, until=self.rental.due_on)

    async def check(self, connection: Connection) -> bool:
        """Decide under the wallet's lock whether this month is still the one to charge."""
        rental = await self._look(connection)
        if rental is None or rental.due_on != self.asked_on or not rental.is_due(self.day):
            return False
        if await self._is_worth_it(connection, rental):
            return True
        await self._note_unpaid(connection, rental)
        return False

    async def write(self, connection: Connection, outcome: Outcome) -> None:
        """Write what became of the line beside the charge, or beside its refusal."""
        if self.rental is None:
            raise AssertionError("a month is charged of a line that is there")
        if rental_payment.is_paid(outcome):
            await self._note_paid(connection, self.rental, until=self.rental.paid_until(self.day))
        else:
            await self._note_unpaid(connection, self.rental)

    async def _look(self, connection: Connection) -> Rental | None:
        rental = await rental_store.lock_rental(connection, self.tenant_id, self.line_id)
        self.rental, self.unpaid = rental and rental.as_of(self.day), False
        return self.rental

    async def _is_worth_it(self, connection: Connection, rental: Rental) -> bool:
        """Say no to paying one of two months: credits would be gone, and the number still out of service."""
        months = rental.months_to_pay(self.day)
        if rental.state != "suspended" or months == 1:
            return True
        wallet = await read_wallet(connection, self.tenant_id)
        return wallet.available_millicredits >= months * rental_payment.monthly_rent(self.services, rental)

    async def _note_paid(self, connection: Connection, rental: Rental, *, until: date) -> None:
        self.rental = await rental_payment.note_paid(
            self.services, connection, self.tenant_id, rental, until=until, day=self.day
        )

    async def _note_unpaid(self, connection: Connection, rental: Rental) -> None:
        self.unpaid = True
        self.rental = await rental_payment.note_unpaid(self.services, connection, self.tenant_id, rental, self.day)


async def _warn(services: Services, tenant_id: UUID, day: date) -> None:
    """Tell of months that fall due within a week and that the balance, after those before them, does not cover."""
    async with services.db.transaction(tenant_id) as connection:
        rentals = await rental_store.list_rentals(connection, tenant_id)
        soon = [rental for rental in rentals if rental.state == "active" and is_warned_on(rental.due_on, day)]
        if not soon:
            return
        left_millicredits = (await read_wallet(connection, tenant_id)).balance_millicredits
        for rental in soon:
            left_millicredits -= rental_payment.monthly_rent(services, rental)
            if left_millicredits < 0:
                await rental_payment.warn(services, connection, tenant_id, rental)
