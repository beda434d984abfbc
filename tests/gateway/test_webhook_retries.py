from datetime import UTC, datetime, timedelta

import pytest

from gateway.webhook_retries import RETRIES_AFTER, is_given_up, next_attempt_at

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(1, 5), (2, 300), (3, 1_800), (4, 7_200), (5, 18_000), (6, 36_000), (7, 50_400), (8, 72_000), (9, 86_400)],
)
def test_the_delays_grow_from_seconds_to_a_day(attempts: int, seconds: int) -> None:
    assert next_attempt_at(attempts, now=NOW, chance=0.0) == NOW + timedelta(seconds=seconds)
    latest = next_attempt_at(attempts, now=NOW, chance=0.999)
    assert latest is not None
    assert timedelta(seconds=seconds) < latest - NOW < timedelta(seconds=seconds * 1.2)


def test_the_tenth_failure_is_the_last() -> None:
    assert next_attempt_at(10, now=NOW, chance=0.0) is None
    assert timedelta(days=3) < sum(RETRIES_AFTER, timedelta()) < timedelta(days=4)


@pytest.mark.parametrize(
    ("days", "attempts", "given_up"), [(5, 4, True), (4.99, 10, False), (30, 3, False), (30, 4, True)]
)
def test_an_endpoint_is_given_up_after_five_days_and_several_attempts(
    days: float, attempts: int, given_up: bool
) -> None:
    assert is_given_up(failing_since=NOW - timedelta(days=days), attempts=attempts, now=NOW) == given_up
