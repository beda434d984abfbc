"""When a business is open: blocks, closed days, holidays, and whether the agent answers then."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.agent import AgentConfiguration
from agents.opening import agent_answers, blocks_on, closed_because, is_open, local_day, next_opening, spans_on
from tests.agents.tools.salon import at, lindenhof

SALON = lindenhof()


def blocks(agent: AgentConfiguration, day: str) -> list[str]:
    return [block.text for block in blocks_on(agent, date.fromisoformat(day))]


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        ("2026-11-24", ["09:00-13:00", "14:00-18:00"]),
        ("2026-11-26", ["09:00-13:00", "14:00-20:00"]),
        ("2026-11-28", ["09:00-13:00"]),
        ("2026-11-29", []),
        ("2026-12-11", []),
        ("2026-12-25", []),
    ],
    ids=["two blocks", "long evening", "Saturday", "Sunday", "closed day", "holiday"],
)
def test_a_day_has_the_blocks_of_its_weekday_unless_it_is_closed(day: str, hours: list[str]) -> None:
    assert blocks(SALON, day) == hours


def test_why_a_day_is_closed_is_known_where_there_is_a_reason() -> None:
    agent = lindenhof(closed_days=["2026-12-22/2026-12-24", {"date": "2026-12-25", "label": "Familie"}])
    assert closed_because(agent, date(2026, 12, 21)) is None
    assert [closed_because(agent, date(2026, 12, day)) for day in (22, 23, 24)] == ["", "", ""]
    assert closed_because(agent, date(2026, 12, 25)) == "Familie"
    assert closed_because(agent, date(2026, 12, 26)) == "2. Weihnachtstag"
    assert closed_because(lindenhof(holidays=None), date(2026, 12, 26)) is None


def test_blocks_that_touch_are_one() -> None:
    agent = lindenhof(hours={"friday": ["08:00-12:00", "12:00-13:00", "14:00-18:00"]})
    assert blocks(agent, "2026-11-27") == ["08:00-13:00", "14:00-18:00"]


@pytest.mark.parametrize(
    ("moment", "opened"),
    [
        ("2026-11-27T08:59:59", False),
        ("2026-11-27T09:00", True),
        ("2026-11-27T12:59:59", True),
        ("2026-11-27T13:00", False),
        ("2026-11-27T13:30", False),
        ("2026-11-27T14:00", True),
        ("2026-11-27T18:00", False),
        ("2026-12-11T10:00", False),
    ],
)
def test_it_is_open_from_the_first_second_of_a_block_to_the_last_before_its_end(moment: str, opened: bool) -> None:
    assert is_open(SALON, at(moment)) is opened


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-11-27T07:00", "2026-11-27T09:00"),
        ("2026-11-27T09:00", "2026-11-27T14:00"),
        ("2026-11-27T14:30", "2026-11-28T09:00"),
        ("2026-11-28T13:00", "2026-12-01T09:00"),
        ("2026-12-10T20:00", "2026-12-12T09:00"),
        ("2026-12-24T20:00", "2026-12-29T09:00"),
    ],
)
def test_the_next_opening_passes_over_breaks_nights_and_closed_days(now: str, opens: str) -> None:
    assert next_opening(SALON, at(now)) == at(opens)


def test_who_stays_closed_has_no_next_opening() -> None:
    shut = lindenhof(closed_days=["2026-11-24/2027-11-24"])
    assert next_opening(shut, at("2026-11-24T10:00")) is None
    assert next_opening(shut, at("2026-11-24T10:00"), days=366) == at("2027-11-25T09:00")


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-10-25", 25), ("2027-03-28", 23), ("2026-11-01", 24)],
    ids=["clocks back", "clocks forward", "any day"],
)
def test_open_all_day_is_as_long_as_the_day(day: str, hours: int) -> None:
    (span,) = spans_on(lindenhof(hours={"sunday": ["00:00-24:00"]}), date.fromisoformat(day))
    assert span.end - span.start == timedelta(hours=hours)


def test_the_hour_that_is_missing_in_march_is_no_opening() -> None:
    agent = lindenhof(hours={"sunday": ["02:00-03:00", "10:00-12:00"]})
    (span,) = spans_on(agent, date(2027, 3, 28))
    assert span.start == datetime(2027, 3, 28, 8, 0, tzinfo=UTC)


def test_the_hour_that_comes_twice_in_october_is_open_both_times_within_a_block() -> None:
    agent = lindenhof(hours={"sunday": ["01:00-03:00"]})
    assert all(is_open(agent, datetime(2026, 10, 25, hour, 30, tzinfo=UTC)) for hour in (0, 1))
    assert not is_open(agent, datetime(2026, 10, 25, 2, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("after_hours", "when_open", "when_closed"),
    [("always", True, True), ("during", True, False), ("outside", False, True)],
)
def test_the_agent_answers_when_its_owner_wants_it_to(after_hours: str, when_open: bool, when_closed: bool) -> None:
    agent = lindenhof(after_hours=after_hours)
    assert agent_answers(agent, at("2026-11-27T10:00")) is when_open
    assert agent_answers(agent, at("2026-11-27T13:30")) is when_closed
    assert agent_answers(agent, at("2026-12-25T10:00")) is when_closed


@pytest.mark.parametrize("after_hours", ["always", "during", "outside"])
def test_an_agent_without_hours_always_answers(after_hours: str) -> None:
    agent = lindenhof(hours={}, tools=[], after_hours=after_hours)
    assert agent_answers(agent, at("2026-11-27T03:00"))


def test_the_day_is_the_businesss_own() -> None:
    late = datetime(2026, 11, 26, 23, 30, tzinfo=UTC)
    assert local_day(SALON, late) == date(2026, 11, 27)
    assert local_day(lindenhof(timezone="America/New_York"), late) == date(2026, 11, 26)


@given(st.integers(0, 700 * 24 * 60))
def test_the_next_opening_is_the_first_moment_that_is_open_again(minutes: int) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    opens = next_opening(SALON, now)
    assert opens is not None
    assert opens > now
    assert is_open(SALON, opens)
    assert not is_open(SALON, opens - timedelta(seconds=1))
