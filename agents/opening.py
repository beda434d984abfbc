"""When a business is open: its weekly hours, less closed days and public holidays (pure)."""

from datetime import date, datetime, timedelta
from typing import NamedTuple

from agents.agent import AgentConfiguration
from agents.holidays import holidays_of
from agents.local_time import instant_at
from agents.parts import Block


class Span(NamedTuple):
    """A stretch of time between two UTC instants, the second not included."""

    start: datetime
    end: datetime


def closed_because(configuration: AgentConfiguration, day: date) -> str | None:
    """Return why the business is closed on a date whatever its hours ("" without a reason); None: it is not."""
    for closed in configuration.closed_days:
        if closed.covers(day):
            return closed.label
    if configuration.holidays is None:
        return None
    return holidays_of(configuration.holidays, day.year, configuration.language).get(day)


def blocks_on(configuration: AgentConfiguration, day: date) -> tuple[Block, ...]:
    """Return a date's opening blocks; blocks that touch are one."""
    if closed_because(configuration, day) is not None:
        return ()
    joined: list[Block] = []
    for block in configuration.hours.on(day):
        if joined and joined[-1].closes == block.opens:
            joined[-1] = Block(joined[-1].opens, block.closes)
        else:
            joined.append(block)
    return tuple(joined)


def spans_on(configuration: AgentConfiguration, day: date) -> tuple[Span, ...]:
    """Return a date's opening blocks as instants. A block inside the hour that is missing in March is none."""
    zone = configuration.zone
    spans = (
        Span(instant_at(day, block.opens, zone), instant_at(day, block.closes, zone))
        for block in blocks_on(configuration, day)
    )
    return tuple(span for span in spans if span.start < span.end)


def is_open(configuration: AgentConfiguration, now: datetime) -> bool:
    return any(span.start <= now < span.end for span in spans_on(configuration, local_day(configuration, now)))


def next_opening(configuration: AgentConfiguration, now: datetime, *, days: int = 60) -> datetime | None:
    """Return the next instant at which the business opens, None if it stays closed for so many days."""
    today = local_day(configuration, now)
    for ahead in range(days + 1):
        for span in spans_on(configuration, today + timedelta(days=ahead)):
            if span.start > now:
                return span.start
    return None


def agent_answers(configuration: AgentConfiguration, now: datetime) -> bool:
    """Return whether the agent answers now, or the away text does. Without hours it always answers."""
    if configuration.after_hours == "always" or configuration.hours.never_open:
        return True
    return is_open(configuration, now) == (configuration.after_hours == "during")


def local_day(configuration: AgentConfiguration, now: datetime) -> date:
    return now.astimezone(configuration.zone).date()
