from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.cycle import cycle_on, months_after, nth_cycle

DAYS = st.dates(min_value=date(2000, 1, 1), max_value=date(2400, 12, 31))
NUMBERS = st.integers(min_value=1, max_value=600)


def test_a_cycle_begun_on_the_31st_ends_with_each_shorter_month_and_comes_back() -> None:
    anchor_on = date(2027, 1, 31)
    starts = [nth_cycle(anchor_on, number).starts_on for number in range(1, 7)]
    assert [(start.month, start.day) for start in starts] == [(1, 31), (2, 28), (3, 31), (4, 30), (5, 31), (6, 30)]


def test_a_cycle_begun_on_a_leap_day_is_on_it_again_four_years_later() -> None:
    anchor_on = date(2028, 2, 29)
    assert months_after(anchor_on, 12) == date(2029, 2, 28)
    assert months_after(anchor_on, 48) == date(2032, 2, 29)


def test_the_last_day_of_a_cycle_is_the_day_before_it_ends() -> None:
    anchor_on = date(2026, 11, 15)
    assert cycle_on(anchor_on, date(2026, 12, 14)).number == 1
    assert cycle_on(anchor_on, date(2026, 12, 15)).number == 2
    assert cycle_on(anchor_on, date(2026, 12, 15)).starts_on == date(2026, 12, 15)


def test_nothing_begins_before_the_anchor() -> None:
    with pytest.raises(ValueError, match="before the anchor"):
        cycle_on(date(2026, 11, 15), date(2026, 11, 14))
    with pytest.raises(ValueError, match="counted from 1"):
        nth_cycle(date(2026, 11, 15), 0)


@given(DAYS, NUMBERS)
def test_cycles_follow_each_other_without_a_gap(anchor_on: date, number: int) -> None:
    this, following = nth_cycle(anchor_on, number), nth_cycle(anchor_on, number + 1)
    assert this.ends_on == following.starts_on
    assert 28 <= (this.ends_on - this.starts_on).days <= 31


@given(DAYS, NUMBERS)
def test_a_start_is_the_anchors_day_or_the_months_last(anchor_on: date, number: int) -> None:
    start = nth_cycle(anchor_on, number).starts_on
    is_last_of_month = (start + timedelta(days=1)).month != start.month
    assert start.day == anchor_on.day or (start.day < anchor_on.day and is_last_of_month)


@given(DAYS, st.integers(min_value=0, max_value=20_000))
def test_every_day_from_the_anchor_on_lies_in_exactly_one_cycle(anchor_on: date, later: int) -> None:
    day = anchor_on + timedelta(days=later)
    cycle = cycle_on(anchor_on, day)
    assert cycle.starts_on <= day < cycle.ends_on
    assert cycle == nth_cycle(anchor_on, cycle.number)
