"""Which starts are free, and why one is not (pure).

A slot is free if its service lies within the opening hours, begins on the grid, with notice and not too far
ahead, and meets no busy time; the service's buffer may run past closing but into no other appointment. The
grid counts from the beginning of each opening block. All arithmetic is on UTC instants, so that a day of 23
or 25 hours is as good as any other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from agents.agent import AgentConfiguration
from agents.opening import Span, closed_because, local_day, spans_on
from agents.parts import Service

OFFERS_MAX: Final = 6

Obstacle = Literal["past", "too_soon", "too_far", "closed_day", "closed_then", "too_long", "off_grid", "taken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    """A booked appointment; `during` is its service and the buffer after it."""

    appointment_id: UUID
    service: str
    during: Span

    @property
    def start(self) -> datetime:
        return self.during.start


def slot_of(service: Service, start: datetime) -> Span:
    """Return what a booking at a start takes up: the service and its buffer."""
    return Span(start, start + timedelta(minutes=service.minutes + service.buffer_minutes))


def overlap(one: Span, other: Span) -> bool:
    """Return whether two spans have a moment in common; spans that only touch have none."""
    return one.start < other.end and other.start < one.end


def last_day(configuration: AgentConfiguration, now: datetime) -> date:
    """Return the last day that can be booked."""
    return local_day(configuration, now) + timedelta(days=configuration.booking.horizon_days)


def free_on(
    configuration: AgentConfiguration, service: Service, day: date, *, busy: Iterable[Span], now: datetime
) -> tuple[datetime, ...]:
    """Return a day's free starts as UTC instants in order; `busy` may hold other days' too."""
    if not local_day(configuration, now) <= day <= last_day(configuration, now):
        return ()
    opening = _opening(configuration, day)
    if not opening:
        return ()
    whole = Span(opening[0].start, slot_of(service, opening[-1].end).end)
    taken = [span for span in busy if overlap(span, whole)]
    earliest = now + timedelta(minutes=configuration.booking.lead_minutes)
    return tuple(
        start
        for span, runs_until in zip(spans_on(configuration, day), opening, strict=True)
        for start in _grid(configuration, span)
        if start >= earliest
        and start + timedelta(minutes=service.minutes) <= runs_until.end
        and not any(overlap(slot_of(service, start), other) for other in taken)
    )


def is_offered(
    configuration: AgentConfiguration, service: Service, start: datetime, *, busy: Iterable[Span], now: datetime
) -> bool:
    """Return whether `free_on` its day would name a start."""
    return obstacle(configuration, service, start, busy=busy, now=now) is None


def obstacle(
    configuration: AgentConfiguration, service: Service, start: datetime, *, busy: Iterable[Span], now: datetime
) -> Obstacle | None:
    """Return why a start is not free, None if it is; `start` may be in any zone."""
    day = local_day(configuration, start)
    if start < now:
        return "past"
    if day > last_day(configuration, now):
        return "too_far"
    if start < now + timedelta(minutes=configuration.booking.lead_minutes):
        return "too_soon"
    return _not_open(configuration, service, start, day) or _taken(service, start, busy)


def nearest(starts: Iterable[datetime], wanted: datetime, *, count: int) -> tuple[datetime, ...]:
    """Return the starts closest to a wanted one, in order of time."""
    return tuple(sorted(sorted(starts, key=lambda start: (abs(start - wanted), start))[:count]))


def spread(starts: Sequence[datetime], *, count: int) -> tuple[datetime, ...]:
    """Return so many starts from first to last, evenly chosen."""
    if len(starts) <= count:
        return tuple(starts)
    if count < 2:
        return tuple(starts[:count])
    return tuple(starts[position * (len(starts) - 1) // (count - 1)] for position in range(count))


def _not_open(configuration: AgentConfiguration, service: Service, start: datetime, day: date) -> Obstacle | None:
    if closed_because(configuration, day) is not None or not spans_on(configuration, day):
        return "closed_day"
    for span, runs_until in zip(spans_on(configuration, day), _opening(configuration, day), strict=True):
        if span.start <= start < span.end:
            if start + timedelta(minutes=service.minutes) > runs_until.end:
                return "too_long"
            step = timedelta(minutes=configuration.booking.grid_minutes)
            return "off_grid" if (start - span.start) % step else None
    return "closed_then"


def _taken(service: Service, start: datetime, busy: Iterable[Span]) -> Obstacle | None:
    return "taken" if any(overlap(slot_of(service, start), other) for other in busy) else None


def _opening(configuration: AgentConfiguration, day: date) -> tuple[Span, ...]:
    """Return a day's opening, its last stretch with what follows it after midnight without a break."""
    spans = spans_on(configuration, day)
    after = spans_on(configuration, day + timedelta(days=1))[:1]
    if spans and after and after[0].start == spans[-1].end:
        return (*spans[:-1], Span(spans[-1].start, after[0].end))
    return spans


def _grid(configuration: AgentConfiguration, span: Span) -> Iterable[datetime]:
    step = timedelta(minutes=configuration.booking.grid_minutes)
    return (span.start + number * step for number in range(-((span.start - span.end) // step)))
