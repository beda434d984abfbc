"""A customer's own appointments: listed, moved and cancelled, and nobody else's."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest

from agents.store import create_agent
from gateway.db import Database
from tests.agents.tools.conftest import ANNA, BEN
from tests.agents.tools.salon import Salon, at, lindenhof, open_salon
from tests.conftest import Clock

NINE = {"start": "2026-11-27T09:00+01:00", "spoken": "Freitag, 27. November 2026, 09:00 Uhr"}


async def test_only_ones_own_upcoming_appointments_are_listed(salon: Salon, clock: Clock) -> None:
    booked = await salon.book(ANNA, "2026-11-27T09:00")
    await salon.book(BEN, "2026-11-27T10:00")
    assert await salon.ask(ANNA, "my_appointments") == {"appointments": [booked]}
    clock.at = at("2026-11-27T09:00")
    assert await salon.ask(ANNA, "my_appointments") == {"appointments": []}


async def test_a_long_list_of_own_appointments_is_cut_and_says_how_many_are_left(
    db: Database, clock: Clock, new_id: Callable[[], UUID]
) -> None:
    salon = await open_salon(db, clock, new_id, lindenhof(booking={"open_per_contact": 50}))
    for day in ("25", "26", "27"):
        for hour in ("09", "10", "11"):
            await salon.book(ANNA, f"2026-11-{day}T{hour}:00")
    told = await salon.ask(ANNA, "my_appointments")
    assert (len(told["appointments"]), told["note"]) == (6, "and 3 later ones")


async def test_moving_keeps_the_row_and_frees_the_old_time(salon: Salon, clock: Clock) -> None:
    booked = await salon.book(ANNA, "2026-11-27T09:00")
    clock.advance(seconds=60)
    told = await salon.ask(
        ANNA, "move_appointment", appointment_id=booked["appointment_id"], new_start="2026-11-27T09:15"
    )
    assert told["moved"]["appointment_id"] == booked["appointment_id"]
    assert told["moved"]["spoken"] == "Freitag, 27. November 2026, 09:15 Uhr"
    assert told["moved"]["before"] == NINE
    (row,) = await salon.rows()
    assert (row["during"].lower, row["during"].upper) == (at("2026-11-27T09:15"), at("2026-11-27T10:15"))
    assert row["changed_at"] == clock.now() > row["created_at"]
    await salon.ask(ANNA, "move_appointment", start="2026-11-27T09:15", new_start="2026-11-27T14:00")
    await salon.book(BEN, "2026-11-27T09:00")


async def test_moving_to_where_it_is_changes_nothing_and_says_so(salon: Salon) -> None:
    await salon.book(ANNA, "2026-11-27T09:00")
    told = await salon.ask(ANNA, "move_appointment", new_start="2026-11-27T09:00")
    assert told["note"] == "it was then already"


@pytest.mark.parametrize("new_start", ["2026-11-27T14:00", "2026-11-27T13:00", "2026-11-20T09:00"])
async def test_moving_to_a_time_that_is_not_free_leaves_everything_as_it_was(salon: Salon, new_start: str) -> None:
    await salon.book(ANNA, "2026-11-27T09:00")
    await salon.book(BEN, "2026-11-27T14:00")
    assert "Free instead: " in await salon.refusal(ANNA, "move_appointment", new_start=new_start)
    assert [row["during"].lower for row in await salon.rows()] == [at("2026-11-27T09:00"), at("2026-11-27T14:00")]


async def test_the_appointment_that_is_moved_is_not_in_its_own_way(salon: Salon) -> None:
    await salon.book(ANNA, "2026-11-27T09:00")
    await salon.book(BEN, "2026-11-27T10:00")
    refused = await salon.refusal(ANNA, "move_appointment", new_start="2026-11-27T09:30")
    assert refused.startswith("Freitag, 27. November 2026, 09:30 Uhr is not free. Free instead: 2026-11-27T09:00")


async def test_every_agent_of_a_business_keeps_its_own_calendar(salon: Salon, db: Database) -> None:
    colleague = replace(salon, agent_id=salon.new_id())
    async with db.transaction(salon.tenant_id) as connection:
        await create_agent(
            connection, salon.tenant_id, agent_id=colleague.agent_id, name="Kosmetik", now=salon.clock.now()
        )
    first = await salon.book(ANNA, "2026-11-27T09:00")
    second = await colleague.book(ANNA, "2026-11-27T09:00")
    assert first["appointment_id"] != second["appointment_id"]
    assert await salon.ask(ANNA, "my_appointments") == {"appointments": [first]}
    assert await colleague.ask(ANNA, "my_appointments") == {"appointments": [second]}


async def test_a_cancelled_time_is_free_again_and_its_row_stays(salon: Salon) -> None:
    booked = await salon.book(ANNA, "2026-11-27T09:00")
    assert await salon.ask(ANNA, "cancel_appointment", start="2026-11-27T09:00") == {"cancelled": booked}
    assert [row["state"] for row in await salon.rows()] == ["cancelled"]
    await salon.book(BEN, "2026-11-27T09:00")
    assert await salon.refusal(ANNA, "cancel_appointment") == "this customer has no upcoming appointment"


@pytest.mark.parametrize("tool_name", ["move_appointment", "cancel_appointment"])
async def test_another_customers_appointment_cannot_be_touched(salon: Salon, tool_name: str) -> None:
    theirs = await salon.book(BEN, "2026-11-27T09:00")
    await salon.book(ANNA, "2026-11-27T10:00")
    new = {"new_start": "2026-11-27T15:00"} if tool_name == "move_appointment" else {}
    for which in ({"appointment_id": theirs["appointment_id"]}, {"start": "2026-11-27T09:00"}):
        refused = await salon.refusal(ANNA, tool_name, **which, **new)
        assert refused.startswith("there is no such appointment")
        assert theirs["appointment_id"] not in refused
    assert [row["during"].lower for row in await salon.rows()] == [at("2026-11-27T09:00"), at("2026-11-27T10:00")]


async def test_with_several_appointments_the_meant_one_must_be_named(salon: Salon) -> None:
    first = await salon.book(ANNA, "2026-11-27T09:00")
    second = await salon.book(ANNA, "2026-11-27T10:00")
    refused = await salon.refusal(ANNA, "cancel_appointment")
    assert refused.startswith("say which of them is meant")
    assert first["appointment_id"] in refused
    assert second["appointment_id"] in refused


async def test_a_service_that_is_offered_no_more_can_be_cancelled_but_not_moved(
    salon: Salon,
) -> None:
    await salon.book(ANNA, "2026-11-27T09:00")
    salon.agent = lindenhof(service=[{"name": "Dauerwelle", "minutes": 120}])
    refused = await salon.refusal(ANNA, "move_appointment", new_start="2026-11-27T10:00")
    assert refused == '"Haarschnitt" is not offered any more; cancel it and book another service'
    told = await salon.ask(ANNA, "cancel_appointment")
    assert (told["cancelled"]["service"], "minutes" in told["cancelled"]) == ("Haarschnitt", False)
