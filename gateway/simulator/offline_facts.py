"""What the offline model answers from the business's own facts: prices, hours, address and notes (pure)."""

import re
from typing import Final

from gateway.simulator.briefing import WEEKDAYS, Briefing, Language
from gateway.simulator.offline_words import WORDS, bullets
from gateway.simulator.openai_chat import Said
from gateway.simulator.understanding import Wish

# What customers ask for, and the word that the owner's line about it begins with or contains.
_TOPICS: Final[tuple[tuple[str, str], ...]] = (
    (
        r"adresse|wo (seid|sind|ist|find)|anfahrt|address|where (are|is)|how do i get|s-bahn|bus\b|directions",
        r"^Adresse|^Address",
    ),
    (r"\bpark", r"^Park"),
    (r"zahl|karte|bar\b|pay|card|cash", r"^Bezahl|^Pay"),
    (r"gutschein|voucher|gift", r"^Gutschein|^Voucher|^Gift"),
    (r"team|wer (schneidet|arbeitet)|who (cuts|works)", r"^Team"),
    (r"student|schüler|studier|rabatt|discount", r"Studierende|[Ss]tudent"),
    (r"\bhund|\bdogs?\b|wlan|wi-?fi|kaffee|coffee", r"WLAN|Hund|[Dd]og|[Ww]i-?[Ff]i"),
    (r"vegan|produkt|product|silikon", r"^Produkt|^Product"),
    (r"allerg|verträglich|patch test", r"Verträglichkeit|[Pp]atch"),
    (r"kurzfristig|absagefrist|cancellation", r"^Absage|^Cancel"),
    (r"inhaber|chefin?\b|owner|\bboss\b", r"Inhaber|[Oo]wner"),
)


def answer_from_facts(briefing: Briefing, text: str, said: Wish, language: Language) -> Said | None:
    """Return the answer, or None if the facts have none."""
    if said.intent == "price":
        return _prices(briefing, said, language)
    if said.intent == "hours":
        return _hours(briefing, said, language)
    if said.intent == "services":
        return _services(briefing, language)
    for asked, line in _TOPICS:
        if re.search(asked, text.lower()):
            found = next((fact for fact in briefing.facts if re.search(line, fact)), None)
            if found:
                return Said(text=WORDS[language]["fact"].format(fact=found))
    return None


def _prices(briefing: Briefing, said: Wish, language: Language) -> Said | None:
    words = WORDS[language]
    service = briefing.service(said.service)
    if service is not None:
        text = words["price"] if service.price else words["price_unknown"]
        return Said(text=text.format(service=service.name, price=service.price, minutes=service.minutes))
    priced = [f"{one.name}: {one.price}" for one in briefing.services if one.price]
    return Said(text=words["prices"].format(prices=bullets(priced))) if priced else None


def _services(briefing: Briefing, language: Language) -> Said | None:
    minutes = {"de": "Minuten", "en": "minutes"}[language]
    told = [f"{one.name}, {one.minutes} {minutes}{f', {one.price}' if one.price else ''}" for one in briefing.services]
    return Said(text=WORDS[language]["services"].format(services=bullets(told))) if told else None


def _hours(briefing: Briefing, said: Wish, language: Language) -> Said | None:
    if not briefing.hours:
        return None
    named = [(WEEKDAYS[language][at], _in_language(blocks, language)) for at, (_, blocks) in enumerate(briefing.hours)]
    if said.day is not None:
        day, hours = named[said.day.weekday()]
        return Said(text=WORDS[language]["hours_day"].format(day=day, hours=hours))
    return Said(text=WORDS[language]["hours"].format(hours=bullets(f"{day}: {hours}" for day, hours in named)))


def _in_language(blocks: str, language: Language) -> str:
    closed = {"de": "geschlossen", "en": "closed"}[language]
    return closed if blocks in ("geschlossen", "closed") else blocks
