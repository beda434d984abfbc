"""Billing cycles and rental months: months counted from a day, clamped at month end (pure).

A cycle that began on the 31st starts on the 30th of April and on the 31st of May again: every start is
counted from the anchor, never from the start before it.
"""

import calendar
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """The n-th cycle, counted from 1. `ends_on` is the first day of the next one."""

    number: int
    starts_on: date
    ends_on: date


def months_after(anchor_on: date, months: int) -> date:
    """Return the anchor's day so many months later (or earlier), or the last day of a shorter month."""
    year, month = divmod(anchor_on.year * 12 + anchor_on.month - 1 + months, 12)
    return date(year, month + 1, min(anchor_on.day, calendar.monthrange(year, month + 1)[1]))


def nth_cycle(anchor_on: date, number: int) -> Cycle:
    """Return a cycle by its number. Raises ValueError below 1: nothing begins before the anchor."""
    if number < 1:
        raise ValueError(f"cycles are counted from 1, not {number}")
    return Cycle(number=number, starts_on=months_after(anchor_on, number - 1), ends_on=months_after(anchor_on, number))


def cycle_on(anchor_on: date, day: date) -> Cycle:
    """Return the cycle that a day lies in. Raises ValueError for a day before the anchor."""
    if day < anchor_on:
        raise ValueError(f"{day.isoformat()} is before the anchor {anchor_on.isoformat()}")
    months = (day.year - anchor_on.year) * 12 + day.month - anchor_on.month
    if months_after(anchor_on, months) > day:
        months -= 1
    return nth_cycle(anchor_on, months + 1)
