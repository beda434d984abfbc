"""The agent's Markdown as one SMS (pure): plain text that costs no more segments than its owner allows.

What is counted here is what is sent: the text has been through Smart Encoding already.
"""

from collections.abc import Callable

from gateway.channels import parts
from gateway.channels.base import TextStyle
from gateway.channels.markdown import Markup, render
from gateway.channels.sms.segments import count_segments
from gateway.channels.sms.smart_encoding import plain

CHARS_MAX = 1_600  # of a message, by Twilio
CUT_MARK = "(...)"  # says in any language, and within GSM-7, that there was more
KEPT_PERCENT = 50  # a sentence is long beside a segment
MARKUP = Markup()  # nothing: a phone shows asterisks as asterisks


def compose(text: str, style: TextStyle) -> tuple[str, ...]:
    """Return the one message to send, cut at a sentence if it is too long; none only for a blank text."""
    written = as_written(text, style)
    if not written:
        return ()
    if _is_short(written, style.segments_max):
        return (written,)
    return (_cut(written, lambda cut: _is_short(cut, style.segments_max)),)


def fits(text: str, style: TextStyle) -> bool:
    """Return whether a text is sent whole."""
    return _is_short(as_written(text, style), style.segments_max)


def billed_segments(text: str) -> int:
    return count_segments(text).segments


def shorten(composed: tuple[str, ...], *, max_tokens: int, count_tokens: Callable[[str], int]) -> tuple[str, ...]:
    """Return the message cut from the end until it has at most so many tokens, and no segment more than before."""
    if sum(map(count_tokens, composed)) <= max_tokens:
        return composed
    text = composed[0]
    segments = count_segments(text).segments

    def is_affordable(cut: str) -> bool:
        return count_tokens(cut) <= max_tokens and _is_short(cut, segments)

    shorter = _beginning(text, is_affordable) or parts.first_character(text)
    return (shorter,) if is_affordable(shorter) else ()


def as_written(text: str, style: TextStyle) -> str:
    """Return a text as a phone shows it, however long. One of nothing but markup is sent as it was written."""
    lines = text.replace("\r\n", "\n").strip()
    encoded = plain(render(lines, MARKUP) or lines, allow_unicode=style.allow_unicode).strip()
    return encoded or lines


def _is_short(text: str, segments_max: int) -> bool:
    return len(text) <= CHARS_MAX and count_segments(text).segments <= max(1, segments_max)


def _cut(text: str, is_short: Callable[[str], bool]) -> str:
    """Return the longest beginning that is short enough; of one character without room, a part of it."""
    marked = _beginning(text, is_short)
    if marked:
        return marked
    length = next(length for length in range(len(text), 0, -1) if is_short(text[:length]))
    return text[:length]


def _beginning(text: str, is_short: Callable[[str], bool]) -> str:
    return parts.cut_to_fit(text, is_short, mark=CUT_MARK, kept_percent=KEPT_PERCENT)
