"""Which of the free starts are named to a customer, and what is said beside them (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final

from agents.agent import AgentConfiguration
from agents.local_time import say_day
from agents.opening import closed_because, spans_on
from agents.tools.appointments.arguments import PartOfDay
from agents.tools.appointments.calendar import OFFERS_MAX, spread

DAYS_NAMED_MAX: Final = 3
LOOK_AHEAD_DAYS: Final = 14

_PARTS: Final[Mapping[PartOfDay, tuple[time, time]]] = {
    "morning": (time(0), time(12)),
    "afternoon": (time(12), time(17)),
    "evening": (time(17), time.max),
}

FreeDays = Mapping[date, Sequence[datetime]]  # every day looked at, in order, and its free starts


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """When the customer would like to come; None: any."""

    day: date | None
    part_of_day: PartOfDay | None
    from_time: time | None

    @property
    def words(self) -> str:
        """Say the wished time of day."""
        part = f" in the {self.part_of_day}" if self.part_of_day else ""
        return part + (f" from {self.from_time:%H:%M} on" if self.from_time else "")

    def fits(self, local: datetime) -> bool:
        """Return whether a start on the wall clock is at the wished time of day."""
        earliest, latest = _PARTS[self.part_of_day] if self.part_of_day else (time.min, time.max)
        return max(earliest, self.from_time or time.min) <= local.time() < latest


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What is named to the customer; the note says where it is not what was wished."""

    starts: tuple[datetime, ...]
    note: str | None = None


def choose(configuration: AgentConfiguration, wish: Wish, days: FreeDays) -> Offer:
    """Return at most six starts that come closest to a wish, in order of time."""
    fitting = {
        day: [start for start in starts if wish.fits(start.astimezone(configuration.zone))]
        for day, starts in days.items()
    }
    if wish.day is None:
        return _any_day(configuration, wish, days, fitting)
    if fitting[wish.day]:
        return Offer(starts=spread(fitting[wish.day], count=OFFERS_MAX))
    same_day = spread(days[wish.day], count=OFFERS_MAX // 2)
    later = _first_days(fitting, room=OFFERS_MAX - len(same_day))
    starts = (*same_day, *later) or _first_days(days, room=OFFERS_MAX)
    return Offer(starts=starts, note=_nothing_on(configuration, wish, wish.day, found=bool(starts)))


def _any_day(configuration: AgentConfiguration, wish: Wish, days: FreeDays, fitting: FreeDays) -> Offer:
    starts = _first_days(fitting, room=OFFERS_MAX)
    if starts:
        return Offer(starts=starts)
    others = _first_days(days, room=OFFERS_MAX)
    until = say_day(max(days), configuration.language)
    more = "; these are other times" if others else ""
    return Offer(starts=others, note=f"nothing is free{wish.words} until {until}{more}")


def _first_days(days: FreeDays, *, room: int) -> tuple[datetime, ...]:
    """Return starts of the first days that have any, the same number of each."""
    with_any = [starts for starts in days.values() if starts][:DAYS_NAMED_MAX]
    return tuple(start for starts in with_any for start in spread(starts, count=max(1, room // len(with_any))))


def _nothing_on(configuration: AgentConfiguration, wish: Wish, day: date, *, found: bool) -> str:
    spoken = say_day(day, configuration.language)
    if spans_on(configuration, day):
        why = f"nothing is free on {spoken}{wish.words}"
    else:
        label = closed_because(configuration, day)
        why = f"closed on {spoken}" + (f" ({label})" if label else "")
    return why + (
        "; these are other times" if found else f"; nothing is free in the {LOOK_AHEAD_DAYS} days after it either"
    )
