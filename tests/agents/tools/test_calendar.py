"""Free starts: within opening hours, on the grid, in time, and never into another appointment."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.agent import AgentConfiguration, parse_agent
from agents.opening import Span, spans_on
from agents.parts import Service
from agents.texts import WEEKDAYS
from agents.tools.appointments.calendar import free_on, is_offered, last_day, nearest, obstacle, slot_of, spread
from tests.agents.tools.salon import BERLIN, NOW, at, lindenhof

CUT = Service(name="Haarschnitt", minutes=45, buffer_minutes=15)
PERM = Service(name="Dauerwelle", minutes=120)
FRIDAY = date(2026, 11, 27)


def clock(starts: Sequence[datetime]) -> list[str]:
    return [start.astimezone(BERLIN).strftime("%H:%M") for start in starts]


def hourly(**changes: object) -> AgentConfiguration:
    return lindenhof(**{"booking": {"grid_minutes": 60, "lead_minutes": 60}, **changes})


def test_a_free_day_offers_every_start_that_ends_before_lunch_or_closing() -> None:
    assert clock(free_on(hourly(), PERM, FRIDAY, busy=(), now=NOW)) == [
        "09:00",
        "10:00",
        "11:00",
        "14:00",
        "15:00",
        "16:00",
    ]


def test_the_grid_counts_from_the_beginning_of_each_block() -> None:
    agent = hourly(hours={"friday": ["08:30-11:00", "14:15-16:20"]})
    assert clock(free_on(agent, CUT, FRIDAY, busy=(), now=NOW)) == ["08:30", "09:30", "14:15", "15:15"]


def test_a_slot_needs_its_service_and_the_time_for_tidying_up() -> None:
    busy = [Span(at("2026-11-27T10:15"), at("2026-11-27T11:10"))]
    starts = clock(free_on(lindenhof(), CUT, FRIDAY, busy=busy, now=NOW))
    assert starts[:4] == ["09:00", "09:15", "11:15", "11:30"]
    assert slot_of(CUT, at("2026-11-27T09:00")) == Span(at("2026-11-27T09:00"), at("2026-11-27T10:00"))


def test_without_notice_even_this_moment_is_offered() -> None:
    agent = lindenhof(booking={"lead_minutes": 0})
    assert free_on(agent, CUT, date(2026, 11, 24), busy=(), now=NOW)[0] == NOW
    assert is_offered(agent, CUT, NOW, busy=(), now=NOW)


def test_tidying_up_may_last_longer_than_the_opening_hours() -> None:
    assert clock(free_on(lindenhof(), CUT, FRIDAY, busy=(), now=NOW))[-1] == "17:15"


def test_today_is_offered_with_notice_only() -> None:
    assert clock(free_on(hourly(), CUT, date(2026, 11, 24), busy=(), now=NOW)) == [
        "12:00",
        "14:00",
        "15:00",
        "16:00",
        "17:00",
    ]


def test_days_gone_by_and_days_too_far_ahead_offer_nothing() -> None:
    agent = lindenhof(booking={"horizon_days": 3})
    offered = [
        ahead
        for ahead in range(-7, 8)
        if free_on(agent, CUT, date(2026, 11, 24) + timedelta(days=ahead), busy=(), now=NOW)
    ]
    assert offered == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        ("2026-11-27T09:00", None),
        ("2026-11-24T10:00", "past"),
        ("2026-11-24T11:45", "too_soon"),
        ("2027-01-24T10:00", "too_far"),
        ("2026-12-11T10:00", "closed_day"),
        ("2026-12-25T10:00", "closed_day"),
        ("2026-11-29T10:00", "closed_day"),
        ("2026-11-27T13:15", "closed_then"),
        ("2026-11-27T20:00", "closed_then"),
        ("2026-11-27T12:30", "too_long"),
        ("2026-11-27T17:30", "too_long"),
        ("2026-11-27T09:10", "off_grid"),
        ("2026-11-27T09:00:30", "off_grid"),
        ("2026-11-27T15:00", "taken"),
    ],
)  # fmt: skip
def test_a_start_that_is_not_free_has_a_reason(start: str, reason: str | None) -> None:
    busy = [slot_of(CUT, at("2026-11-27T15:00"))]
    assert obstacle(lindenhof(), CUT, at(start), busy=busy, now=NOW) == reason


def test_the_longer_day_of_october_offers_its_double_hour_twice() -> None:
    agent = hourly(hours={"sunday": ["01:00-04:00"]}, booking={"grid_minutes": 60, "lead_minutes": 0})
    now = datetime(2026, 10, 20, 8, 0, tzinfo=UTC)
    starts = free_on(agent, CUT, date(2026, 10, 25), busy=(), now=now)
    assert [start.astimezone(BERLIN).isoformat(timespec="minutes") for start in starts] == [
        "2026-10-25T01:00+02:00",
        "2026-10-25T02:00+02:00",
        "2026-10-25T02:00+01:00",
        "2026-10-25T03:00+01:00",
    ]


def test_the_shorter_day_of_march_does_not_offer_its_missing_hour() -> None:
    agent = hourly(hours={"sunday": ["01:00-05:00"]}, booking={"grid_minutes": 60, "lead_minutes": 0})
    now = datetime(2027, 3, 22, 8, 0, tzinfo=UTC)
    assert clock(free_on(agent, CUT, date(2027, 3, 28), busy=(), now=now)) == ["01:00", "03:00", "04:00"]


@pytest.mark.parametrize(("day", "offset"), [("2026-10-25", 1), ("2027-03-28", 2)])
def test_a_normal_opening_hour_is_kept_on_the_days_on_which_clocks_change(day: str, offset: int) -> None:
    agent = hourly(hours={"sunday": ["09:00-11:00"]}, booking={"grid_minutes": 60, "horizon_days": 366})
    now = datetime(2026, 10, 20, 8, 0, tzinfo=UTC)
    starts = free_on(agent, CUT, date.fromisoformat(day), busy=(), now=now)
    assert clock(starts) == ["09:00", "10:00"]
    assert starts[0].hour == 9 - offset


def test_a_night_written_as_two_days_is_one_opening() -> None:
    agent = hourly(hours={"friday": ["22:00-24:00"], "saturday": ["00:00-02:00"]})
    assert clock(free_on(agent, PERM, FRIDAY, busy=(), now=NOW)) == ["22:00", "23:00"]
    assert clock(free_on(agent, PERM, date(2026, 11, 28), busy=(), now=NOW)) == ["00:00"]
    assert obstacle(agent, PERM, at("2026-11-27T23:00"), busy=(), now=NOW) is None
    assert obstacle(agent, PERM, at("2026-11-28T01:00"), busy=(), now=NOW) == "too_long"


def test_the_closest_starts_are_named_in_order_of_time() -> None:
    starts = [at(f"2026-11-27T{hour:02d}:00") for hour in (9, 10, 11, 14, 17)]
    assert clock(nearest(starts, at("2026-11-27T13:00"), count=3)) == ["10:00", "11:00", "14:00"]
    assert nearest([], NOW, count=3) == ()


@pytest.mark.parametrize(
    ("count", "kept"), [(1, [0]), (2, [0, 9]), (3, [0, 4, 9]), (10, list(range(10))), (20, list(range(10)))]
)
def test_a_choice_is_spread_from_first_to_last(count: int, kept: list[int]) -> None:
    starts = [NOW + timedelta(hours=hour) for hour in range(10)]
    assert spread(starts, count=count) == tuple(starts[position] for position in kept)


@st.composite
def agents(draw: st.DrawFn) -> AgentConfiguration:
    """Any hours on a quarter of an hour, in zones with and without changing clocks."""
    hours: dict[str, list[str]] = {}
    for weekday in WEEKDAYS:
        marks = sorted(draw(st.sets(st.integers(0, 96), max_size=4)))
        pairs = zip(marks[::2], marks[1::2], strict=False)
        hours[weekday] = [f"{a // 4:02d}:{a % 4 * 15:02d}-{b // 4:02d}:{b % 4 * 15:02d}" for a, b in pairs]
    table: Mapping[str, object] = {
        "name": "A",
        "instructions": "Hilf.",
        "hours": hours,
        "timezone": draw(st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])),
        "booking": {
            "lead_minutes": draw(st.sampled_from([0, 60, 1440])),
            "horizon_days": draw(st.integers(1, 366)),
            "grid_minutes": draw(st.sampled_from([5, 15, 20, 60, 240])),
        },
        "holidays": draw(st.sampled_from([None, "SN"])),
    }
    return parse_agent(table)


SERVICES = st.builds(
    Service,
    name=st.just("S"),
    minutes=st.sampled_from([5, 45, 60, 480, 1440]),
    buffer_minutes=st.sampled_from([0, 15, 240]),
)
CHANGES = st.sampled_from(
    [datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 10, 3, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC)]
)


@st.composite
def busy_spans(draw: st.DrawFn, around: datetime) -> list[Span]:
    spans = []
    for _ in range(draw(st.integers(0, 6))):
        start = around + timedelta(minutes=5 * draw(st.integers(-300, 900)))
        spans.append(Span(start, start + timedelta(minutes=5 * draw(st.integers(1, 100)))))
    return spans


@given(st.data(), agents(), SERVICES, CHANGES, st.integers(0, 2880))
@settings(max_examples=150, deadline=None)
def test_what_is_offered_is_free_open_on_grid_and_in_time(
    data: st.DataObject, agent: AgentConfiguration, service: Service, around: datetime, late_minutes: int
) -> None:
    now = around - timedelta(days=1) + timedelta(minutes=late_minutes)
    busy = data.draw(busy_spans(around))
    day = around.date() + timedelta(days=data.draw(st.integers(-1, 3)))
    opening = [span for ahead in range(3) for span in spans_on(agent, day + timedelta(days=ahead))]
    for start in free_on(agent, service, day, busy=busy, now=now):
        assert start.astimezone(agent.zone).date() == day <= last_day(agent, now)
        assert start >= now + timedelta(minutes=agent.booking.lead_minutes)
        assert all(other.end <= start or slot_of(service, start).end <= other.start for other in busy)
        minutes = (start + timedelta(minutes=minute) for minute in range(0, service.minutes, 5))
        assert all(any(span.start <= minute < span.end for span in opening) for minute in minutes)
        block = next(span for span in opening if span.start <= start < span.end)
        assert (start - block.start) % timedelta(minutes=agent.booking.grid_minutes) == timedelta(0)


@given(st.data(), agents(), SERVICES, CHANGES, st.integers(0, 2880))
@settings(max_examples=150, deadline=None)
def test_one_start_is_offered_exactly_if_its_day_lists_it(
    data: st.DataObject, agent: AgentConfiguration, service: Service, around: datetime, late_minutes: int
) -> None:
    now = around - timedelta(days=1) + timedelta(minutes=late_minutes)
    busy = data.draw(busy_spans(around))
    day = around.date() + timedelta(days=data.draw(st.integers(-2, 3)))
    listed = set(free_on(agent, service, day, busy=busy, now=now))
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    starts = [noon + timedelta(minutes=5 * step) for step in range(-450, 450)]
    of_that_day = [start for start in starts if start.astimezone(agent.zone).date() == day]
    offered = {start for start in of_that_day if is_offered(agent, service, start, busy=busy, now=now)}
    assert offered == listed
