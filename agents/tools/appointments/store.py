"""Appointments in the tenant's rows, and the one calendar of an agent that they share.

`during` is a service and its buffer, so that the constraint `appointment_no_overlap` keeps tidying-up times
free as well, whoever writes. Nothing here commits: the caller owns the transaction.
"""

from datetime import datetime
from uuid import UUID

import asyncpg

from agents.connection import Connection, savepoint
from agents.errors import AgentsError
from agents.opening import Span
from agents.tools.appointments.calendar import Appointment


class JustTakenError(AgentsError):
    """Somebody else's appointment is there by now."""


async def lock_calendar(connection: Connection, tenant_id: UUID, agent_id: UUID) -> None:
    """Let nobody else book with an agent until the transaction ends.

    Two that insert into one slot at once may wait for each other; one after the other, the later sees why not.
    """
    await connection.execute(
        "SELECT 1 FROM agent WHERE tenant_id = $1 AND agent_id = $2 FOR NO KEY UPDATE", tenant_id, agent_id
    )


async def list_busy(
    connection: Connection, tenant_id: UUID, agent_id: UUID, within: Span, *, but_for: UUID | None = None
) -> list[Span]:
    """Return the booked times, buffers included, that reach into a span; `but_for` leaves one appointment out."""
    rows = await connection.fetch(
        """SELECT lower(during) AS start, upper(during) AS "end" FROM appointment
           WHERE tenant_id = $1 AND agent_id = $2 AND state = 'booked' AND during && tstzrange($3, $4)
             AND appointment_id IS DISTINCT FROM $5
           ORDER BY during""",
        tenant_id,
        agent_id,
        within.start,
        within.end,
        but_for,
    )
    return [Span(row["start"], row["end"]) for row in rows]


async def list_upcoming(
    connection: Connection, tenant_id: UUID, agent_id: UUID, contact_id: UUID, *, now: datetime
) -> list[Appointment]:
    """Return a contact's own booked appointments that have not begun, soonest first."""
    rows = await connection.fetch(
        """SELECT appointment_id, service, lower(during) AS start, upper(during) AS "end" FROM appointment
           WHERE tenant_id = $1 AND contact_id = $2 AND agent_id = $3 AND state = 'booked' AND lower(during) > $4
           ORDER BY during""",
        tenant_id,
        contact_id,
        agent_id,
        now,
    )
    return [
        Appointment(appointment_id=row["appointment_id"], service=row["service"], during=Span(row["start"], row["end"]))
        for row in rows
    ]


async def book(
    connection: Connection,
    tenant_id: UUID,
    agent_id: UUID,
    contact_id: UUID,
    *,
    appointment_id: UUID,
    service: str,
    during: Span,
    customer_name: str,
    note: str,
    now: datetime,
) -> Appointment:
    """Write an appointment. Raises JustTakenError; the transaction lives on."""
    try:
        async with savepoint(connection):
            await connection.execute(
                """INSERT INTO appointment (tenant_id, appointment_id, agent_id, contact_id, service, during,
                                            customer_name, note, created_at, changed_at)
                   VALUES ($1, $2, $3, $4, $5, tstzrange($6, $7), $8, $9, $10, $10)""",
                tenant_id,
                appointment_id,
                agent_id,
                contact_id,
                service,
                during.start,
                during.end,
                customer_name,
                note,
                now,
            )
    except (asyncpg.ExclusionViolationError, asyncpg.DeadlockDetectedError):
        raise JustTakenError from None
    return Appointment(appointment_id=appointment_id, service=service, during=during)


async def move(
    connection: Connection, tenant_id: UUID, contact_id: UUID, appointment_id: UUID, *, during: Span, now: datetime
) -> bool:
    """Give a contact's own appointment another time; False: there is none. Raises JustTakenError."""
    try:
        async with savepoint(connection):
            moved = await connection.fetchval(
                """UPDATE appointment SET during = tstzrange($4, $5), changed_at = $6
                   WHERE tenant_id = $1 AND contact_id = $2 AND appointment_id = $3 AND state = 'booked'
                   RETURNING appointment_id""",
                tenant_id,
                contact_id,
                appointment_id,
                during.start,
                during.end,
                now,
            )
    except (asyncpg.ExclusionViolationError, asyncpg.DeadlockDetectedError):
        raise JustTakenError from None
    return moved is not None


async def cancel(
    connection: Connection, tenant_id: UUID, contact_id: UUID, appointment_id: UUID, *, now: datetime
) -> bool:
    """Cancel a contact's own appointment; False: there is none. The row stays."""
    cancelled = await connection.fetchval(
        """UPDATE appointment SET state = 'cancelled', changed_at = $4
           WHERE tenant_id = $1 AND contact_id = $2 AND appointment_id = $3 AND state = 'booked'
           RETURNING appointment_id""",
        tenant_id,
        contact_id,
        appointment_id,
        now,
    )
    return cancelled is not None
