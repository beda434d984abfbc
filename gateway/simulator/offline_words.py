"""What the offline model says, in German and English (pure)."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from gateway.simulator.briefing import MONTH_NUMBERS, MONTH_PATTERN, MONTHS, WEEKDAYS, Language, year_of

DONE: Final = "✓"

WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "de": {
        "hello": "Schön, dass Sie schreiben! Ich helfe gern mit Terminen, Preisen und Öffnungszeiten.",
        "thanks": "Sehr gern! Einen schönen Tag noch.",
        "machine": "Ja, Sie schreiben mit der digitalen Assistentin (KI) des Salons. "
        "Wenn Sie lieber mit einem Menschen sprechen möchten, sagen Sie einfach „Mensch bitte“.",
        "unknown": "Das weiß ich leider nicht. Soll sich jemand aus dem Team bei Ihnen melden? Dann schreiben Sie "
        "einfach „Mensch bitte“. Bei Terminen, Preisen und Öffnungszeiten helfe ich sofort.",
        "picture": "Danke für das Bild! Ich habe es bekommen, kann es aber nicht beurteilen; "
        "zeigen Sie es gern beim Termin. Soll ich nach einer freien Zeit sehen?",
        "which_service": "Gern! Für welche Leistung? Wir bieten: {services}.",
        "which_day": "Gern, {service}. An welchem Tag möchten Sie kommen?",
        "offer": "{lead}Für {service} ({minutes} Minuten{price}) habe ich frei:\n{times}\nWelche Zeit passt Ihnen?",
        "offer_one": "{lead}Für {service} ({minutes} Minuten{price}) habe ich frei:\n{times}\nSoll ich das buchen?",
        "other": "Zu Ihrem Wunsch ist leider nichts frei. ",
        "none": "In den nächsten zwei Wochen ist dafür leider nichts frei.",
        "booked": "Gebucht {done} {service} am {moment}. Wir freuen uns auf Sie!",
        "no_appointment": "Ich finde keinen kommenden Termin von Ihnen. Möchten Sie einen vereinbaren?",
        "mine": "Ihre Termine:\n{times}",
        "which_appointment": "Welchen Termin meinen Sie?\n{times}",
        "move_when": "Ihr Termin {service} ist am {moment}. Auf welchen Tag möchten Sie ihn verschieben?",
        "move_offer": "Ihren Termin {service} am {moment} kann ich verschieben auf:\n{times}\nWelche Zeit passt Ihnen?",
        "moved": "Verschoben {done} {service} ist jetzt am {moment}.",
        "cancelled": "Abgesagt {done} {service} am {moment}. Bis ein andermal!",
        "which_time": "Welche der Zeiten darf es sein?",
        "no": "Alles klar, dann lassen wir das. Sagen Sie Bescheid, wenn ich etwas tun kann.",
        "failed": "Das hat leider nicht geklappt. Nennen Sie mir gern einen anderen Tag.",
        "fine": "Alles klar! Sagen Sie Bescheid, wenn ich noch etwas tun kann.",
        "services": "Das bieten wir an:\n{services}\nMöchten Sie einen Termin?",
        "price": "{service} kostet {price} und dauert {minutes} Minuten. Möchten Sie einen Termin?",
        "price_unknown": "Zu {service} steht mir kein Preis zur Verfügung.",
        "prices": "Unsere Preise:\n{prices}",
        "hours": "Wir haben geöffnet:\n{hours}",
        "hours_day": "{day}: {hours}.",
        "fact": "{fact}",
    },
    "en": {
        "hello": "Good to hear from you! I can help with appointments, prices and opening hours.",
        "thanks": "You're very welcome! Have a lovely day.",
        "machine": "Yes, you are writing with the salon's digital assistant (AI). "
        "If you would rather talk to a person, just say “human please”.",
        "unknown": "I'm afraid I don't know that. Should someone from the team get back to you? Then just write "
        "“human please”. With appointments, prices and opening hours I can help right away.",
        "picture": "Thank you for the picture! I got it but cannot judge it; please show it when you come. "
        "Shall I look for a free time?",
        "which_service": "Gladly! Which service would you like? We offer: {services}.",
        "which_day": "Gladly, {service}. Which day would suit you?",
        "offer": "{lead}For {service} ({minutes} minutes{price}) I have:\n{times}\nWhich time suits you?",
        "offer_one": "{lead}For {service} ({minutes} minutes{price}) I have:\n{times}\nShall I book it?",
        "other": "I'm sorry, nothing is free then. ",
        "none": "I'm sorry, nothing is free for that in the next two weeks.",
        "booked": "Booked {done} {service} on {moment}. See you soon!",
        "no_appointment": "I cannot find an upcoming appointment of yours. Would you like to make one?",
        "mine": "Your appointments:\n{times}",
        "which_appointment": "Which appointment do you mean?\n{times}",
        "move_when": "Your appointment {service} is on {moment}. Which day shall I move it to?",
        "move_offer": "Your appointment {service} on {moment} I can move to:\n{times}\nWhich time suits you?",
        "moved": "Moved {done} {service} is now on {moment}.",
        "cancelled": "Cancelled {done} {service} on {moment}. See you another time!",
        "which_time": "Which of the times would you like?",
        "no": "All right, let's leave it. Tell me if there is anything I can do.",
        "failed": "I'm sorry, that did not work. Please tell me another day.",
        "fine": "All right! Let me know if there is anything else I can do.",
        "services": "This is what we offer:\n{services}\nWould you like an appointment?",
        "price": "{service} is {price} and takes {minutes} minutes. Would you like an appointment?",
        "price_unknown": "I have no price for {service}.",
        "prices": "Our prices:\n{prices}",
        "hours": "We are open:\n{hours}",
        "hours_day": "{day}: {hours}.",
        "fact": "From our notes: {fact}",
    },
}
_BULLET: Final = "• "
_BULLETS: Final = (_BULLET, "- ")  # as written, and as an SMS carries it
_MOMENT = re.compile(rf"(\d{{1,2}})\.? ({MONTH_PATTERN})(?: \d{{4}})?, (\d\d):(\d\d)", re.IGNORECASE)
_OFFER_ENDS: Final = tuple(
    words[name].rpartition("\n")[2] for words in WORDS.values() for name in ("offer", "offer_one")
)
_ENDINGS: Final = tuple(  # up to the first sign that an SMS may lack
    words[name].partition(" {")[0] for words in WORDS.values() for name in ("booked", "moved", "cancelled", "no")
)
_MOVING = re.compile(r"verschieb|move")


def say_moment(moment: datetime, language: Language) -> str:
    """Return a wall clock's moment as people write it, without the year."""
    weekday, month = WEEKDAYS[language][moment.weekday()], MONTHS[language][moment.month - 1]
    if language == "de":
        return f"{weekday}, {moment.day}. {month}, {moment:%H:%M} Uhr"
    return f"{weekday}, {moment.day} {month}, {moment:%H:%M}"


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"{_BULLET}{line}" for line in lines)


def offers_in(text: str, now: datetime) -> list[datetime]:
    """Return the times that an earlier answer offered."""
    lines = "\n".join(line for line in text.splitlines() if line.startswith(_BULLETS))
    return moments_in(lines, now) if text.rstrip().endswith(_OFFER_ENDS) else []


def ends_wish(text: str) -> bool:
    """Whether an earlier answer ended a wish: later texts begin a new one."""
    return any(line.startswith(_ENDINGS) for line in text.splitlines())


def asks_which(text: str) -> bool:
    """Whether an earlier answer asked which appointment is meant."""
    return any(words["which_appointment"].partition("\n")[0] in text for words in WORDS.values())


def moved_from(text: str, now: datetime) -> datetime | None:
    """Return the moment of the appointment that an earlier answer offered other times for."""
    told = "\n".join(line for line in text.splitlines() if not line.startswith(_BULLETS))
    return next(iter(moments_in(told, now)), None)


def is_move(text: str) -> bool:
    return bool(_MOVING.search(text.lower()))


def moments_in(text: str, now: datetime) -> list[datetime]:
    """Return every moment that is written in a text, in order."""
    found = []
    for day, month, hour, minute in _MOMENT.findall(text):
        on = year_of(MONTH_NUMBERS[month.lower()], int(day), now)
        if on is not None:
            found.append(datetime(on.year, on.month, on.day, int(hour), int(minute)))  # noqa: DTZ001 - a wall clock
    return found
