"""The 24-hour window at its edges."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.channels.whatsapp.window import closes_at, is_open

WRITTEN = datetime(2026, 3, 28, 9, 0, tzinfo=UTC)  # the night after has 23 hours in Berlin; the window has 24
DAY = timedelta(hours=24)
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("after", "margin_s", "expected"),
    [
        (timedelta(), 0, True),
        (DAY - TICK, 0, True),
        (DAY, 0, False),
        (DAY + TICK, 0, False),
        (DAY - timedelta(seconds=60) - TICK, 60, True),
        (DAY - timedelta(seconds=60), 60, False),
        (DAY - timedelta(seconds=0.25), 0.25, False),
        (timedelta(seconds=-5), 60, True),  # written in our future: clocks differ
    ],
)
def test_the_window_is_open_for_less_than_24_hours_minus_the_margin(
    after: timedelta, margin_s: float, *, expected: bool
) -> None:
    assert is_open(WRITTEN, None, WRITTEN + after, margin_s) is expected


def test_a_contact_that_never_wrote_has_no_open_window() -> None:
    assert not is_open(None, None, WRITTEN, 60)


def test_what_the_provider_closed_is_closed_however_fresh_the_message() -> None:
    assert not is_open(WRITTEN, WRITTEN + TICK, WRITTEN + TICK, 60)


@given(st.timedeltas(min_value=-DAY, max_value=3 * DAY), st.floats(min_value=0, max_value=3600))
def test_closing_time_is_the_first_moment_that_is_closed(after: timedelta, margin_s: float) -> None:
    now = WRITTEN + after
    assert is_open(WRITTEN, None, now, margin_s) == (now < closes_at(WRITTEN, margin_s))
