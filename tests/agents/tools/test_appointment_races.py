"""Several at once on one calendar: no time is given twice, and a transaction undone leaves nothing."""

import asyncio
import itertools
from uuid import UUID

import pytest

from agents.connection import Connection
from agents.errors import ToolFailedError
from gateway.db import Database
from tests.agents.tools.conftest import ANNA, BEN
from tests.agents.tools.salon import Salon, at

NINE = {"start": "2026-11-27T09:00+01:00", "spoken": "Freitag, 27. November 2026, 09:00 Uhr"}


async def test_the_last_free_time_is_had_by_one_of_many_and_the_others_hear_of_what_is_left(salon: Salon) -> None:
    customers = [UUID(int=number) for number in range(300, 330)]
    results = await asyncio.gather(
        *(
            salon.ask(customer, "book_appointment", service="Haarschnitt", start=NINE["start"])
            for customer in customers
        ),
        return_exceptions=True,
    )
    refusals = [result for result in results if isinstance(result, ToolFailedError)]
    assert len(refusals) == len(customers) - 1
    assert len([result for result in results if isinstance(result, dict)]) == 1
    assert all("is not free. Free instead: 2026-11-27T10:00+01:00" in str(refusal) for refusal in refusals)
    assert len(await salon.rows()) == 1


async def test_many_customers_who_each_take_what_is_free_never_overlap(salon: Salon) -> None:
    """Whoever is refused takes the first alternative, until all are served."""

    async def served(customer: UUID) -> None:
        start = NINE["start"]
        while True:
            try:
                await salon.ask(customer, "book_appointment", service="Haarschnitt", start=start)
            except ToolFailedError as refused:
                start = str(refused).partition("Free instead: ")[2].split(" (")[0]
            else:
                return

    await asyncio.gather(*(served(UUID(int=number)) for number in range(400, 412)))
    rows = await salon.rows()
    assert len({row["contact_id"] for row in rows}) == 12
    assert all(row["state"] == "booked" for row in rows)
    for earlier, later in itertools.pairwise(rows):
        assert earlier["during"].upper <= later["during"].lower


async def _write_past_the_tools(salon: Salon, connection: Connection) -> None:
    await connection.execute(
        """INSERT INTO appointment (tenant_id, appointment_id, agent_id, contact_id, service, during,
                                    created_at, changed_at)
           VALUES ($1, $2, $3, $4, 'Haarschnitt', tstzrange($5, $6), $7, $7)""",
        salon.tenant_id,
        salon.new_id(),
        salon.agent_id,
        BEN,
        at("2026-11-27T09:00"),
        at("2026-11-27T10:00"),
        salon.clock.now(),
    )


@pytest.mark.parametrize("moving", [False, True], ids=["book", "move"])
async def test_a_row_written_past_the_tools_is_stopped_by_the_database_and_told_as_just_taken(
    salon: Salon, db: Database, moving: bool
) -> None:
    if moving:
        await salon.book(ANNA, "2026-11-27T14:00")
    wish = {"new_start": NINE["start"]} if moving else {"service": "Haarschnitt", "start": NINE["start"]}
    async with db.transaction(salon.tenant_id) as staff:
        await _write_past_the_tools(salon, staff)
        asking = asyncio.create_task(salon.refusal(ANNA, "move_appointment" if moving else "book_appointment", **wish))
        await _until_somebody_waits(db, salon)
    refused = await asking
    assert refused.startswith("this time has just been taken. Free instead: 2026-11-27T10:00+01:00")
    assert [row["during"].lower for row in await salon.rows() if row["contact_id"] == ANNA] == (
        [at("2026-11-27T14:00")] if moving else []
    )


_WAITING = """
    SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN (
        SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database
        WHERE datname = current_database() AND relation = 'appointment'::regclass)
"""


async def _until_somebody_waits(db: Database, salon: Salon) -> None:
    async with asyncio.timeout(20):
        while True:
            async with db.transaction(salon.tenant_id) as connection:
                if await connection.fetchval(_WAITING):
                    return
            await asyncio.sleep(0.02)


async def test_a_booking_is_undone_with_its_transaction(salon: Salon, db: Database) -> None:
    async def book_and_fail() -> None:
        async with db.transaction(salon.tenant_id) as connection:
            await salon.ask_in(connection, ANNA, "book_appointment", service="Haarschnitt", start=NINE["start"])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await book_and_fail()
    assert await salon.rows() == []
    await salon.book(BEN, NINE["start"])


@pytest.mark.parametrize("tool_name", ["move_appointment", "cancel_appointment"])
async def test_an_appointment_that_staff_cancel_at_this_moment_is_no_longer_there(
    salon: Salon, db: Database, tool_name: str
) -> None:
    await salon.book(ANNA, "2026-11-27T09:00")
    new = {"new_start": "2026-11-27T15:00"} if tool_name == "move_appointment" else {}
    async with db.transaction(salon.tenant_id) as staff:
        await staff.execute("UPDATE appointment SET state = 'cancelled'")
        asking = asyncio.create_task(salon.refusal(ANNA, tool_name, **new))
        await _until_somebody_waits(db, salon)
    assert await asking == "this appointment is no longer there"
