"""The statements of rents: what a line has paid, and what becomes of it. Nothing here commits.

Whoever changes a line's rent holds the wallet's lock, so that a grant, the job and a command stand in a row.
"""

from datetime import date, datetime
from uuid import UUID

from gateway.rental_days import WARNED_DAYS_BEFORE, Rental
from metering.connection import Connection

_RENTAL = """
SELECT line_id, kind, state, provisioned_on, unpaid_since,
       rented_until IS NOT NULL OR twilio_number_sid IS NOT NULL AS has_begun,
       greatest(coalesce(rented_until, provisioned_on), provisioned_on) AS due_on
FROM line WHERE tenant_id = $1
"""


async def list_rentals(connection: Connection, tenant_id: UUID) -> list[Rental]:
    """Return the rents of the tenant's lines that are not given up, the longest due first."""
    rows = await connection.fetch(f"{_RENTAL} AND state <> 'released' ORDER BY due_on, number", tenant_id)
    return [Rental(**row) for row in rows]


async def lock_rental(connection: Connection, tenant_id: UUID, line_id: UUID) -> Rental | None:
    """Lock a line's row and return its rent; None if there is no such line."""
    row = await connection.fetchrow(f"{_RENTAL} AND line_id = $2 FOR NO KEY UPDATE", tenant_id, line_id)
    return Rental(**row) if row else None


async def mark_paid(connection: Connection, tenant_id: UUID, rental: Rental, *, until: date, day: date) -> bool:
    """Note the first day that is not paid; return whether that put a suspended line into service."""
    row = await connection.fetchrow(
        """UPDATE line SET provisioned_on = $5, rented_until = $3::date, unpaid_since = NULL,
             state = CASE WHEN $3::date > $4::date THEN 'active' ELSE line.state END
           FROM (SELECT state FROM line WHERE tenant_id = $1 AND line_id = $2) AS before
           WHERE tenant_id = $1 AND line_id = $2 AND line.state <> 'released'
           RETURNING before.state = 'suspended' AND line.state = 'active' AS woken""",
        tenant_id,
        rental.line_id,
        until,
        day,
        rental.provisioned_on,
    )
    return bool(row and row["woken"])


async def mark_unpaid(connection: Connection, tenant_id: UUID, line_id: UUID, *, since: date) -> None:
    """Take a line out of service until its rent is paid."""
    await connection.execute(
        """UPDATE line SET state = 'suspended', unpaid_since = $3
           WHERE tenant_id = $1 AND line_id = $2 AND state <> 'released'""",
        tenant_id,
        line_id,
        since,
    )


async def release(connection: Connection, tenant_id: UUID, line_id: UUID) -> None:
    """Give a line up: nothing leads to it any more, and what still arrives is nobody's."""
    await connection.execute(
        "UPDATE line SET state = 'released' WHERE tenant_id = $1 AND line_id = $2", tenant_id, line_id
    )
    await connection.execute("DELETE FROM line_directory WHERE tenant_id = $1 AND line_id = $2", tenant_id, line_id)


async def tenants_with_rents_due(connection: Connection, *, now: datetime) -> list[UUID]:
    """Return the tenants for which collecting rents has something to do now; runs under the queue's role.

    Somebody has a month due on its own day, or soon; a line out of service; a number to give back; an order to end.
    """
    rows = await connection.fetch(
        """SELECT l.tenant_id FROM line l JOIN tenant t ON t.tenant_id = l.tenant_id
           WHERE CASE l.state
             WHEN 'active' THEN coalesce(l.rented_until, l.provisioned_on) - $2::int
                                  <= ($1::timestamptz AT TIME ZONE t.timezone)::date
             WHEN 'suspended' THEN true
             ELSE l.twilio_number_sid IS NOT NULL END
           UNION
           SELECT tenant_id FROM number_order WHERE state IN ('held', 'buying') AND claimed_until <= $1""",
        now,
        WARNED_DAYS_BEFORE,
    )
    return [row["tenant_id"] for row in rows]


async def numbers_to_give_back(connection: Connection, tenant_id: UUID) -> list[tuple[UUID, str]]:
    """Return the released lines whose number is still ours at Twilio, and what Twilio calls it."""
    rows = await connection.fetch(
        """SELECT line_id, twilio_number_sid FROM line
           WHERE tenant_id = $1 AND state = 'released' AND twilio_number_sid IS NOT NULL ORDER BY line_id""",
        tenant_id,
    )
    return [(row["line_id"], row["twilio_number_sid"]) for row in rows]


async def forget_number(connection: Connection, tenant_id: UUID, line_id: UUID, number_sid: str) -> None:
    """Note that Twilio has a number back."""
    await connection.execute(
        """UPDATE line SET twilio_number_sid = NULL
           WHERE tenant_id = $1 AND line_id = $2 AND twilio_number_sid = $3 AND state = 'released'""",
        tenant_id,
        line_id,
        number_sid,
    )
