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

VOICE_TEXTS: Mapping[str, Mapping[Language, str]] = {
    "goodbye_text": {
        "de": "Vielen Dank für Ihren Anruf. Auf Wiederhören!",
        "en": "Thank you for calling. Goodbye!",
    },
    "idle_text": {
        "de": "Sind Sie noch da?",
        "en": "Are you still there?",
    },
    "connecting_text": {
        "de": "Ich verbinde Sie. Einen Moment bitte.",
        "en": "I am putting you through. One moment, please.",
    },
    "not_reached_text": {
        "de": "Leider ist dort gerade niemand zu erreichen.",
        "en": "I am sorry, nobody can be reached there right now.",
    },
    "credits_end_text": {
        "de": "Leider muss ich unser Gespräch hier beenden. Bitte rufen Sie später noch einmal an. Auf Wiederhören!",
        "en": "I am sorry, I have to end our call here. Please call again later. Goodbye!",
    },
    "too_long_text": {
        "de": "Leider muss ich unser Gespräch hier beenden. Rufen Sie gern noch einmal an. Auf Wiederhören!",
        "en": "I am sorry, I have to end our call here. You are welcome to call again. Goodbye!",
    },
    "technical_text": {
        "de": "Leider gibt es gerade ein technisches Problem. Bitte rufen Sie in ein paar Minuten noch einmal an. "
        "Auf Wiederhören!",
        "en": "I am sorry, there is a technical problem right now. Please call again in a few minutes. Goodbye!",
    },
    "unavailable_text": {
        "de": "Guten Tag! Unser Telefon kann Ihren Anruf gerade nicht annehmen. Bitte rufen Sie später noch einmal an.",
        "en": "Hello! We cannot take your call right now. Please call again later.",
    },
    "recording_text": {
        "de": "Dürfen wir dieses Gespräch aufzeichnen? Wenn ja, sagen Sie Ja, oder drücken Sie die Eins. Sonst wird "
        "nichts aufgezeichnet.",
        "en": "May we record this call? If so, say yes, or press one. Otherwise nothing is recorded.",
    },
    "whisper_text": {
        "de": "Ein Anruf Ihrer digitalen Assistentin. Drücken Sie die Eins, um ihn anzunehmen.",
        "en": "A call from your digital assistant. Press one to take it.",
    },
}

DEFAULT_FILLERS: Mapping[Language, tuple[str, ...]] = {
    "de": ("Einen Moment bitte, ich sehe nach.", "Ich bin gleich so weit."),
    "en": ("One moment, please, I am having a look.", "I am nearly there."),
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
