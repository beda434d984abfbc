"""Usage by day, channel and item, and how long the credits last at the current pace."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from metering.connection import Connection
from metering.rates import Item

PACE_DAYS = 7  # a whole week, so that its quiet and busy days count as often as they come
FORECAST_DAYS = 30
RENTALS = frozenset({Item.NUMBER_LOCAL.value, Item.NUMBER_MOBILE.value})  # monthly: no part of a day's pace


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one item came to on one of the tenant's days; refunds are taken off. No channel: rent and the like."""

    day: date
    channel: str | None
    item: str
    quantity: int
    amount_millicredits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Runway:
    """How long the credits last, and what that is computed from.

    `spent_millicredits` is what was used on the days from `first` to `last`, without the rent of numbers.
    `days_left` is None if nothing was used: no pace, no end.
    """

    first: date
    last: date
    days: int
    spent_millicredits: int
    available_millicredits: int
    days_left: int | None
    forecast_month_millicredits: int


async def usage_between(connection: Connection, tenant_id: UUID, *, first: date, last: date) -> list[Usage]:
    """Return usage from one of the tenant's days to another, both included, oldest first."""
    rows = await connection.fetch(
        """SELECT day, nullif(channel, '') AS channel, item, quantity, amount_millicredits FROM usage_day
           WHERE tenant_id = $1 AND day BETWEEN $2 AND $3 ORDER BY day, channel NULLS LAST, item""",
        tenant_id,
        first,
        last,
    )
    return [Usage(**row) for row in rows]


async def read_runway(connection: Connection, tenant_id: UUID, *, today: date, available_millicredits: int) -> Runway:
    """Return how long what is available lasts at the pace of the last whole days."""
    rows = await usage_between(connection, tenant_id, first=today - timedelta(days=PACE_DAYS), last=today)
    began_on: date | None = await connection.fetchval("SELECT min(day) FROM usage_day WHERE tenant_id = $1", tenant_id)
    return runway(rows, today=today, began_on=began_on or today, available_millicredits=available_millicredits)


def runway(rows: Sequence[Usage], *, today: date, began_on: date, available_millicredits: int) -> Runway:
    """Compute the runway from the usage of the last days (pure).

    The pace is that of the last seven whole days, or of all whole days since the first usage if that is less;
    on the very first day, of this day so far.
    """
    last = max(today - timedelta(days=1), min(began_on, today))
    first = max(today - timedelta(days=PACE_DAYS), min(began_on, last))
    days = (last - first).days + 1
    spent = sum(row.amount_millicredits for row in rows if first <= row.day <= last and row.item not in RENTALS)
    return Runway(
        first=first,
        last=last,
        days=days,
        spent_millicredits=spent,
        available_millicredits=available_millicredits,
        days_left=available_millicredits * days // spent if spent > 0 else None,
        forecast_month_millicredits=max(spent, 0) * FORECAST_DAYS // days,
    )
