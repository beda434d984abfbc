"""Subscriptions: a tenant's plan, the cycle it is in, and what was agreed for the next one.

Whoever changes one holds the wallet's lock, so that changes, cycles and payments of a tenant stand in a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from metering.connection import Connection
from metering.cycle import Cycle, nth_cycle
from metering.plans import Plan, as_terms, plan_of_terms

State = Literal["active", "cancelled"]
_FARTHEST_EAST: Final = timedelta(hours=14)  # no clock is further ahead of UTC; the index is read up to its date


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A tenant's plan and the cycle it is in; `cycle_ends_on` is the first day of the next one.

    A cancelled one ends with its cycle. `terms` are the plan's as this cycle began, for when it leaves the file.
    """

    plan: str
    anchor_on: date
    cycle: int
    cycle_starts_on: date
    cycle_ends_on: date
    state: State
    next_plan: str | None
    terms: Mapping[str, object] | None

    @property
    def agreed(self) -> Plan | None:
        """The plan as this cycle began; unknown of one from before terms were kept."""
        return None if self.terms is None else plan_of_terms(self.terms)

    def is_over(self, today: date) -> bool:
        return self.state == "cancelled" and self.cycle_ends_on <= today

    def is_due(self, today: date) -> bool:
        """Whether the next cycle has begun."""
        return self.state == "active" and self.cycle_ends_on <= today

    def following(self) -> Cycle:
        return nth_cycle(self.anchor_on, self.cycle + 1)


_COLUMNS: Final = ", ".join(field.name for field in fields(Subscription))


async def read_subscription(connection: Connection, tenant_id: UUID) -> Subscription | None:
    """Return the tenant's subscription, also one that is over; None if it never had a plan."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM subscription WHERE tenant_id = $1", tenant_id)  # noqa: S608 - a constant
    return None if row is None else Subscription(**row)


async def subscribe(connection: Connection, tenant_id: UUID, plan: Plan, cycle: Cycle) -> bool:
    """Begin a subscription, if there is none or the one before is over; return whether it began."""
    begun = await connection.fetchval(
        """INSERT INTO subscription AS old (tenant_id, plan, anchor_on, cycle, cycle_starts_on, cycle_ends_on, terms)
           VALUES ($1, $2, $3, $4, $3, $5, $6)
           ON CONFLICT (tenant_id) DO UPDATE
             SET plan = $2, anchor_on = $3, cycle = $4, cycle_starts_on = $3, cycle_ends_on = $5, terms = $6,
                 next_plan = NULL, state = 'active'
             WHERE old.state = 'cancelled' AND old.cycle_ends_on <= $3
           RETURNING true""",
        tenant_id,
        plan.name,
        cycle.starts_on,
        cycle.number,
        cycle.ends_on,
        as_terms(plan),
    )
    return begun is True


async def move_on(connection: Connection, tenant_id: UUID, plan: Plan, cycle: Cycle) -> bool:
    """Let the next cycle begin with a plan; return whether it was the next one."""
    moved = await connection.fetchval(
        """UPDATE subscription
           SET plan = $2, cycle = $3, cycle_starts_on = $4, cycle_ends_on = $5, terms = $6, next_plan = NULL
           WHERE tenant_id = $1 AND cycle = $3 - 1 AND cycle_ends_on = $4 AND state = 'active' RETURNING true""",
        tenant_id,
        plan.name,
        cycle.number,
        cycle.starts_on,
        cycle.ends_on,
        as_terms(plan),
    )
    return moved is True


async def agree_next(connection: Connection, tenant_id: UUID, next_plan: str | None) -> None:
    """Note the plan that the next cycle begins with; None keeps the present one."""
    await connection.execute("UPDATE subscription SET next_plan = $2 WHERE tenant_id = $1", tenant_id, next_plan)


async def set_state(connection: Connection, tenant_id: UUID, state: State) -> None:
    await connection.execute("UPDATE subscription SET state = $2 WHERE tenant_id = $1", tenant_id, state)


async def tenants_with_cycles_due(connection: Connection, *, now: datetime) -> list[UUID]:
    """Return whose next cycle has begun on their own clock, the longest due first. Run under the queue's role."""
    rows = await connection.fetch(
        """SELECT s.tenant_id FROM subscription s JOIN tenant t ON t.tenant_id = s.tenant_id
           WHERE s.state = 'active' AND s.cycle_ends_on <= $2
             AND s.cycle_ends_on <= ($1::timestamptz AT TIME ZONE t.timezone)::date
           ORDER BY s.cycle_ends_on""",
        now,
        (now + _FARTHEST_EAST).date(),
    )
    return [row["tenant_id"] for row in rows]
