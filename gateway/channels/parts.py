"""Long texts as several messages (pure): cut where a reader would pause, never inside a character.

A character is what a person sees as one: an emoji with its skin tone, a family, a flag, a letter with its accents.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator

CUT_MARK = "…"

_SENTENCE_END = re.compile("[.!?…。！？][\"'»“”’)\\]*_~]*(?=\\s)")  # noqa: RUF001 - other languages end sentences so
_JOINER = "\u200d"
_FLAG_LETTERS = range(0x1F1E6, 0x1F200)
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_TAGS = range(0xE0020, 0xE0080)
_JAMO_WITHIN = range(0x1160, 0x1200)


def split(text: str, *, chars_max: int, parts_max: int) -> tuple[str, ...]:
    """Return a text as at most so many parts of at most so many code points; what is too much ends with "…"."""
    rest = text.strip()
    found: list[str] = []
    while len(rest) > chars_max and len(found) < parts_max - 1:
        # As late as needed for the rest to fit, if it can, and not so early that a part is a scrap.
        needed = len(rest) - (parts_max - len(found) - 1) * chars_max
        low = max(chars_max // 2, needed if needed <= chars_max else 0)
        cut = break_before(rest, low=low, high=chars_max)
        found.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    if len(rest) > chars_max:
        rest = cut_to_fit(rest, lambda part: len(part) <= chars_max)
    return tuple(part for part in (*found, rest) if part)


def shorten(parts: tuple[str, ...], *, max_tokens: int, count_tokens: Callable[[str], int]) -> tuple[str, ...]:
    """Return parts cut from the end so that their tokens, counted part by part, are at most so many."""
    kept: list[str] = []
    left = max_tokens
    for part in parts:
        cost = count_tokens(part)
        if cost > left:
            break
        kept.append(part)
        left -= cost
    else:
        return tuple(kept)
    beginning = cut_to_fit(parts[len(kept)], lambda text: count_tokens(text) <= left)
    if beginning:
        return (*kept, beginning)
    if kept:
        return _with_cut_mark(kept, left, count_tokens)
    first = first_character(parts[0])
    return (first,) if count_tokens(first) <= left else ()


def _with_cut_mark(kept: list[str], left: int, count_tokens: Callable[[str], int]) -> tuple[str, ...]:
    """Return whole parts whose last one says that there was more, if that can be afforded."""
    budget = left + count_tokens(kept[-1])
    marked = f"{kept[-1]} {CUT_MARK}"
    if count_tokens(marked) > budget:
        marked = cut_to_fit(kept[-1], lambda text: count_tokens(text) <= budget) or kept[-1]
    return (*kept[:-1], marked)


def first_character(text: str) -> str:
    """Return what a person sees first."""
    return text[: _character_start(text, 1, forward=True)]


def cut_to_fit(text: str, fits: Callable[[str], bool], *, mark: str = CUT_MARK, kept_percent: int = 75) -> str:
    """Return the longest beginning that fits, a mark behind it: to the end of a sentence, of a word, or any character.

    So that it ends well, it may be as much shorter than possible as `kept_percent` says. Empty if nothing fits.
    """
    longest = _longest_that_fits(text, fits, mark)
    low, high = longest * kept_percent // 100, longest
    while high > 0:
        for cut in _candidates(text, low=low, high=high):
            marked = f"{text[:cut].rstrip()} {mark}"
            if cut and fits(marked):
                return marked
        low, high = low // 2, high - max(1, high // 16)
    return ""


def _longest_that_fits(text: str, fits: Callable[[str], bool], mark: str) -> int:
    """Return about how many code points fit; tokens do not grow evenly, so the caller tries what it builds."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if fits(f"{text[:middle].rstrip()} {mark}"):
            low = middle
        else:
            high = middle - 1
    return low


def break_before(text: str, *, low: int, high: int) -> int:
    """Return the best place to cut between two positions: paragraph, line, sentence, word, or any character."""
    return next((cut for cut in _candidates(text, low=low, high=high) if cut), high)


def _candidates(text: str, *, low: int, high: int) -> Iterator[int]:
    """Yield the last place of each kind, the best kind first."""
    for separator in ("\n\n", "\n"):
        place = text.rfind(separator, low, high + len(separator))
        if place >= low:
            yield place
    sentence = _last_end(_SENTENCE_END, text, low=low, high=high)
    if sentence is not None:
        yield sentence
    word = next((place for place in range(high, low - 1, -1) if text[place : place + 1].isspace()), None)
    if word is not None:
        yield word
    yield _character_start(text, high)


def _last_end(pattern: re.Pattern[str], text: str, *, low: int, high: int) -> int | None:
    ends = [match.end() for match in pattern.finditer(text, low, min(high + 1, len(text)))]
    return ends[-1] if ends else None


def _character_start(text: str, place: int, *, forward: bool = False) -> int:
    """Return the nearest place at or before this one (or behind it) that is not inside a character."""
    step = 1 if forward else -1
    while 0 < place < len(text) and _is_inside(text, place):
        place += step
    return place


def _is_inside(text: str, place: int) -> bool:
    char, before = text[place], text[place - 1]
    code = ord(char)
    if _JOINER in (char, before) or unicodedata.category(char).startswith("M"):
        return True
    if code in _SKIN_TONES or code in _TAGS or code in _JAMO_WITHIN:
        return True
    if code in _FLAG_LETTERS:  # flags are pairs of letters: inside after an odd number of them
        first = place
        while first and ord(text[first - 1]) in _FLAG_LETTERS:
            first -= 1
        return (place - first) % 2 == 1
    return False
