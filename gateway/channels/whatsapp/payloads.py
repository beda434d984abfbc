"""A webhook body from Meta as our events (pure): every entry, every change, every item in it.

Meta batches, mixes businesses and adds fields without asking. So one bad item never blocks the others, and a
word that is not known here is kept as a notice.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from gateway.channels.base import ChannelEvent, LineAddress, LineEvent, Malformed, Notice
from gateway.channels.whatsapp.fields import (
    Json,
    UnreadableError,
    as_list,
    as_object,
    as_text,
    is_too_deep,
    loads,
    objects,
)
from gateway.channels.whatsapp.messages import read_echo, read_message, read_preference
from gateway.channels.whatsapp.senders import address_of
from gateway.channels.whatsapp.statuses import read_status

ReadItem = Callable[[Json, Sequence[Json]], ChannelEvent]

READERS: Mapping[str, ReadItem] = {
    "messages": read_message,
    "statuses": lambda status, _: read_status(status),
    "message_echoes": read_echo,
    "user_preferences": read_preference,
}
# Say where a value belongs and who is meant; nothing happens because of them.
ENVELOPE = frozenset({"messaging_product", "metadata", "contacts"})


def parse(body: bytes) -> tuple[list[LineEvent], list[Malformed]]:
    """Return all events of a body in their order, and what could not be read. Never raises."""
    try:
        payload = loads(body)
    except UnreadableError as error:
        return [], [Malformed(reason=str(error), fragment=body)]
    if not isinstance(payload, dict) or not isinstance(payload.get("entry"), list):
        return [], [Malformed(reason="no object with entries", fragment=body)]
    if is_too_deep(payload):
        return [], [Malformed(reason="nested too deep", fragment=body)]
    events: list[LineEvent] = []
    malformed: list[Malformed] = []
    for part in _changes(payload):
        if isinstance(part, Malformed):
            malformed.append(part)
        else:
            _read_change(part, events, malformed)
    return events, malformed


def _changes(payload: Json) -> Iterator[Json | Malformed]:
    for entry in as_list(payload.get("entry")):
        changes = as_object(entry).get("changes")
        if not isinstance(changes, list):
            yield Malformed(reason="an entry without changes", fragment=_written(entry))
            continue
        for change in changes:
            if isinstance(as_object(change).get("value"), dict):
                yield as_object(change)
            else:
                yield Malformed(reason="a change without a value", fragment=_written(change))


def _read_change(change: Json, events: list[LineEvent], malformed: list[Malformed]) -> None:
    value = as_object(change.get("value"))
    field = as_text(change.get("field"))
    line = _line(value)
    if line is None:
        malformed.append(Malformed(reason=f"names no line: {field[:100]}", fragment=_written(change)))
        return
    contacts = list(objects(value.get("contacts")))
    for name, items in value.items():
        read = READERS.get(name)
        if read is None or not isinstance(items, list):
            continue
        for item in items:
            try:
                events.append(LineEvent(line=line, event=_read_item(read, item, contacts)))
            except UnreadableError as error:
                malformed.append(Malformed(reason=f"{name}: {error}", fragment=_written(item)))
    rest = {name: part for name, part in value.items() if name not in ENVELOPE and not _was_read(name, part)}
    if rest or not any(name in READERS for name in value):
        events.append(LineEvent(line=line, event=Notice(name=field, content=rest)))


def _read_item(read: ReadItem, item: object, contacts: Sequence[Json]) -> ChannelEvent:
    if not isinstance(item, dict):
        raise UnreadableError("not an object")
    return read(item, contacts)


def _was_read(name: str, part: object) -> bool:
    return name in READERS and isinstance(part, list)


def _line(value: Json) -> LineAddress | None:
    """Return the line a value belongs to; what is about a number only is found by the number."""
    metadata = as_object(value.get("metadata"))
    phone_number_id = as_text(metadata.get("phone_number_id"))
    if phone_number_id.isascii() and phone_number_id.isalnum():
        return LineAddress(kind="whatsapp_phone_number_id", value=phone_number_id)
    shown = as_text(metadata.get("display_phone_number")) or as_text(value.get("display_phone_number"))
    number = address_of("".join(char for char in shown if char.isascii() and char.isdigit()))
    return None if number is None else LineAddress(kind="number", value=number.value)


def _written(part: object) -> bytes:
    """Return a part as JSON again; the escapes keep what UTF-8 cannot."""
    return json.dumps(part).encode()
