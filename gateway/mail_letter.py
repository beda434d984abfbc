"""The mail that an owner gets: one letter for all alerts that are due, in the tenant's language (pure)."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from gateway.alert_texts import alert_text, language_of
from gateway.alert_words import AlertText
from gateway.alerts import Alert

WIDTH: Final = 76


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who reads it, and how they write numbers and times."""

    name: str  # the tenant's
    email: str
    locale: str
    zone: ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class _Phrases:
    several: str
    intro: str
    times: str
    at: str
    more: str
    automatic: str


_PHRASES: Final = {
    "de": _Phrases(
        several="{count} Hinweise zu {name}",
        intro="Guten Tag,\n\nes gibt Neues zu „{name}“.",
        times="{count}-mal, zuletzt {at}",
        at="%d.%m.%Y, %H:%M Uhr",
        more="Alles Weitere finden Sie hier: {url}",
        automatic="Diese E-Mail kommt von selbst. Antworten darauf liest niemand.",
    ),
    "en": _Phrases(
        several="{count} notices about {name}",
        intro='Hello,\n\nthere is news about "{name}".',
        times="{count} times, last on {at}",
        at="%Y-%m-%d, %H:%M",
        more="You find everything else here: {url}",
        automatic="This mail was sent automatically. Nobody reads answers to it.",
    ),
}


def letter(reader: Reader, alerts: Sequence[Alert], *, sender: str, public_url: str, now: datetime) -> EmailMessage:
    """Return the mail about some alerts, at least one; what reads the same is told once, with how often it happened."""
    phrases = _PHRASES[language_of(reader.locale)]
    told: dict[AlertText, list[Alert]] = {}
    for alert in sorted(alerts, key=lambda each: (each.created_at, each.alert_id)):
        told.setdefault(alert_text(alert.kind, alert.detail, locale=reader.locale), []).append(alert)
    mail = EmailMessage()
    mail["Subject"] = _subject(reader, list(told), phrases)
    mail["From"] = sender
    mail["To"] = reader.email
    mail["Date"] = format_datetime(now)
    # The same alerts are the same mail, also if it is sent twice.
    mail["Message-ID"] = f"<alert.{alerts[0].alert_id.hex}.{len(alerts)}@{urlsplit(public_url).hostname}>"
    mail["Auto-Submitted"] = "auto-generated"
    parts = [phrases.intro.format(name=reader.name)]
    parts += [_paragraph(reader, text, same, phrases) for text, same in told.items()]
    parts += [phrases.more.format(url=public_url), f"-- \n{phrases.automatic}"]
    mail.set_content("\n\n".join(parts) + "\n")
    return mail


def _subject(reader: Reader, told: Sequence[AlertText], phrases: _Phrases) -> str:
    if len(told) == 1:
        return f"{told[0].title} ({reader.name})"
    return phrases.several.format(count=len(told), name=reader.name)


def _paragraph(reader: Reader, text: AlertText, same: Sequence[Alert], phrases: _Phrases) -> str:
    at = same[-1].created_at.astimezone(reader.zone).strftime(phrases.at)
    when = at if len(same) == 1 else phrases.times.format(count=len(same), at=at)
    return "\n".join([*_wrapped(f"* {text.title} ({when})"), *_wrapped(f"  {text.body}")])


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
