"""Public holidays of the German states, checked against published calendars."""

from collections.abc import Mapping
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.holidays import STATES, easter, holidays_of

EASTER_SUNDAYS: Mapping[int, tuple[int, int]] = {
    1818: (3, 22),  # as early as it gets
    1943: (4, 25),  # as late as it gets
    1954: (4, 18),
    1981: (4, 19),
    2000: (4, 23),
    2008: (3, 23),
    2024: (3, 31),
    2025: (4, 20),
    2026: (4, 5),
    2027: (3, 28),
    2028: (4, 16),
    2029: (4, 1),
    2030: (4, 21),
    2038: (4, 25),
    2049: (4, 18),
    2076: (4, 19),
}


@pytest.mark.parametrize("year", EASTER_SUNDAYS)
def test_easter_is_when_it_is(year: int) -> None:
    assert easter(year) == date(year, *EASTER_SUNDAYS[year])


@given(st.integers(1583, 9999))
def test_easter_is_a_sunday_between_22_march_and_25_april(year: int) -> None:
    found = easter(year)
    assert found.weekday() == 6
    assert date(year, 3, 22) <= found <= date(year, 4, 25)


MOVABLE = {
    2024: ("2024-03-29", "2024-04-01", "2024-05-09", "2024-05-20", "2024-05-30", "2024-11-20"),
    2025: ("2025-04-18", "2025-04-21", "2025-05-29", "2025-06-09", "2025-06-19", "2025-11-19"),
    2026: ("2026-04-03", "2026-04-06", "2026-05-14", "2026-05-25", "2026-06-04", "2026-11-18"),
    2027: ("2027-03-26", "2027-03-29", "2027-05-06", "2027-05-17", "2027-05-27", "2027-11-17"),
    2028: ("2028-04-14", "2028-04-17", "2028-05-25", "2028-06-05", "2028-06-15", "2028-11-22"),
    2029: ("2029-03-30", "2029-04-02", "2029-05-10", "2029-05-21", "2029-05-31", "2029-11-21"),
    2030: ("2030-04-19", "2030-04-22", "2030-05-30", "2030-06-10", "2030-06-20", "2030-11-20"),
}
NAMES = ("Karfreitag", "Ostermontag", "Christi Himmelfahrt", "Pfingstmontag", "Fronleichnam", "Buß- und Bettag")


@pytest.mark.parametrize("year", MOVABLE)
def test_movable_feasts_are_where_the_calendars_have_them(year: int) -> None:
    everywhere = {day: name for state in STATES for day, name in holidays_of(state, year).items()}
    assert [everywhere[date.fromisoformat(day)] for day in MOVABLE[year]] == list(NAMES)


@pytest.mark.parametrize(
    ("state", "count"),
    [
        ("BW", 12), ("BY", 12), ("BE", 10), ("BB", 12), ("HB", 10), ("HH", 10), ("HE", 10), ("MV", 11),
        ("NI", 10), ("NW", 11), ("RP", 11), ("SL", 12), ("SN", 11), ("ST", 11), ("SH", 10), ("TH", 11),
    ],
)  # fmt: skip
def test_every_state_has_as_many_holidays_in_2026_as_its_law_names(state: str, count: int) -> None:
    assert len(holidays_of(state, 2026)) == count


@pytest.mark.parametrize(
    ("state", "day", "name"),
    [
        ("BY", "2026-01-06", "Heilige Drei Könige"),
        ("BE", "2026-03-08", "Frauentag"),
        ("BB", "2026-04-05", "Ostersonntag"),
        ("BB", "2026-05-24", "Pfingstsonntag"),
        ("BE", "2025-05-08", "80. Jahrestag der Befreiung"),
        ("SL", "2026-08-15", "Mariä Himmelfahrt"),
        ("TH", "2026-09-20", "Weltkindertag"),
        ("HH", "2026-10-31", "Reformationstag"),
        ("NW", "2026-11-01", "Allerheiligen"),
        ("SN", "2026-11-18", "Buß- und Bettag"),
        ("BW", "2026-12-26", "2. Weihnachtstag"),
    ],
)
def test_a_states_own_holidays_are_known(state: str, day: str, name: str) -> None:
    assert holidays_of(state, int(day[:4]))[date.fromisoformat(day)] == name


@pytest.mark.parametrize(
    ("state", "day"),
    [
        ("BE", "2026-01-06"),
        ("BY", "2026-08-15"),  # only where most are Catholic: an owner's closed day
        ("BE", "2026-10-31"),
        ("HE", "2026-11-01"),
        ("BE", "2026-05-08"),
        ("BE", "2018-03-08"),
        ("MV", "2022-03-08"),
        ("HH", "2017-05-08"),
        ("NI", "2016-10-31"),
        ("TH", "2018-09-20"),
        ("HB", "2026-12-24"),
    ],
)
def test_what_is_no_holiday_in_a_state_or_year_is_none(state: str, day: str) -> None:
    assert date.fromisoformat(day) not in holidays_of(state, int(day[:4]))


def test_names_come_in_english_too() -> None:
    german, english = holidays_of("SN", 2026, "de"), holidays_of("SN", 2026, "en")
    assert list(german) == list(english)
    assert english[date(2026, 10, 3)] == "German Unity Day"


def test_an_unknown_state_is_an_error() -> None:
    with pytest.raises(KeyError):
        holidays_of("XX", 2026)
