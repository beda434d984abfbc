"""Texts that fit GSM-7 where a reader loses nothing by it (pure).

One character outside GSM-7 moves a whole message to UCS-2: 70 characters a segment instead of 160.
"""

import re
import unicodedata
from typing import Final

from gateway.channels.sms.replacements import LETTERS, MEANT_BY_THEIR_MARKS, SIGNS, SMART
from gateway.channels.sms.segments import GSM7, count_segments

_FRACTION_BEHIND_DIGIT: Final = re.compile("(?<=[0-9])(?=[\u00bc-\u00be\u2150-\u215e])")
_POWER_BEHIND_DIGIT: Final = re.compile("(?<=[0-9])(?=[\u00b2\u00b3\u00b9\u2070-\u2079])")
_DEGREES: Final = re.compile("°(?=[CF]\\b)")
# Arrows, technical signs, lines and shapes are left out like emoji; the ones that say something are in SIGNS.
_PICTURE: Final = (
    "[\u2190-\u21ff\u2300-\u23ff\u2500-\u27bf\u2900-\u297f\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
)
_MODIFIER: Final = "[\ufe0e\ufe0f\u20e3\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
_PICTURES: Final = f"{_PICTURE}(?:{_PICTURE}|{_MODIFIER}|[ \u200d])*"
_EMOJI: Final = re.compile(f"(?<! ) *(?:\\({_PICTURES}\\) *|{_PICTURES})")
_LEFT_BEHIND: Final = re.compile(f"{_MODIFIER}+")
UNSEEN: Final = frozenset({"Cc", "Cf", "Mn", "Me"})  # controls, and marks without a letter
_NO_SPACE_BEFORE: Final = ".,!?;:)\r"  # the \r of a line's end


def smart_encode(text: str) -> str:
    """Return a text as Twilio's Smart Encoding leaves it, marks composed with their letters first.

    Both what is counted and what is sent: done twice it changes nothing more.
    """
    composed = unicodedata.normalize("NFC", text)
    apart = _FRACTION_BEHIND_DIGIT.sub(" ", composed)  # "2½" is not "21/2"
    return unicodedata.normalize("NFC", apart.translate(SMART))


def plain(text: str, *, allow_unicode: bool) -> str:
    """Return a text as it is sent: smart-encoded, and where Unicode is not allowed made to fit GSM-7.

    Then emoji go, and signs and Latin letters outside GSM-7 become what a reader takes for the same. A text in
    another script stays as it is but for its emoji, and so does one that would take more segments for being
    rewritten. A text of nothing but emoji keeps them.
    """
    encoded = smart_encode(text)
    if allow_unicode or GSM7.issuperset(encoded):
        return encoded
    silent = smart_encode(_without_emoji(encoded))
    kept = silent if silent.strip() else encoded
    readable = smart_encode(_without_emoji(encoded.translate(SIGNS)))
    unmarked = "".join(char if char in GSM7 else _in_gsm7(char) for char in _rewritten(readable))
    fits = GSM7.issuperset(unmarked) and unmarked.strip()
    return unmarked if fits and count_segments(unmarked).segments <= count_segments(kept).segments else kept


def _without_emoji(text: str) -> str:
    """Return a text without its emoji, the spaces around them and lines that held nothing else."""
    lines = [(line, _LEFT_BEHIND.sub("", _EMOJI.sub(_gap, line))) for line in text.split("\n")]
    return "\n".join(without for line, without in lines if without.strip() or not line.strip())


def _gap(emoji: re.Match[str]) -> str:
    """Return what stays where emoji stood: one space, if there is something on both sides that wants one."""
    before, after = emoji.string[: emoji.start()][-1:], emoji.string[emoji.end() :][:1]
    return "" if before in ("", "(") or after == "" or after in _NO_SPACE_BEFORE else " "


def _rewritten(text: str) -> str:
    """Return a text with the signs apart that would mean something else beside a digit or a letter."""
    return _POWER_BEHIND_DIGIT.sub("^", _DEGREES.sub("", text))


def _in_gsm7(char: str) -> str:
    """Return what stands for a character in GSM-7: nothing for what cannot be seen, itself if there is nothing."""
    if char in MEANT_BY_THEIR_MARKS:
        return char
    if ord(char) in LETTERS:
        return LETTERS[ord(char)]
    parts = unicodedata.normalize("NFKD", char)
    bare = "".join(part for part in parts if not unicodedata.combining(part)).translate(SMART)
    if GSM7.issuperset(bare):
        return bare
    return "" if unicodedata.category(char) in UNSEEN else char
