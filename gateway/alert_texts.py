"""What an owner reads of an alert, in the tenant's language, and how soon it is mailed (pure)."""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from gateway.alert_words import DAYS_LEFT, ENGLISH, GERMAN, LANGUAGES, UNKNOWN, AlertText
from metering.credits import format_credits

DIGEST_EVERY: Final = timedelta(minutes=10)
# What comes in numbers, or can no longer be helped: told together, at most once in DIGEST_EVERY.
DIGESTED: Final = frozenset(
    {
        "delivery_failed",
        "undelivered",
        "window_closed",
        "late_message",
        "sms_flood",
        "over_budget",
        "written_unanswered",
        "call_crashed",
    }
)


def alert_text(kind: str, detail: Mapping[str, object], *, locale: str) -> AlertText:
    """Return the words for an alert; a kind without words of its own gets general ones."""
    language = language_of(locale)
    words = LANGUAGES[language].get(kind, UNKNOWN[language])
    places = {
        "percent": _number(detail, "percent"),
        "balance": format_credits(_number(detail, "balance_millicredits"), locale),
        "days_left": _days_left(detail, language),
        "rent": format_credits(_number(detail, "rent_millicredits"), locale),
        **{name: _day(detail, name, language) for name in ("due_on", "release_on")},
        **{name: str(detail.get(name, "")) for name in ("reference", "plan")},
    }
    return AlertText(_tidy(words.title.format_map(places)), _tidy(words.body.format_map(places)))


def mail_delay(kind: str) -> timedelta:
    """Return how long an alert waits for others before it is mailed."""
    return DIGEST_EVERY if kind in DIGESTED else timedelta()


def language_of(locale: str) -> str:
    """Return the language that is written for a locale: German, or English for all others."""
    return "de" if locale.lower().startswith("de") else "en"


def known_kinds() -> frozenset[str]:
    """Return the kinds that have words of their own in every language."""
    return frozenset(GERMAN) & frozenset(ENGLISH)


def _number(detail: Mapping[str, object], name: str) -> int:
    value = detail.get(name)
    return value if isinstance(value, int) else 0


def _days_left(detail: Mapping[str, object], language: str) -> str:
    days = detail.get("days_left")
    if not isinstance(days, int):
        return ""
    none, one, several = DAYS_LEFT[language]
    return none if days < 1 else one if days == 1 else several.format(days)


def _day(detail: Mapping[str, object], name: str, language: str) -> str:
    try:
        day = date.fromisoformat(str(detail.get(name, "")))
    except ValueError:
        return ""
    return f"{day:%d.%m.%Y}" if language == "de" else day.isoformat()


def _tidy(text: str) -> str:
    """Close the gap that a place without a value leaves."""
    return re.sub(r" {2,}", " ", text)
