"""How much of what was said has been heard (pure)."""

from typing import Final

CUT: Final = "…"


def heard_text(text: str, heard_ms: int, received_ms: int) -> str:
    """Return the words of `text` that were heard whole, by the share of its audio that was; "…" where it was cut.

    `received_ms` is all the audio there is of it. Nothing heard, not even one word: an empty text.
    """
    words = text.strip()
    if heard_ms >= received_ms > 0:
        return words
    if heard_ms <= 0 or received_ms <= 0:
        return ""
    until = len(words) * heard_ms // received_ms
    if not (until < len(words) and words[until].isspace()):
        until = max((place for place in range(until) if words[place].isspace()), default=0)
    heard = words[:until].rstrip()
    return f"{heard} {CUT}" if heard else ""
