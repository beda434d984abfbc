"""What an agent says of its own accord until its owner words it differently, by language (pure)."""

from collections.abc import Mapping
from typing import Literal

Language = Literal["de", "en"]

DEFAULT_TEXTS: Mapping[str, Mapping[Language, str]] = {
    "disclosure": {
        "de": "Ich bin die digitale Assistentin (KI) dieses Betriebs.",
        "en": "I am this business's digital assistant (AI).",
    },
    "away_text": {
        "de": "Danke für Ihre Nachricht! Gerade können wir nicht antworten. Wir melden uns, sobald es geht.",
        "en": "Thank you for your message! We cannot answer right now. We will get back to you as soon as we can.",
    },
    "apology_text": {
        "de": "Entschuldigung, das hat gerade nicht geklappt. Bitte schreiben Sie uns in ein paar Minuten noch einmal.",
        "en": "Sorry, that did not work just now. Please write to us again in a few minutes.",
    },
    "handover_text": {
        "de": "Ich gebe das an einen Menschen aus unserem Team weiter. Sie bekommen hier so bald wie möglich Antwort.",
        "en": "I am passing this on to a person from our team. You will get an answer here as soon as possible.",
    },
}

DEFAULT_HANDOVER_KEYWORDS: Mapping[Language, tuple[str, ...]] = {
    "de": ("Mensch", "Mensch bitte", "Mitarbeiter", "Mitarbeiterin", "Person"),
    "en": ("human", "human please", "person", "agent", "real person"),
}

WEEKDAYS: tuple[str, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

WEEKDAY_NAMES: Mapping[Language, tuple[str, ...]] = {
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}

_MONTHS_EN = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")
_MONTHS_DE = ("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober")
MONTH_NAMES: Mapping[Language, tuple[str, ...]] = {
    "de": (*_MONTHS_DE, "November", "Dezember"),
    "en": (*_MONTHS_EN, "November", "December"),
}


def language_of(tag: str) -> Language:
    """Return the language that texts exist in for a language tag such as `de-AT`."""
    return "de" if tag.lower().startswith("de") else "en"
