"""When an event that was not taken is sent again, and when its endpoint is given up (pure)."""

from datetime import datetime, timedelta
from typing import Final

# After the first failure, the second, …: ten attempts over three days.
RETRIES_AFTER: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
LATER_BY_MAX: Final = 0.2  # of the delay, so that an endpoint that comes back is not met by everything at once
GIVEN_UP_AFTER: Final = timedelta(days=5)
# One request that fails long after others is no proof that those between would have.
GIVEN_UP_ATTEMPTS: Final = 4


def next_attempt_at(attempts: int, *, now: datetime, chance: float) -> datetime | None:
    """Return when to try again after so many failed attempts; None: not any more. `chance` is from 0 up to 1."""
    if attempts > len(RETRIES_AFTER):
        return None
    return now + RETRIES_AFTER[attempts - 1] * (1 + LATER_BY_MAX * chance)


def is_given_up(*, failing_since: datetime, attempts: int, now: datetime) -> bool:
    """Return whether an endpoint that has taken nothing since then is to be switched off."""
    return attempts >= GIVEN_UP_ATTEMPTS and now - failing_since >= GIVEN_UP_AFTER
