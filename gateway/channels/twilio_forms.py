"""What SMS and WhatsApp have in common when Twilio brings them (pure): form fields as our values.

Twilio adds fields without asking, so a field nobody knows is kept and changes nothing.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from gateway.channels.base import (
    ChannelName,
    DeliveryReport,
    DeliveryStatus,
    LineAddress,
    LineEvent,
    Malformed,
    MediaKind,
    MediaReference,
)

Form = Sequence[tuple[str, str]]
Fields = Mapping[str, str]

WHATSAPP: Final = "whatsapp:"  # before a number or an id, where the message is not an SMS
MEDIA_MAX: Final = 10  # of one message; Twilio sends no more
# Once Twilio has it, it is sent as far as we can tell: `queued` may be the only word that carries our id back.
STATUSES: Final[Mapping[str, DeliveryStatus]] = {
    "accepted": DeliveryStatus.SENT,
    "scheduled": DeliveryStatus.SENT,
    "queued": DeliveryStatus.SENT,
    "sending": DeliveryStatus.SENT,
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.READ,
    "failed": DeliveryStatus.FAILED,
    "canceled": DeliveryStatus.FAILED,
    "undelivered": DeliveryStatus.UNDELIVERED,
}
OPTED_OUT_CODES: Final = frozenset({21610})
WINDOW_CLOSED_CODES: Final = frozenset({63016})
MEDIA_WORDS: Final[Mapping[MediaKind, str]] = {
    "image": "image",
    "voice_note": "voice message",
    "audio": "audio",
    "video": "video",
    "document": "document",
    "sticker": "sticker",
}
# Said in fields of their own, or the same for every message.
SAID_ELSEWHERE: Final = frozenset(
    {"AccountSid", "ApiVersion", "Body", "From", "MessageSid", "NumMedia", "SmsMessageSid", "SmsSid", "SmsStatus", "To"}
)

_NUMBER: Final = re.compile("\\+[0-9]{1,30}")
_MEDIA_URL: Final = re.compile("MediaUrl([0-9]{1,3})")
_MEDIA: Final = re.compile("Media(?:Url|ContentType)[0-9]{1,3}")


class UnreadableFormError(Exception):
    """A form lacks what it cannot be understood without; says what."""


def fields_of(form: Form) -> Fields:
    """Return a form's fields by name; of a repeated one the first, as Twilio itself repeats none."""
    fields: dict[str, str] = {}
    for name, value in form:
        fields.setdefault(name, value)
    return fields


def unreadable(form: Form, reason: str) -> Malformed:
    return Malformed(reason=reason, fragment=urlencode(form, errors="replace").encode())


def message_sid(fields: Fields) -> str:
    """Return Twilio's id of a message. Raises UnreadableFormError."""
    for name in ("MessageSid", "SmsMessageSid", "SmsSid"):
        if fields.get(name):
            return fields[name]
    raise UnreadableFormError("no MessageSid")


def line_of(address: str) -> LineAddress:
    """Return the line that an address of ours names. Raises UnreadableFormError for one that is no number."""
    number = address.removeprefix(WHATSAPP)
    if not is_number(number):
        raise UnreadableFormError("names no line")
    return LineAddress(kind="number", value=number)


def is_number(address: str) -> bool:
    """Return whether an address is written as E.164; what number it is, Twilio knows better."""
    return _NUMBER.fullmatch(address) is not None


def whole_number(text: str | None) -> int | None:
    """Return a number of at most nine digits; no count or code of Twilio's is longer."""
    return int(text) if text and len(text) <= 9 and text.isascii() and text.isdigit() else None


def media_of(fields: Fields, *, said_type: str = "") -> tuple[MediaReference, ...]:
    """Return the media that a message names, in their order; `said_type` is what WhatsApp calls the message."""
    indexes = sorted(int(found[1]) for name in fields if (found := _MEDIA_URL.fullmatch(name)) and fields[name])
    references = []
    for index in indexes[:MEDIA_MAX]:
        mime_type = fields.get(f"MediaContentType{index}", "")
        kind = _media_kind(mime_type, said_type)
        references.append(MediaReference(kind=kind, mime_type=mime_type, url=fields.get(f"MediaUrl{index}")))
    return tuple(references)


def _media_kind(mime_type: str, said_type: str) -> MediaKind:
    family = mime_type.partition("/")[0].strip().lower()
    match family:
        case "audio" if said_type and "ogg" in mime_type.lower():
            return "voice_note"  # WhatsApp records in Ogg; files that are passed on are something else
        case "image":
            return "sticker" if said_type == "sticker" else "image"
        case "audio" | "video":
            return family
        case _:
            return "document"


def with_hints(text: str, media: Sequence[MediaReference]) -> str:
    """Return what the agent reads of a message with media: a hint for each, and what was written with it."""
    return " ".join([*(f"[{MEDIA_WORDS[reference.kind]}]" for reference in media), *([text] if text else [])])


def kept(fields: Fields, *, but: Collection[str] = ()) -> dict[str, object]:
    """Return the fields that are stored as they came: what is not said elsewhere, and whatever Twilio adds."""
    told = SAID_ELSEWHERE.union(but)
    return {name: value for name, value in fields.items() if value and name not in told and not _MEDIA.fullmatch(name)}


def read_report(form: Form, our_message_id: UUID | None, *, channel: ChannelName) -> LineEvent:
    """Return what a status callback says of a message of ours. Raises UnreadableFormError.

    Without a time: Twilio sends none that says in which zone it is.
    """
    fields = fields_of(form)
    word = fields.get("MessageStatus") or fields.get("SmsStatus") or ""
    code = whole_number(fields.get("ErrorCode"))
    report = DeliveryReport(
        provider_id=message_sid(fields),
        status=STATUSES.get(word.lower(), DeliveryStatus.UNKNOWN),
        provider_status=word,
        our_message_id=our_message_id,
        provider_at=None,
        errors=_errors(fields, code),
        window_closed=code in WINDOW_CLOSED_CODES,
        segments=whole_number(fields.get("NumSegments")) or None,  # "0": not counted yet
        opted_out=code in OPTED_OUT_CODES,
    )
    return LineEvent(line=line_of(fields.get("From", "")), event=report, channel=channel)


def _errors(fields: Fields, code: int | None) -> tuple[Mapping[str, object], ...]:
    if not code:
        return ()
    message = fields.get("ErrorMessage") or fields.get("ChannelStatusMessage")
    return ({"code": code, "message": message} if message else {"code": code},)
