"""What the next thirty days cost: the pace of usage, and the rents that fall due."""

from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from gateway.rental_payment import monthly_rent
from gateway.rental_store import list_rentals
from gateway.services import Services
from gateway.tenants import Tenant
from metering.connection import Connection
from metering.entries import read_wallet
from metering.usage import FORECAST_DAYS, Runway, read_runway


@dataclass(frozen=True, slots=True, kw_only=True)
class RentDue:
    """One line's month; a day that is over: it could not be paid yet."""

    line_id: UUID
    kind: str
    due_on: date
    amount_millicredits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How long the credits last at the pace of `runway`, and what is due until `until`, that day included.

    `usage_millicredits` is the pace over thirty days, `total_millicredits` that and the rents,
    `missing_millicredits` what is not available for it yet.
    """

    runway: Runway
    until: date
    usage_millicredits: int
    rents: tuple[RentDue, ...]
    rents_millicredits: int
    total_millicredits: int
    missing_millicredits: int


async def read_forecast(services: Services, connection: Connection, tenant: Tenant) -> Forecast:
    """Return the forecast from the tenant's today on. Nothing here is a promise: it goes by the last week's pace."""
    today = tenant.day(services.now())
    until = today + timedelta(days=FORECAST_DAYS - 1)
    wallet = await read_wallet(connection, tenant.tenant_id)
    available_millicredits = wallet.available_millicredits
    runway = await read_runway(connection, tenant.tenant_id, today=today, available_millicredits=available_millicredits)
    rents = tuple(
        RentDue(
            line_id=rental.line_id,
            kind=rental.kind,
            due_on=rental.due_on,
            amount_millicredits=monthly_rent(services, rental),
        )
        for rental in await list_rentals(connection, tenant.tenant_id)
        if rental.due_on <= until
    )
    rents_millicredits = sum(rent.amount_millicredits for rent in rents)
    total_millicredits = runway.forecast_month_millicredits + rents_millicredits
    return Forecast(
        runway=runway,
        until=until,
        usage_millicredits=runway.forecast_month_millicredits,
        rents=rents,
        rents_millicredits=rents_millicredits,
        total_millicredits=total_millicredits,
        missing_millicredits=max(0, total_millicredits - available_millicredits),
    )
