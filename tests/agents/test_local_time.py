"""Wall clocks and instants, on the days too on which clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.local_time import instant_at, local_iso, say_day, say_moment

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from(
    [ZoneInfo(name) for name in ("Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata", "UTC")]
)
DAYS = st.dates(min_value=date(1990, 1, 1), max_value=date(2099, 12, 30))


@pytest.mark.parametrize(
    ("day", "minutes", "instant"),
    [
        (date(2026, 11, 27), 9 * 60, "2026-11-27T08:00Z"),  # winter
        (date(2026, 7, 27), 9 * 60, "2026-07-27T07:00Z"),  # summer
        (date(2026, 11, 27), 0, "2026-11-26T23:00Z"),
        (date(2026, 11, 27), 24 * 60, "2026-11-27T23:00Z"),
        (date(2026, 10, 25), 2 * 60 + 30, "2026-10-25T00:30Z"),  # comes twice: the first
        (date(2026, 10, 25), 3 * 60, "2026-10-25T02:00Z"),
        (date(2026, 10, 25), 24 * 60, "2026-10-25T23:00Z"),  # 25 hours
        (date(2027, 3, 28), 1 * 60 + 59, "2027-03-28T00:59Z"),
        (date(2027, 3, 28), 2 * 60, "2027-03-28T01:00Z"),  # missing: where the clock jumps over it
        (date(2027, 3, 28), 2 * 60 + 59, "2027-03-28T01:00Z"),
        (date(2027, 3, 28), 3 * 60, "2027-03-28T01:00Z"),
        (date(2027, 3, 28), 24 * 60, "2027-03-28T22:00Z"),  # 23 hours
    ],
)  # fmt: skip
def test_a_time_on_the_wall_is_an_instant(day: date, minutes: int, instant: str) -> None:
    assert instant_at(day, minutes, BERLIN) == datetime.fromisoformat(instant)


def test_half_an_hour_that_is_missing_is_jumped_over_too() -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")
    jump = datetime(2026, 10, 3, 15, 30, tzinfo=UTC)
    assert instant_at(date(2026, 10, 4), 2 * 60 + 10, lord_howe) == jump
    assert instant_at(date(2026, 10, 4), 2 * 60 + 30, lord_howe) == jump


@given(DAYS, st.integers(0, 1440), ZONES)
def test_an_instant_shows_the_time_it_was_made_of_or_the_first_after_a_jump(
    day: date, minutes: int, zone: ZoneInfo
) -> None:
    wanted = datetime.combine(day, time()) + timedelta(minutes=minutes)
    shown = instant_at(day, minutes, zone).astimezone(zone).replace(tzinfo=None)
    assert shown >= wanted
    if shown > wanted:
        before = instant_at(day, minutes, zone) - timedelta(microseconds=1)
        assert before.astimezone(zone).replace(tzinfo=None) < wanted


@given(DAYS, st.integers(0, 1439), st.integers(1, 1440), ZONES)
def test_later_on_the_wall_is_never_earlier_in_truth(day: date, minutes: int, later: int, zone: ZoneInfo) -> None:
    assert instant_at(day, minutes, zone) <= instant_at(day, min(1440, minutes + later), zone)


@given(DAYS, ZONES)
def test_a_day_ends_where_the_next_begins(day: date, zone: ZoneInfo) -> None:
    assert instant_at(day, 1440, zone) == instant_at(day + timedelta(days=1), 0, zone)


def test_a_local_time_is_written_with_its_offset_and_read_back() -> None:
    instant = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
    assert local_iso(instant, BERLIN) == "2026-11-27T09:00+01:00"
    assert local_iso(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), BERLIN) == "2026-10-25T02:30+02:00"
    assert local_iso(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), BERLIN) == "2026-10-25T02:30+01:00"
    assert datetime.fromisoformat(local_iso(instant, BERLIN)) == instant


def test_days_and_moments_are_said_as_people_say_them() -> None:
    instant = datetime(2027, 3, 1, 7, 5, tzinfo=UTC)
    assert say_day(date(2026, 11, 7), "de") == "Samstag, 7. November 2026"
    assert say_day(date(2026, 11, 7), "en") == "Saturday, 7 November 2026"
    assert say_moment(instant, BERLIN, "de") == "Montag, 1. März 2027, 08:05 Uhr"
    assert say_moment(instant, BERLIN, "en") == "Monday, 1 March 2027, 08:05"


def test_the_day_that_is_said_is_the_local_one() -> None:
    assert say_moment(datetime(2026, 12, 31, 23, 30, tzinfo=UTC), BERLIN, "de") == "Freitag, 1. Januar 2027, 00:30 Uhr"
