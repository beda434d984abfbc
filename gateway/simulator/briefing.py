"""What the offline model knows: read from the system text of a request, as any model would read it (pure)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal

Language = Literal["de", "en"]

WEEKDAYS: Final[Mapping[Language, tuple[str, ...]]] = {
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
_MONTHS_DE: Final = (
    *("Januar", "Februar", "März", "April", "Mai", "Juni"),
    *("Juli", "August", "September", "Oktober", "November", "Dezember"),
)
_MONTHS_EN: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
MONTHS: Final[Mapping[Language, Sequence[str]]] = {"de": _MONTHS_DE, "en": _MONTHS_EN}
MONTH_NUMBERS: Final[Mapping[str, int]] = {
    name.lower(): number for names in MONTHS.values() for number, name in enumerate(names, start=1)
}
MONTH_PATTERN: Final = "|".join(sorted(MONTH_NUMBERS, key=len, reverse=True))

_NOW = re.compile(
    r"^(?:Jetzt ist|It is now) \w+, (\d{1,2})\.? (" + MONTH_PATTERN + r") (\d{4}), (\d\d):(\d\d)",
    re.IGNORECASE | re.MULTILINE,
)
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_SERVICE = re.compile(r"^- (.+): (\d+) (?:Minuten|minutes)(?:, (.+))?$")
_DAY = re.compile(rf"^({'|'.join((*WEEKDAYS['de'], *WEEKDAYS['en']))}): (.+)$")


@dataclass(frozen=True, slots=True)
class Offered:
    """A service of the business, with its price in the owner's words."""

    name: str
    minutes: int
    price: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Briefing:
    """The business, the time and the language of its owner."""

    language: Language
    now: datetime  # the business's own wall clock, without a zone
    services: tuple[Offered, ...]
    hours: tuple[tuple[str, str], ...]  # weekday in the owner's language, and when it is open
    hour_notes: tuple[str, ...]
    facts: tuple[str, ...]

    def service(self, name: str | None) -> Offered | None:
        return next((service for service in self.services if service.name == name), None)


def read_briefing(system_text: str) -> Briefing:
    """Return what a system text says; what it does not say is empty."""
    sections = _sections(system_text)
    lines = _lines(sections, "Leistungen", "Services")
    hours = _lines(sections, "Öffnungszeiten", "Opening hours")
    return Briefing(
        language="en" if "You are " in system_text[:200] else "de",
        now=_now(system_text),
        services=tuple(
            Offered(found[1], int(found[2]), found[3] or "") for line in lines if (found := _SERVICE.match(line))
        ),
        hours=tuple((found[1], found[2]) for line in hours if (found := _DAY.match(line))),
        hour_notes=tuple(line for line in hours if not _DAY.match(line)),
        facts=tuple(_lines(sections, "Fakten über den Betrieb", "Facts about the business")),
    )


def year_of(month: int, day: int, now: datetime) -> date | None:
    """Return the next such day, or None if the calendar has none."""
    for year in (now.year, now.year + 1):
        try:
            found = date(year, month, day)
        except ValueError:
            continue
        if found >= now.date():
            return found
    return None


def _sections(text: str) -> Mapping[str, str]:
    parts = _SECTION.split(text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _lines(sections: Mapping[str, str], *headings: str) -> list[str]:
    text = next((sections[heading] for heading in headings if heading in sections), "")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _now(text: str) -> datetime:
    found = _NOW.search(text)
    if found is None:
        return datetime(2026, 1, 1, 9)  # noqa: DTZ001 - a wall clock; a prompt of ours always tells the time
    day, month, year, hour, minute = found.groups()
    return datetime(int(year), MONTH_NUMBERS[month.lower()], int(day), int(hour), int(minute))  # noqa: DTZ001 - see above
