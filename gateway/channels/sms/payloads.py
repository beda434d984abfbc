"""Twilio's forms about SMS and MMS as our events (pure)."""

import base64
import binascii
import re
import unicodedata
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from gateway.channels.base import Address, Inbound, LineEvent, Malformed, Notice, OptOutWord, Sender
from gateway.channels.twilio_forms import (
    Fields,
    Form,
    UnreadableFormError,
    fields_of,
    is_number,
    kept,
    line_of,
    media_of,
    message_sid,
    read_report,
    unreadable,
    whole_number,
    with_hints,
)

OPT_OUTS: Final[Mapping[str, OptOutWord]] = {"STOP": "stop", "START": "start", "HELP": "help"}
ENCODED_MIN: Final = 60  # characters; only long messages arrive encoded

_BASE64: Final = re.compile("[A-Za-z0-9+/]+={0,2}")


def parse_message(form: Form) -> tuple[list[LineEvent], list[Malformed]]:
    """Return a received message, or why it could not be read. Never raises."""
    try:
        return [_read_message(fields_of(form))], []
    except UnreadableFormError as error:
        return [], [unreadable(form, f"sms: {error}")]


def parse_status(form: Form, our_message_id: UUID | None) -> tuple[list[LineEvent], list[Malformed]]:
    """Return what has become of a message of ours, or why it could not be read. Never raises.

    `our_message_id` is what the callback's own address carried.
    """
    try:
        return [read_report(form, our_message_id, channel="sms")], []
    except UnreadableFormError as error:
        return [], [unreadable(form, f"sms status: {error}")]


def _read_message(fields: Fields) -> LineEvent:
    line = line_of(fields.get("To", ""))
    sender = fields.get("From", "")
    if not sender:
        raise UnreadableFormError("nobody it is from")
    if not is_number(sender):  # a name or a short code: a machine that nobody can answer
        return LineEvent(line=line, event=Notice(name="sender_without_number", content=fields), channel="sms")
    address = Address(kind="phone", value=sender)
    media = media_of(fields)
    message = Inbound(
        provider_id=message_sid(fields),
        sender=Sender(addresses=(address,), reply_to=address),
        kind=media[0].kind if media else "text",
        text=with_hints(decoded(fields.get("Body", "")), media),
        provider_at=None,
        media=media,
        segments=whole_number(fields.get("NumSegments")) or 1,
        opt_out=OPT_OUTS.get(fields.get("OptOutType", "").strip().upper()),
        content={"sms": kept(fields, but={"NumSegments", "OptOutType"})},
    )
    return LineEvent(line=line, event=message, channel="sms")


def decoded(body: str) -> str:
    """Return a text that arrived as Base64 as it was written, which Twilio's carriers do to some long messages.

    Only if nothing else can be meant: long, strictly encoded, and words with blanks between them once decoded.
    """
    if len(body) < ENCODED_MIN or len(body) % 4 or _BASE64.fullmatch(body) is None:
        return body
    try:
        text = base64.b64decode(body, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return body
    words = text.split()
    is_written = all(unicodedata.category(char) not in ("Cc", "Cn") for word in words for char in word)
    return text if len(words) > 1 and is_written else body
