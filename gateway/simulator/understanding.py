"""What a customer's words mean to the offline model: language, wish, service, day and time (pure rules)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Final

from gateway.simulator.briefing import MONTH_NUMBERS, MONTH_PATTERN, WEEKDAYS, Briefing, Language, Offered, year_of

_ENGLISH = re.compile(
    r"\b(the|you|your|is|are|do|does|what|when|where|how|have|can|could|would|like|please|my|hello|hi|thanks?|"
    r"appointment|haircut|tomorrow|today|book|cancel|move|open|yes|for|afternoon|works?)\b",
    re.IGNORECASE,
)
_GERMAN = re.compile(
    r"\b(der|die|das|den|ist|sind|ich|sie|ihr|ihre?n?|mir|mein\w*|was|wann|wo|wie|haben|hat|kann|können|bitte|"
    r"hallo|guten|danke|termin\w*|morgen|heute|uhr|für|frei|ja|nein|und|auf|passt|kostet|einen?|am|um)\b",
    re.IGNORECASE,
)
_ALIASES: Final[tuple[tuple[str, str], ...]] = (
    (r"\bm[ae]n'?s\b|\bherren|gentlem[ae]n", "herren"),
    (r"\bkid|child|kinder|\bsohn|tochter|\bson\b|daughter", "kinder"),
    (r"beard|\bbart", "bart"),
    (r"highlight|strähn", "strähn"),
    (r"updo|hochsteck|wedding|hochzeit", "hochsteck"),
    (r"wash|blow|föhn|waschen", "föhn"),
    (r"colou?r|\bdye|färb|\bfarbe", "farbe"),
    (r"hair ?cut|haarschnitt|haare? schneiden|haircut|\bcut\b|schneiden", "haarschnitt"),
)
_INTENTS: Final[tuple[tuple[str, str], ...]] = (
    ("human", r"\bmensch|mitarbeiter|\bhuman\b|real person|speak to (a|some)|beschwer|complain|jemande?n? sprechen"),
    ("cancel", r"absag|storn|\bcancel"),
    ("move", r"verschieb|verleg|umbuch|\bmove\b|reschedul|another time|andere[nr]? (zeit|termin)"),
    ("mine", r"(mein|welche).{0,12}termin|my appointment|appointments do i|when is my|wann (ist|war|habe ich)"),
    (
        "price",
        r"kost(et|en)\b|preis|price|how much|teuer|charge for|how long (is|does|will|takes?)|wie lange (dauer|brauch)",
    ),
    (
        "hours",
        r"geöffnet|öffnungszeit|(habt|haben|hat|seid|sind|macht).*\b(auf|offen|zu)\b|opening|open\b|\bhours\b|geschlossen|closed",
    ),
    (
        "services",
        r"leistung|angebot|was (macht|bietet|bieten) (ihr|sie)|services|what do you (offer|do\b)",
    ),
    ("book", r"termin|\bfrei\b|buch|appointment|\bbook|availab|free (slot|time)|anything free|\bslot|reservier"),
)
_PARTS: Final[tuple[tuple[str, str], ...]] = (
    ("afternoon", r"nachmittag|afternoon"),
    ("evening", r"\babend|evening"),
    ("morning", r"vormittag|morgens|\bfrüh|morning"),
)
_NEXT_DAYS: Final[tuple[tuple[str, int], ...]] = (
    (r"übermorgen|day after tomorrow", 2),
    (r"\bmorgen\b|tomorrow", 1),
    (r"\bheute\b|\btoday\b", 0),
)
_WRITTEN_DAY = re.compile(rf"\b(\d{{1,2}})(?:\.|st|nd|rd|th)?\s*({MONTH_PATTERN})\b|\b({MONTH_PATTERN}) (\d{{1,2}})\b")
_NUMBER_DAY = re.compile(r"\b(\d{1,2})\.(\d{1,2})\.")
_CLOCK = re.compile(
    r"\b(\d{1,2})[:.](\d\d)\b(?!\.)\s*(am|pm)?|\b(\d{1,2})\s*(uhr|o'?clock|am|pm)\b|\b(?:um|at)\s+(\d{1,2})\b(?!\.)"
)
_QUESTION = re.compile(r"^\W*(was|welche\w*|wer|warum|wieso|wie|what|which|who|why|how)\b")
_PROPOSAL = re.compile(r"\bwäre|geht|passt|zeit|frei|sieht es|looks?\b|about\b|times?\b|suit|work")
_FROM = re.compile(r"\b(ab|nach|from|after)\b")
YES: Final = re.compile(
    r"^\W*(ja|jo|gerne?|passt|ok(ay)?|super|perfekt|yes|sure|great|please do|perfect)\b", re.IGNORECASE
)
NO: Final = re.compile(r"^\W*(nein|nee|no\b|doch nicht|lieber nicht|not now)", re.IGNORECASE)
_ORDINALS: Final = (r"\b(erste\w*|first)\b", r"\b(zweite\w*|second)\b", r"\b(dritte\w*|third)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a text asks for; None: it does not say."""

    intent: str | None = None
    service: str | None = None
    day: date | None = None
    part_of_day: str | None = None
    at: time | None = None
    from_then_on: bool = False
    asks_otherwise: bool = False  # a question that proposes no time

    @property
    def says_when(self) -> bool:
        return self.day is not None or self.part_of_day is not None or self.at is not None

    def then(self, later: "Wish") -> "Wish":
        """Return this wish as a later text refines it: a new day forgets the old time."""
        kept = replace(self, part_of_day=None, at=None, from_then_on=False) if later.says_when else self
        if later.at and not later.day:
            kept = replace(kept, day=self.day)
        names = ("intent", "service", "day", "part_of_day", "at", "from_then_on")
        return replace(kept, **{name: getattr(later, name) for name in names if getattr(later, name)})


def language_of(texts: Sequence[str], fallback: Language) -> Language:
    """Return the language of the newest text that shows one."""
    for text in reversed(texts):
        english, german = len(_ENGLISH.findall(text)), len(_GERMAN.findall(text))
        if english != german:
            return "en" if english > german else "de"
    return fallback


def understand(text: str, briefing: Briefing) -> Wish:
    """Return what one text says."""
    said = re.sub(r"(guten|good) (morgen|morning)", "", text.lower())
    intent = next((name for name, pattern in _INTENTS if re.search(pattern, said)), None)
    service = service_in(said, briefing)
    part = next((name for name, pattern in _PARTS if re.search(pattern, said)), None)
    return Wish(
        intent=intent,
        service=service.name if service else None,
        day=_day(said, briefing.now),
        part_of_day=part,
        at=clock_in(said, part),
        from_then_on=bool(_FROM.search(said)),
        asks_otherwise=bool(_QUESTION.search(said)) and not _PROPOSAL.search(said),
    )


def service_in(text: str, briefing: Briefing) -> Offered | None:
    """Return the service that a text names, by its name or by what people call it; the longest name wins."""
    said = text.lower()
    named = [service for service in briefing.services if service.name.lower() in said]
    if named:
        return max(named, key=lambda service: len(service.name))
    for pattern, stem in _ALIASES:
        if re.search(pattern, said):
            meant = [service for service in briefing.services if stem in service.name.lower()]
            if meant:
                return min(meant, key=lambda service: len(service.name))
    return None


def ordinal_in(text: str) -> int | None:
    """Return 0 for the first, 1 for the second, 2 for the third, or None."""
    return next((number for number, pattern in enumerate(_ORDINALS) if re.search(pattern, text.lower())), None)


def clock_in(said: str, part_of_day: str | None = None) -> time | None:
    """Return the first time of day in a lower-case text."""
    found = _CLOCK.search(said)
    if found is None:
        return None
    hour = int(found[1] or found[4] or found[6])
    half = found[3] or found[5]
    if hour < 12 and (half == "pm" or (half != "am" and (part_of_day in ("afternoon", "evening") or 0 < hour < 8))):
        hour += 12
    minute = int(found[2] or 0)
    return time(hour, minute) if hour < 24 and minute < 60 else None


def _day(said: str, now: datetime) -> date | None:
    for pattern, ahead in _NEXT_DAYS:
        if re.search(pattern, said):
            return now.date() + timedelta(days=ahead)
    if found := _WRITTEN_DAY.search(said):
        return year_of(MONTH_NUMBERS[found[2] or found[3]], int(found[1] or found[4]), now)
    if found := _NUMBER_DAY.search(said):
        return year_of(int(found[2]), int(found[1]), now)
    for names in WEEKDAYS.values():
        for weekday, name in enumerate(names):
            if name.lower() in said:
                return now.date() + timedelta(days=(weekday - now.weekday() - 1) % 7 + 1)
    return None
