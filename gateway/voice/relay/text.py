"""Words on their way to a voice that is Twilio's (pure): without markup, in sentences, cut to what is paid."""

import re
from collections.abc import Callable
from typing import Final

from gateway.channels.markdown import Markup, render

PIECE_CHARACTERS_MIN: Final = 24  # a shorter one, such as "z. B.", is no sentence and is spoken with what follows
CHARACTERS_PER_S: Final = 15.0  # how fast a synthetic voice reads, about

# A bullet is not read aloud; a table's cells and a list's lines are heard as pauses.
_SPOKEN: Final = Markup(bullet="", cell_gap=", ")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])[\"»“”)]*\s+(?=\S)")
_ADDRESS: Final = re.compile(r"https?://(?:www\.)?")
_UNENDED: Final = re.compile(r"(?<=[^\s.,;:!?…])\s*\n\s*")


def spoken(markdown: str) -> str:
    """Return the model's text as it is to be read aloud: one line of sentences."""
    plain = _ADDRESS.sub("", render(markdown, _SPOKEN))
    return " ".join(_UNENDED.sub(". ", plain).split())


def sentences(text: str) -> tuple[str, ...]:
    """Return a text in pieces that are spoken one after another; together they are the text."""
    pieces: list[str] = []
    begins_at = 0
    for found in _SENTENCE_END.finditer(text):
        if found.end() - begins_at >= PIECE_CHARACTERS_MIN:
            pieces.append(text[begins_at : found.end()])
            begins_at = found.end()
    rest = text[begins_at:]
    return (*pieces, rest) if rest else tuple(pieces)


def cut_to(text: str, tokens_max: int, count_tokens: Callable[[str], int]) -> str:
    """Return the longest beginning of whole words that has at most so many tokens; "" if there is none."""
    if tokens_max <= 0:
        return ""
    if count_tokens(text) <= tokens_max:
        return text
    ends = [found.end() for found in re.finditer(r"\S+", text)]
    shortest, longest = 0, len(ends)
    while shortest < longest:
        middle = (shortest + longest + 1) // 2
        if count_tokens(text[: ends[middle - 1]]) <= tokens_max:
            shortest = middle
        else:
            longest = middle - 1
    return text[: ends[shortest - 1]] if shortest else ""


def spoken_ms(text: str) -> int:
    """Return how long a text takes to be spoken, about."""
    return round(len(text) / CHARACTERS_PER_S * 1000)
