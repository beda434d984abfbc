"""Twilio's forms about WhatsApp as our events (pure).

The same channel as Meta's, in other words: one message a form, no time, media by address.
"""

from collections.abc import Callable, Mapping
from typing import Final
from uuid import UUID

from gateway.channels.base import ChannelEvent, Inbound, LineEvent, Malformed, MessageKind, Notice, Reaction, Sender
from gateway.channels.twilio_forms import (
    WHATSAPP,
    Fields,
    Form,
    UnreadableFormError,
    fields_of,
    kept,
    line_of,
    media_of,
    message_sid,
    read_report,
    unreadable,
    with_hints,
)
from gateway.channels.whatsapp.senders import address_of

# An Inbound says these in fields of its own.
SAID: Final = frozenset({"ExternalUserId", "NumSegments", "OriginalRepliedMessageSid", "ProfileName", "WaId"})


def parse_message(form: Form) -> tuple[list[LineEvent], list[Malformed]]:
    """Return a received message, or why it could not be read. Never raises."""
    fields = fields_of(form)
    try:
        line = line_of(fields.get("To", ""))
        return [LineEvent(line=line, event=_read_message(fields), channel="whatsapp")], []
    except UnreadableFormError as error:
        return [], [unreadable(form, f"whatsapp: {error}")]


def parse_status(form: Form, our_message_id: UUID | None) -> tuple[list[LineEvent], list[Malformed]]:
    """Return what has become of a message of ours, or why it could not be read. Never raises.

    `our_message_id` is what the callback's own address carried.
    """
    try:
        return [read_report(form, our_message_id, channel="whatsapp")], []
    except UnreadableFormError as error:
        return [], [unreadable(form, f"whatsapp status: {error}")]


def _read_message(fields: Fields) -> ChannelEvent:
    sender = _sender(fields)
    replied = fields.get("OriginalRepliedMessageSid") or None
    if fields.get("MessageType") == "reaction":
        if replied is None:
            return Notice(name="reaction", content=fields)
        return Reaction(sender=sender, target_provider_id=replied, emoji=fields.get("Body", ""), provider_at=None)
    media = media_of(fields, said_type=fields.get("MessageType") or "text")
    kind, text = _said(fields, with_hints(fields.get("Body", ""), media))
    return Inbound(
        provider_id=message_sid(fields),
        sender=sender,
        kind=media[0].kind if media and kind == "text" else kind,
        text=text,
        provider_at=None,
        media=media,
        reply_to_provider_id=replied,
        content={"whatsapp": kept(fields, but=SAID)},
    )


def _sender(fields: Fields) -> Sender:
    """Return who wrote, by every address that is named; answers go to the one that the message came from."""
    named = [fields.get(name, "").removeprefix(WHATSAPP) for name in ("From", "ExternalUserId", "WaId")]
    reply_to = address_of(named[0])
    if reply_to is None:
        raise UnreadableFormError("nobody it is from")
    found = (address_of(identifier) for identifier in named)
    addresses = tuple(dict.fromkeys(address for address in found if address is not None))
    return Sender(addresses=addresses, reply_to=reply_to, name=fields.get("ProfileName", ""))


def _said(fields: Fields, text: str) -> tuple[MessageKind, str]:
    """Return a message's kind and what the agent reads of it; what has no words becomes a hint in brackets."""
    for name, read in READERS.items():
        if fields.get(name):
            return read(fields, text)
    word = fields.get("MessageType", "")
    if word == "contacts":  # a card, which comes as a file
        return "contacts", text.replace("[document]", "[contact]", 1) or "[contact]"
    if word == "order":
        return "order", _joined(" ", "[order]", text)
    if text or word == "text":
        return "text", text
    hint = " ".join(word.split())[:200]
    return "unsupported", f"[unsupported message: {hint}]" if hint else "[unsupported message]"


def _button(fields: Fields, text: str) -> tuple[MessageKind, str]:
    return "button_reply", fields.get("ButtonText") or text or fields.get("ButtonPayload", "")


def _list(fields: Fields, text: str) -> tuple[MessageKind, str]:
    chosen = _joined(": ", fields.get("ListTitle", ""), fields.get("ListDescription", ""))
    return "button_reply", chosen or text or fields.get("ListId", "")


def _form(fields: Fields, text: str) -> tuple[MessageKind, str]:
    return "text", _joined(" ", "[form]", text, fields["InteractiveData"])


def _location(fields: Fields, text: str) -> tuple[MessageKind, str]:
    """Return a place; Twilio puts its name into Label, and sometimes into Body as well."""
    names = dict.fromkeys([fields.get("Label", "") or text, fields.get("Address", "")])
    position = f"({_joined(', ', fields['Latitude'], fields.get('Longitude', ''))})"
    return "location", _joined(" ", "[location]", _joined(", ", *names), position)


def _joined(separator: str, *parts: str) -> str:
    return separator.join(part for part in parts if part)


# The field that tells what a message is, whatever its MessageType is called; the first one that is there counts.
READERS: Final[Mapping[str, Callable[[Fields, str], tuple[MessageKind, str]]]] = {
    "ButtonText": _button,
    "ButtonPayload": _button,
    "ListTitle": _list,
    "ListId": _list,
    "InteractiveData": _form,
    "Latitude": _location,
}
