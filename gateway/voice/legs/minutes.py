"""When the minutes of a forwarded call are held and when they begin (pure): each held before it starts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)


@dataclass(slots=True, kw_only=True)
class LegMinutes:
    """One leg's started minutes. `started_at`: when its first began; None while nobody has picked up.

    `held` is the last minute that is set aside or charged, `begun` the last that has begun.
    """

    started_at: datetime | None = None
    held: int = 0
    begun: int = 0

    def begins_at(self, minute: int) -> datetime | None:
        return None if self.started_at is None else self.started_at + (minute - 1) * MINUTE

    def to_begin(self, now: datetime) -> int | None:
        """Return the minute that has started and is not charged yet, the earliest first."""
        at = self.begins_at(self.begun + 1)
        return self.begun + 1 if at is not None and at <= now else None

    def to_hold(self, now: datetime, ahead: timedelta) -> int | None:
        """Return the minute to be set aside now: the next one, so long before it begins."""
        minute = self.begun + 1
        at = self.begins_at(minute)
        return minute if at is not None and self.held < minute and at - ahead <= now else None

    def next_at(self, ahead: timedelta) -> datetime | None:
        """Return when there is something to be done again; None while nobody has picked up."""
        at = self.begins_at(self.begun + 1)
        if at is None:
            return None
        return at if self.held > self.begun else at - ahead
