"""Text as PostgreSQL can keep it (pure): NUL and lone surrogates become U+FFFD, everything else stays."""

import re
from collections.abc import Mapping

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def safe_text(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", text)


def safe_json(value: Mapping[str, object]) -> dict[str, object]:
    """Return a JSON object with every text in it made safe, keys too."""
    return {safe_text(str(key)): _safe(inner) for key, inner in value.items()}


def _safe(value: object) -> object:
    match value:
        case str():
            return safe_text(value)
        case Mapping():
            return safe_json(value)
        case list() | tuple():
            return [_safe(inner) for inner in value]
        case _:
            return value
