"""Text of a model as PostgreSQL and JSON can carry it (pure): NUL and lone surrogates become U+FFFD."""

import re

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def safe_text(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", text)


def shorten(text: str, *, max_bytes: int, mark: str) -> str:
    """Return the text, or its longest beginning that fits into so many bytes of UTF-8 together with the mark."""
    whole = text.encode()
    if len(whole) <= max_bytes:
        return text
    return whole[: max_bytes - len(mark.encode())].decode(errors="ignore") + mark
