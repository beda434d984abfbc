"""Public holidays of the German states (pure).

Source: the holiday laws (Feiertagsgesetze) of the sixteen states. Holidays of single towns only (Augsburg's
peace feast, Assumption in Bavaria's Catholic communities, Corpus Christi in parts of Saxony and Thuringia)
are left out: owners there name them as closed days.
"""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import NamedTuple

from agents.texts import Language

STATES: tuple[str, ...] = (
    "BW", "BY", "BE", "BB", "HB", "HH", "HE", "MV", "NI", "NW", "RP", "SL", "SN", "ST", "SH", "TH",
)  # fmt: skip
_ALL = frozenset(STATES)


class _Rule(NamedTuple):
    german: str
    english: str
    states: frozenset[str]
    on: Callable[[int], date]
    first_year: int = 1995
    last_year: int = 9999


def easter(year: int) -> date:
    """Return Easter Sunday by the Gregorian computus (the "anonymous" algorithm of 1876)."""
    golden = year % 19
    century, in_century = divmod(year, 100)
    leap_centuries, century_rest = divmod(century, 4)
    moon_correction = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leap_centuries - moon_correction + 15) % 30
    leaps, rest = divmod(in_century, 4)
    to_sunday = (32 + 2 * century_rest + 2 * leaps - epact - rest) % 7
    late = (golden + 11 * epact + 22 * to_sunday) // 451
    month, day = divmod(epact + to_sunday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def _easter_plus(days: int) -> Callable[[int], date]:
    return lambda year: easter(year) + timedelta(days=days)


def _fixed(month: int, day: int) -> Callable[[int], date]:
    return lambda year: date(year, month, day)


def _repentance_day(year: int) -> date:
    """Return the Wednesday before 23 November."""
    before = date(year, 11, 22)
    return before - timedelta(days=(before.weekday() - 2) % 7)


def _in(*states: str) -> frozenset[str]:
    return frozenset(states)


_RULES: tuple[_Rule, ...] = (
    _Rule("Neujahr", "New Year's Day", _ALL, _fixed(1, 1)),
    _Rule("Heilige Drei Könige", "Epiphany", _in("BW", "BY", "ST"), _fixed(1, 6)),
    _Rule("Frauentag", "Women's Day", _in("BE"), _fixed(3, 8), first_year=2019),
    _Rule("Frauentag", "Women's Day", _in("MV"), _fixed(3, 8), first_year=2023),
    _Rule("Karfreitag", "Good Friday", _ALL, _easter_plus(-2)),
    _Rule("Ostersonntag", "Easter Sunday", _in("BB"), _easter_plus(0)),
    _Rule("Ostermontag", "Easter Monday", _ALL, _easter_plus(1)),
    _Rule("Tag der Arbeit", "Labour Day", _ALL, _fixed(5, 1)),
    _Rule("80. Jahrestag der Befreiung", "80 years of liberation", _in("BE"), _fixed(5, 8), 2025, 2025),
    _Rule("Christi Himmelfahrt", "Ascension Day", _ALL, _easter_plus(39)),
    _Rule("Pfingstsonntag", "Whit Sunday", _in("BB"), _easter_plus(49)),
    _Rule("Pfingstmontag", "Whit Monday", _ALL, _easter_plus(50)),
    _Rule("Fronleichnam", "Corpus Christi", _in("BW", "BY", "HE", "NW", "RP", "SL"), _easter_plus(60)),
    _Rule("75. Jahrestag des 17. Juni", "75 years of the uprising", _in("BE"), _fixed(6, 17), 2028, 2028),
    _Rule("Mariä Himmelfahrt", "Assumption Day", _in("SL"), _fixed(8, 15)),
    _Rule("Weltkindertag", "Children's Day", _in("TH"), _fixed(9, 20), first_year=2019),
    _Rule("Tag der Deutschen Einheit", "German Unity Day", _ALL, _fixed(10, 3)),
    _Rule("Reformationstag", "Reformation Day", _in("BB", "MV", "SN", "ST", "TH"), _fixed(10, 31)),
    _Rule("Reformationstag", "Reformation Day", _in("HB", "HH", "NI", "SH"), _fixed(10, 31), first_year=2018),
    _Rule("Allerheiligen", "All Saints' Day", _in("BW", "BY", "NW", "RP", "SL"), _fixed(11, 1)),
    _Rule("Buß- und Bettag", "Day of Repentance", _in("SN"), _repentance_day),
    _Rule("1. Weihnachtstag", "Christmas Day", _ALL, _fixed(12, 25)),
    _Rule("2. Weihnachtstag", "Boxing Day", _ALL, _fixed(12, 26)),
)


def holidays_of(state: str, year: int, language: Language = "de") -> Mapping[date, str]:
    """Return a state's public holidays of a year and their names. Raises KeyError for an unknown state."""
    if state not in _ALL:
        raise KeyError(state)
    return {
        rule.on(year): rule.german if language == "de" else rule.english
        for rule in _RULES
        if state in rule.states and rule.first_year <= year <= rule.last_year
    }
