"""Local clock times and the instants they mean, and how people say them (pure).

Twice a year a wall clock lies: an hour is missing in March and one comes twice in October. All arithmetic
is therefore done on UTC instants; the wall clock is only read and written here.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from agents.texts import MONTH_NAMES, WEEKDAY_NAMES, Language


def instant_at(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """Return the UTC instant at which a day's wall clock shows `minutes` since midnight (1440: the next midnight).

    An hour that comes twice means its first time; a missing time means the moment the clock jumps over it.
    """
    wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)  # noqa: DTZ001 - a wall clock has no zone
    instant = wall.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    return _jump_between(wall.replace(tzinfo=zone, fold=1).astimezone(UTC), instant, zone)


def _jump_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant of the new offset, by halving down to a second."""
    old_offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == old_offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def local_iso(instant: datetime, zone: ZoneInfo) -> str:
    """Return an instant as local ISO 8601 with its offset, to the minute: `2026-11-27T09:00+01:00`."""
    return instant.astimezone(zone).isoformat(timespec="minutes")


def say_day(day: date, language: Language) -> str:
    """Return a date as people write it: `Freitag, 27. November 2026`, `Friday, 27 November 2026`."""
    dot = "." if language == "de" else ""
    weekday, month = WEEKDAY_NAMES[language][day.weekday()], MONTH_NAMES[language][day.month - 1]
    return f"{weekday}, {day.day}{dot} {month} {day.year}"


def say_moment(instant: datetime, zone: ZoneInfo, language: Language) -> str:
    """Return an instant as people write it, with the time on their wall."""
    local = instant.astimezone(zone)
    clock = f"{local:%H:%M} Uhr" if language == "de" else f"{local:%H:%M}"
    return f"{say_day(local.date(), language)}, {clock}"
