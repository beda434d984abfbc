from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rental_days import (
    NOTICE_DAYS,
    RELEASED_AFTER_DAYS,
    Rental,
    is_warned_on,
    notice_on,
    released_on,
)
from metering.cycle import months_after

ANCHORS = st.dates(min_value=date(2020, 1, 1), max_value=date(2040, 12, 31))


def rental(anchor: date, due_on: date, *, suspended: bool = False) -> Rental:
    return Rental(
        line_id=UUID(int=1),
        kind="mobile",
        state="suspended" if suspended else "active",
        provisioned_on=anchor,
        due_on=due_on,
    )


def test_months_from_the_31st_of_january_end_with_each_month_and_come_back_to_the_31st() -> None:
    due = rental(date(2027, 1, 31), date(2027, 1, 31))
    seen = []
    for _ in range(14):
        seen.append(due.due_on)
        due = replace(due, due_on=due.paid_until(due.due_on))
    assert [day.strftime("%m-%d") for day in seen] == [
        "01-31", "02-28", "03-31", "04-30", "05-31", "06-30", "07-31",
        "08-31", "09-30", "10-31", "11-30", "12-31", "01-31", "02-29",
    ]  # fmt: skip


@given(ANCHORS, st.integers(min_value=0, max_value=30), st.integers(min_value=0, max_value=200))
def test_an_active_line_pays_every_month_until_the_day_lies_in_one_that_is_paid(
    anchor: date, paid_months: int, days_off: int
) -> None:
    due = rental(anchor, months_after(anchor, paid_months))
    day = due.due_on + timedelta(days=days_off)
    expected = due.months_to_pay(day)
    paid = []
    while due.is_due(day):
        paid.append(due.month.starts_on)
        due = replace(due, due_on=due.paid_until(day))
    assert paid == [months_after(anchor, paid_months + month) for month in range(expected)]
    assert paid[-1] <= day < due.due_on


@given(ANCHORS, st.integers(min_value=0, max_value=30), st.integers(min_value=0, max_value=400))
def test_a_suspended_line_pays_the_month_that_fell_due_and_the_one_that_runs(
    anchor: date, paid_months: int, days_off: int
) -> None:
    due = rental(anchor, months_after(anchor, paid_months), suspended=True)
    fell_due, day = due.due_on, due.due_on + timedelta(days=days_off)
    expected = due.months_to_pay(day)
    paid = []
    while due.is_due(day):
        paid.append(due.month)
        due = replace(due, due_on=due.paid_until(day))
    assert len(paid) == expected <= 2
    assert paid[0].starts_on == fell_due
    assert paid[-1].starts_on <= day < paid[-1].ends_on


def test_what_is_paid_or_given_up_owes_nothing() -> None:
    paid = rental(date(2027, 1, 31), date(2027, 2, 28))
    assert paid.months_to_pay(date(2027, 2, 27)) == 0
    assert paid.months_to_pay(date(2027, 2, 28)) == 1
    assert replace(paid, state="released").months_to_pay(date(2027, 6, 1)) == 0


def test_months_that_have_not_begun_begin_on_the_day_of_the_first_payment() -> None:
    waiting = replace(rental(date(2027, 1, 31), date(2027, 1, 31), suspended=True), has_begun=False)
    later = waiting.as_of(date(2027, 2, 10))
    assert (later.provisioned_on, later.due_on, later.months_to_pay(date(2027, 2, 10))) == (
        date(2027, 2, 10),
        date(2027, 2, 10),
        1,
    )
    assert rental(date(2027, 1, 31), date(2027, 1, 31)).as_of(date(2027, 2, 10)).due_on == date(2027, 1, 31)


def test_notices_go_out_on_the_day_and_three_seven_and_fourteen_days_after_it() -> None:
    since = date(2027, 3, 1)
    notices = [notice_on(since, since + timedelta(days=days)) for days in range(RELEASED_AFTER_DAYS)]
    assert [days for days in range(RELEASED_AFTER_DAYS) if days in NOTICE_DAYS and notices[days] == days] == [
        0,
        3,
        7,
        14,
    ]
    assert notices == [0] * 3 + [3] * 4 + [7] * 7 + [14] * 16
    assert released_on(since) == date(2027, 3, 31)


@pytest.mark.parametrize(("days", "warned"), [(8, False), (7, True), (1, True), (0, False), (-1, False)])
def test_a_warning_belongs_to_the_week_before_the_due_day(days: int, warned: bool) -> None:
    due_on = date(2027, 3, 8)
    assert is_warned_on(due_on, due_on - timedelta(days=days)) is warned
