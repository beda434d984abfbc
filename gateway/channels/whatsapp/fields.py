"""Reading JSON that somebody else wrote (pure): a value if it has the shape that was hoped for, else an empty one."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import orjson

Json = Mapping[str, object]

DEPTH_MAX = 50  # levels of one item; Meta's deepest has six
MILLISECONDS_FROM = 100_000_000_000  # as seconds this were the year 5138, as milliseconds it is 1973
EARLIEST = datetime(2009, 1, 1, tzinfo=UTC)  # before WhatsApp there were no messages
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


class UnreadableError(Exception):
    """An item lacks what it cannot be understood without; says what."""


def loads(body: bytes) -> object:
    """Read JSON; lone surrogates and bytes that are not UTF-8 survive as such or as U+FFFD. Raises UnreadableError."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass  # orjson refuses lone surrogates, which phones do send; the slow reader lets them through
    try:
        return json.loads(body.decode("utf-8", "replace"), strict=False, parse_int=_number)
    except (ValueError, RecursionError):
        raise UnreadableError("not JSON") from None


def _number(digits: str) -> int | float:
    """Return a whole number as the fast reader does: what has no room in 64 bits becomes a float."""
    return int(digits) if len(digits) <= 18 else float(digits)


def as_object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def objects(value: object) -> Iterator[Json]:
    """Yield those members of a list that are objects."""
    return (item for item in as_list(value) if isinstance(item, dict))


def as_text(value: object) -> str:
    """Return a text, or a whole number as its digits: ids come as either."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def as_whole_number(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        return int(value)
    return None


def as_moment(value: object) -> datetime | None:
    """Return a time given as unix seconds or milliseconds, as a text or a number; None if it is no sensible time."""
    number = as_whole_number(value)
    if number is None:
        return None
    seconds = number / 1000 if number >= MILLISECONDS_FROM else number
    if not EARLIEST.timestamp() <= seconds <= LATEST.timestamp():
        return None
    return datetime.fromtimestamp(seconds, UTC)


def required(value: object, what: str) -> str:
    """Return a text that is not empty. Raises UnreadableError."""
    text = as_text(value)
    if not text:
        raise UnreadableError(f"no {what}")
    return text


def is_too_deep(value: object) -> bool:
    """Say whether a value nests deeper than anything that will be stored; without recursion, it may be very deep."""
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [inner for outer in level for inner in _members(outer)]
        if not level:
            return False
    return True


def _members(value: object) -> Sequence[object]:
    if isinstance(value, dict):
        return list(value.values())
    return as_list(value)
