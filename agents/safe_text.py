"""What a model sends, as PostgreSQL and JSON can carry it (pure): NUL and lone surrogates become U+FFFD."""

import re
from collections.abc import Mapping

DEPTH_MAX = 16
_NUMBER_MAX = 2**63 - 1
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def safe_text(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", text)


def safe_texts(value: object) -> object:
    """Return a value with every text in its tables and lists made safe."""
    match value:
        case str():
            return safe_text(value)
        case Mapping():
            return {safe_texts(key): safe_texts(inner) for key, inner in value.items()}
        case list() | tuple():
            return [safe_texts(inner) for inner in value]
        case _:
            return value


def shorten(text: str, *, max_bytes: int, mark: str) -> str:
    """Return the text, or its longest beginning that fits into so many bytes of UTF-8 together with the mark."""
    whole = text.encode()
    if len(whole) <= max_bytes:
        return text
    return whole[: max(0, max_bytes - len(mark.encode()))].decode(errors="ignore") + mark


def storable(value: object, *, depth: int = DEPTH_MAX) -> object:
    """Return a JSON value with every text in it made safe. Raises ValueError for what cannot be stored."""
    if depth == 0:
        raise ValueError("too deep")
    match value:
        case str():
            return safe_text(value)
        case dict():
            return {safe_text(key): storable(inner, depth=depth - 1) for key, inner in value.items()}
        case list():
            return [storable(inner, depth=depth - 1) for inner in value]
        case int() | float() if not abs(value) <= _NUMBER_MAX:  # NaN is not either
            raise ValueError("not a number that can be kept")
        case _:
            return value
