"""Appointments on a real database: what is free is offered, what is offered can be had, and only once."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest

from gateway.db import Database
from tests.agents.tools.conftest import ANNA, BEN
from tests.agents.tools.salon import Salon, at, lindenhof, open_salon
from tests.conftest import Clock

NINE = {"start": "2026-11-27T09:00+01:00", "spoken": "Freitag, 27. November 2026, 09:00 Uhr"}


async def test_free_times_of_a_day_are_six_from_first_to_last_with_offset_and_in_words(salon: Salon) -> None:
    told = await salon.ask(ANNA, "free_appointments", service="haarschnitt", day="2026-11-27")
    assert (told["service"], told["minutes"]) == ("Haarschnitt", 45)
    assert len(told["free"]) == 6
    assert told["free"][0] == NINE
    assert told["free"][-1]["start"] == "2026-11-27T17:15+01:00"
    assert "note" not in told


@pytest.mark.parametrize(
    ("wish", "first", "last"),
    [
        ({"part_of_day": "morning"}, "09:00", "11:45"),
        ({"part_of_day": "afternoon"}, "12:00", "16:45"),
        ({"part_of_day": "evening"}, "17:00", "17:15"),
        ({"from_time": "15:10"}, "15:15", "17:15"),
        ({"from_time": "11:00", "part_of_day": "morning"}, "11:00", "11:45"),
    ],
    ids=["morning", "afternoon", "evening", "from a time on", "both"],
)
async def test_a_wished_time_of_day_is_kept_to(salon: Salon, wish: dict[str, object], first: str, last: str) -> None:
    starts = await salon.starts(ANNA, day="2026-11-27", **wish)
    assert (starts[0][11:], starts[-1][11:]) == (first, last)


async def test_a_closed_day_says_so_and_names_the_next_days(salon: Salon) -> None:
    told = await salon.ask(ANNA, "free_appointments", service="Haarschnitt", day="2026-12-11")
    assert told["note"] == "closed on Freitag, 11. Dezember 2026 (Betriebsausflug); these are other times"
    assert sorted({free["start"][:10] for free in told["free"]}) == ["2026-12-12", "2026-12-15", "2026-12-16"]
    assert len(told["free"]) == 6


async def test_a_full_part_of_the_day_names_other_times_of_the_day_and_of_other_days(salon: Salon) -> None:
    for customer, start in enumerate(("16:00", "17:00"), start=201):
        await salon.book(UUID(int=customer), f"2026-11-27T{start}")
    told = await salon.ask(ANNA, "free_appointments", service="Haarschnitt", day="2026-11-27", part_of_day="evening")
    assert told["note"].startswith("nothing is free on Freitag, 27. November 2026 in the evening")
    days = [free["start"][:10] for free in told["free"]]
    assert days == sorted(days)
    assert days.count("2026-11-27") == 3
    assert {free["start"][11:13] for free in told["free"] if not free["start"].startswith("2026-11-27")} <= {
        "17",
        "18",
        "19",
    }


async def test_without_a_day_the_next_free_days_are_named(salon: Salon) -> None:
    assert sorted({start[:10] for start in await salon.starts(ANNA)}) == ["2026-11-24", "2026-11-25", "2026-11-26"]


async def test_a_time_of_day_at_which_it_is_never_open_names_other_times(salon: Salon) -> None:
    told = await salon.ask(ANNA, "free_appointments", service="Dauerwelle", from_time="19:00")
    assert told["note"] == "nothing is free from 19:00 on until Dienstag, 8. Dezember 2026; these are other times"
    assert len(told["free"]) == 6


async def test_shortly_before_the_last_day_the_days_before_it_are_named(salon: Salon) -> None:
    salon.agent = lindenhof(booking={"horizon_days": 6})  # up to Monday, on which it is closed
    refused = await salon.refusal(ANNA, "book_appointment", service="Haarschnitt", start="2026-11-30T10:00")
    assert refused.startswith("closed on Montag, 30. November 2026. Free instead: 2026-11-28T11:45+01:00 (Samstag, ")
    assert [start[:10] for start in await salon.starts(ANNA, day="2026-11-28")] == ["2026-11-28"] * 6


async def test_what_is_booked_after_midnight_counts_for_the_evening_before_even_on_the_last_day(salon: Salon) -> None:
    nights = {"friday": ["22:00-24:00"], "saturday": ["00:00-03:00"]}
    salon.agent = lindenhof(hours=nights)
    await salon.book(BEN, "2026-11-28T00:00")
    salon.agent = lindenhof(hours=nights, booking={"horizon_days": 3, "grid_minutes": 60})
    assert await salon.starts(ANNA, service="Dauerwelle", day="2026-11-27") == ["2026-11-27T22:00"]


async def test_two_weeks_without_a_free_time_are_said_to_be_so(
    db: Database, clock: Clock, new_id: Callable[[], UUID]
) -> None:
    holiday = lindenhof(closed_days=["2026-11-24/2026-12-31"])
    salon = await open_salon(db, clock, new_id, holiday)
    told = await salon.ask(ANNA, "free_appointments", service="Haarschnitt")
    assert (told["free"], told["note"]) == ([], "nothing is free until Dienstag, 8. Dezember 2026")
    told = await salon.ask(ANNA, "free_appointments", service="Haarschnitt", day="2026-12-01")
    assert told["note"] == "closed on Dienstag, 1. Dezember 2026; nothing is free in the 14 days after it either"
    refused = await salon.refusal(ANNA, "book_appointment", service="Haarschnitt", start="2026-12-01T09:00")
    assert refused.endswith("Nothing else is free then.")


async def test_booking_a_named_time_writes_one_row_for_the_customer_of_the_channel(salon: Salon) -> None:
    told = await salon.ask(
        ANNA, "book_appointment", service="HAARSCHNITT ", start=NINE["start"], customer_name="Anna", note="kurz"
    )
    (row,) = await salon.rows()
    assert told == {
        "booked": {"appointment_id": str(row["appointment_id"]), "service": "Haarschnitt", "minutes": 45, **NINE}
    }
    assert (row["contact_id"], row["agent_id"], row["state"]) == (ANNA, salon.agent_id, "booked")
    assert (row["service"], row["customer_name"], row["note"]) == ("Haarschnitt", "Anna", "kurz")
    assert (row["during"].lower, row["during"].upper) == (at("2026-11-27T09:00"), at("2026-11-27T10:00"))


async def test_a_booked_time_and_its_buffer_are_offered_no_more(salon: Salon) -> None:
    await salon.book(BEN, "2026-11-27T10:00")
    morning = await salon.starts(ANNA, day="2026-11-27", from_time="09:15", part_of_day="morning")
    assert morning[0] == "2026-11-27T11:00"
    await salon.book(ANNA, "2026-11-27T11:00")
    assert "is not free" in await salon.refusal(
        ANNA, "book_appointment", service="Dauerwelle", start="2026-11-27T09:00"
    )


async def test_another_agents_and_another_tenants_appointments_take_no_time_here(
    salon: Salon, db: Database, clock: Clock, new_id: Callable[[], UUID]
) -> None:
    elsewhere = await open_salon(db, clock, new_id)
    await elsewhere.book(BEN, "2026-11-27T09:00")
    await salon.book(ANNA, "2026-11-27T09:00")
    assert len(await salon.rows()) == len(await elsewhere.rows()) == 1


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        ("2026-11-24T09:00", "is past"),
        ("2026-11-24T11:30", "60 minutes' notice"),
        ("2027-01-24T10:00", "the last day is Samstag, 23. Januar 2027"),
        ("2026-12-11T10:00", "closed on Freitag, 11. Dezember 2026 (Betriebsausflug)"),
        ("2026-12-25T10:00", "closed on Freitag, 25. Dezember 2026 (1. Weihnachtstag)"),
        ("2026-11-29T10:00", "closed on Sonntag, 29. November 2026"),
        ("2026-11-27T13:00", "outside the opening hours of that day, 09:00-13:00, 14:00-18:00"),
        ("2026-11-27T12:30", "45 minutes do not fit into the opening hours"),
        ("2026-11-27T09:05", "one every 15 minutes"),
        ("2026-11-27T15:00", "is not free"),
    ],
)  # fmt: skip
async def test_a_time_that_is_not_offered_is_refused_with_the_reason_and_three_that_are(
    salon: Salon, start: str, reason: str
) -> None:
    await salon.book(BEN, "2026-11-27T15:00")
    refused = await salon.refusal(ANNA, "book_appointment", service="Haarschnitt", start=start)
    why, _, free = refused.partition(". Free instead: ")
    assert reason in why
    alternatives = [one.split(" (")[0] for one in free.split("; ")]
    assert len(alternatives) == 3
    for alternative in alternatives:
        await salon.ask(ANNA, "book_appointment", service="Haarschnitt", start=alternative)
        await salon.ask(ANNA, "cancel_appointment")
    assert len([row for row in await salon.rows() if row["state"] == "booked"]) == 1


async def test_the_same_booking_twice_is_one_and_says_so(salon: Salon) -> None:
    first = await salon.book(ANNA, "2026-11-27T09:00")
    again = await salon.ask(ANNA, "book_appointment", service="haarschnitt", start="2026-11-27T08:00:00Z")
    assert again == {"booked": first, "note": "this was booked already"}
    assert len(await salon.rows()) == 1


async def test_an_own_appointment_in_the_way_is_named(salon: Salon) -> None:
    await salon.book(ANNA, "2026-11-27T10:00")
    refused = await salon.refusal(ANNA, "book_appointment", service="Dauerwelle", start="2026-11-27T09:00")
    assert "the customer's own appointment is then" in refused
    assert "Freitag, 27. November 2026, 10:00 Uhr" in refused
    other = await salon.refusal(BEN, "book_appointment", service="Dauerwelle", start="2026-11-27T09:00")
    assert "own" not in other


async def test_a_customer_can_have_so_many_upcoming_appointments_and_not_one_more(salon: Salon, clock: Clock) -> None:
    for hour in (9, 10, 11):
        await salon.book(ANNA, f"2026-11-25T{hour}:00" if hour > 9 else "2026-11-25T09:00")
    refused = await salon.refusal(ANNA, "book_appointment", service="Haarschnitt", start=NINE["start"])
    assert refused.startswith("this customer has 3 upcoming appointments")
    await salon.book(BEN, "2026-11-25T14:00")
    clock.at = at("2026-11-25T09:00")
    await salon.book(ANNA, NINE["start"])


async def test_the_only_service_needs_no_name(salon: Salon) -> None:
    salon.agent = lindenhof(service=[{"name": "Haarschnitt", "minutes": 45}])
    assert (await salon.ask(ANNA, "free_appointments"))["service"] == "Haarschnitt"
    assert (await salon.ask(ANNA, "book_appointment", start="2026-11-27T09:00"))["booked"]["service"] == "Haarschnitt"


async def test_null_and_empty_arguments_are_as_if_left_out(salon: Salon) -> None:
    told = await salon.ask(ANNA, "free_appointments", service="Haarschnitt", day=None, part_of_day="", from_time=" ")
    assert len(told["free"]) == 6


async def test_a_local_time_without_offset_is_the_salons_own(salon: Salon) -> None:
    salon.agent = lindenhof(timezone="America/New_York")
    await salon.book(ANNA, "2026-11-27T09:00")
    assert (await salon.rows())[0]["during"].lower == datetime(2026, 11, 27, 14, 0, tzinfo=UTC)


async def test_the_weekend_on_which_the_clocks_go_back_is_booked_to_the_minute(salon: Salon, clock: Clock) -> None:
    clock.at = datetime(2026, 10, 20, 8, 0, tzinfo=UTC)
    salon.agent = lindenhof(hours={"sunday": ["01:00-04:00", "09:00-10:00"]}, booking={"grid_minutes": 60})
    assert await salon.starts(ANNA, day="2026-10-25") == [
        "2026-10-25T01:00",
        "2026-10-25T02:00",
        "2026-10-25T02:00",
        "2026-10-25T03:00",
        "2026-10-25T09:00",
    ]
    await salon.book(ANNA, "2026-10-25T02:00")
    await salon.book(BEN, "2026-10-25T02:00+01:00")
    assert (await salon.book(ANNA, "2026-10-25T09:00"))["start"] == "2026-10-25T09:00+01:00"
    assert [row["during"].lower.hour for row in await salon.rows()] == [0, 1, 8]


async def test_the_weekend_on_which_the_clocks_go_forward_has_no_missing_hour_to_book(
    salon: Salon, clock: Clock
) -> None:
    clock.at = datetime(2027, 3, 22, 8, 0, tzinfo=UTC)
    salon.agent = lindenhof(hours={"sunday": ["01:00-04:00", "09:00-10:00"]}, booking={"grid_minutes": 60})
    assert await salon.starts(ANNA, day="2027-03-28") == ["2027-03-28T01:00", "2027-03-28T03:00", "2027-03-28T09:00"]
    refused = await salon.refusal(ANNA, "book_appointment", service="Haarschnitt", start="2027-03-28T02:00")
    assert refused == "this time does not exist: the clocks are put forward over it"
    assert (await salon.book(ANNA, "2027-03-28T09:00"))["start"] == "2027-03-28T09:00+02:00"
    assert (await salon.rows())[0]["during"].lower == datetime(2027, 3, 28, 7, 0, tzinfo=UTC)
