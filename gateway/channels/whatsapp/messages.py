"""One item of `messages`, `message_echoes` or `user_preferences` as one of our events (pure)."""

import re
from collections.abc import Callable, Mapping, Sequence

from gateway.channels.base import (
    Address,
    AddressChange,
    ChannelEvent,
    Echo,
    Edit,
    Inbound,
    Notice,
    Preference,
    Reaction,
    Revoke,
)
from gateway.channels.whatsapp.contents import read_content
from gateway.channels.whatsapp.fields import Json, UnreadableError, as_moment, as_object, as_text, required
from gateway.channels.whatsapp.senders import address_of, person_of, recipient_of, sender_of

# What an Inbound says in fields of its own; everything else is kept as it came.
SAID_ELSEWHERE = frozenset({"id", "from", "from_user_id", "from_parent_user_id", "timestamp"})
# Not said by a person, or not to us: starts nothing. The welcome request comes when a chat is opened.
SILENT_TYPES = frozenset({"request_welcome"})
# In an echo: the owner corrected or reacted to something; the texts that matter came before.
ECHOES_WITHOUT_TEXT = frozenset({"edit", "revoke", "reaction"})
WISHES: Mapping[str, bool] = {"stop": False, "resume": True, "signup": True}

# The customer's own name stands before it, so only the very end counts.
_CHANGED = re.compile(r" changed from (?P<old>\S+) to (?P<new>\S+)\Z")


def read_message(message: Json, contacts: Sequence[Json]) -> ChannelEvent:
    """Return what a customer did. Raises UnreadableError for a message without an id or a sender."""
    word = as_text(message.get("type"))
    if message.get("group_id"):
        return Notice(name="group_message", content=message)
    if word in SILENT_TYPES or _is_call_permission(message):
        return Notice(name=word if word in SILENT_TYPES else "call_permission_reply", content=message)
    return _READERS.get(word, _inbound)(message, contacts)


def read_echo(echo: Json, contacts: Sequence[Json]) -> ChannelEvent:
    """Return what the owner wrote from the Business app. Raises UnreadableError."""
    word = as_text(echo.get("type"))
    if word in ECHOES_WITHOUT_TEXT or echo.get("group_id"):
        return Notice(name=f"echo_{word}", content=echo)
    said = read_content(echo)
    return Echo(
        provider_id=required(echo.get("id"), "id"),
        to=recipient_of(echo, contacts),
        kind=said.kind,
        text=said.text,
        provider_at=as_moment(echo.get("timestamp")),
    )


def read_preference(preference: Json, contacts: Sequence[Json]) -> ChannelEvent:
    """Return whether a customer wants to be written to. Raises UnreadableError if nobody is named."""
    wish = WISHES.get(as_text(preference.get("value")).lower())
    if wish is None or preference.get("category") != "marketing_messages":
        return Notice(name="user_preference", content=preference)
    return Preference(
        sender=person_of(preference, contacts),
        wants_messages=wish,
        provider_at=as_moment(preference.get("timestamp")),
    )


def _inbound(message: Json, contacts: Sequence[Json]) -> Inbound:
    said = read_content(message)
    kept = {name: value for name, value in message.items() if name not in SAID_ELSEWHERE}
    if said.kind == "text":
        kept.pop("text", None)
    return Inbound(
        provider_id=required(message.get("id"), "id"),
        sender=sender_of(message, contacts),
        kind=said.kind,
        text=said.text,
        provider_at=as_moment(message.get("timestamp")),
        media=said.media,
        reply_to_provider_id=as_text(as_object(message.get("context")).get("id")) or None,
        content={"whatsapp": kept},
    )


def _reaction(message: Json, contacts: Sequence[Json]) -> Reaction:
    reaction = as_object(message.get("reaction"))
    return Reaction(
        sender=sender_of(message, contacts),
        target_provider_id=required(reaction.get("message_id"), "reaction.message_id"),
        emoji=as_text(reaction.get("emoji")),
        provider_at=as_moment(message.get("timestamp")),
    )


def _edit(message: Json, contacts: Sequence[Json]) -> Edit:
    edit = as_object(message.get("edit"))
    return Edit(
        sender=sender_of(message, contacts),
        target_provider_id=required(edit.get("original_message_id"), "edit.original_message_id"),
        text=read_content(as_object(edit.get("message"))).text,
        provider_at=as_moment(message.get("timestamp")),
    )


def _revoke(message: Json, contacts: Sequence[Json]) -> Revoke:
    revoke = as_object(message.get("revoke"))
    return Revoke(
        sender=sender_of(message, contacts),
        target_provider_id=required(revoke.get("original_message_id"), "revoke.original_message_id"),
        provider_at=as_moment(message.get("timestamp")),
    )


def _system(message: Json, contacts: Sequence[Json]) -> AddressChange | Notice:
    del contacts  # these messages come without
    system = as_object(message.get("system"))
    word = as_text(system.get("type"))
    if word not in ("user_changed_number", "user_changed_user_id"):
        return Notice(name=word or "system", content=message)
    said = _CHANGED.search(as_text(system.get("body")))
    # Where there is a `new_wa_id`, `wa_id` is the number before; in later shapes it is the new one.
    number = system.get("new_wa_id") or system.get("wa_id")
    new = _addresses(number, system.get("user_id"), system.get("parent_user_id"))
    new = new or _addresses(said and said["new"])
    olds = _addresses(system.get("previous_user_id"), message.get("from"), message.get("from_user_id"))
    olds = olds or _addresses(said and said["old"])
    old = next((address for address in olds if address not in new), None)
    if old is None or not new:
        raise UnreadableError("no old or no new address")
    return AddressChange(
        old=old, new=tuple(new), provider_at=as_moment(message.get("timestamp")), body=as_text(system.get("body"))
    )


def _addresses(*identifiers: object) -> list[Address]:
    found = (address_of(identifier) for identifier in identifiers)
    return list(dict.fromkeys(address for address in found if address is not None))


def _is_call_permission(message: Json) -> bool:
    return as_object(message.get("interactive")).get("type") == "call_permission_reply"


_READERS: Mapping[str, Callable[[Json, Sequence[Json]], ChannelEvent]] = {
    "reaction": _reaction,
    "edit": _edit,
    "revoke": _revoke,
    "system": _system,
}
