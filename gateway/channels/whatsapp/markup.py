"""The agent's Markdown in WhatsApp's own markup (pure), cut into what one message may hold.

WhatsApp knows *bold*, _italic_, ~strike~, code, quotes and lists, each within one line. Nothing but markup is lost.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from gateway.channels import parts

CHARS_MAX = 4_096  # of a text message, by Meta
PARTS_MAX = 3

_FENCE = re.compile(r"\s*(```|~~~)")
_HEADING = re.compile(r"\s{0,3}#{1,6}\s+(?P<text>.*?)\s*#*\s*")
_RULE = re.compile(r"\s{0,3}(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})")
_ITEM = re.compile(r"(?P<indent>\s*)[-*+]\s+(?P<text>\S.*)")
_NUMBERED = re.compile(r"(?P<indent>\s*)(?P<number>\d{1,9})[.)]\s+(?P<text>\S.*)")
_TABLE_ROW = re.compile(r"\s*\|(?P<cells>.*)\|\s*")
_TABLE_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*")
_CELL_BORDER = re.compile(r"(?<!\\)\|")
_LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n){2,}")

# None of these runs over a marker of its own kind, so that no text takes more than linear time.
_INLINE = re.compile(
    r"""
      \\(?P<escaped>[\\`*_{}\[\]()\#+\-.!~>|<])
    | (?<!`)(?P<code>(?P<ticks>`+)[^`\n]+(?P=ticks))(?!`)
    | !?\[(?P<label>[^\[\]\n]*)\]\(\s*<?(?P<target>[^\s()<>]+(?:\([^\s()<>]*\)[^\s()<>]*)*)>?(?:\s+"[^"\n]*")?\s*\)
    | <(?P<address>(?:https?://|mailto:)[^\s<>]+)>
    | (?P<bare>https?://[^\s<>*]+)
    | \*\*\*(?=\S)(?P<both>[^*\n]+?)(?<=\S)\*\*\*
    | \*\*(?=\S)(?P<bold>(?:[^*\n]|\*(?!\*))+?)(?<=\S)\*\*(?!\*)
    | __(?=\S)(?P<strong>(?:[^_\n]|_(?!_))+?)(?<=\S)__(?!_)
    | ~~(?=\S)(?P<strike>(?:[^~\n]|~(?!~))+?)(?<=\S)~~
    | (?<![\w*])\*(?=\S)(?P<italic>[^*\n]+?)(?<=\S)\*(?![\w*])
    """,
    re.VERBOSE,
)
_MARKS: Mapping[str, tuple[str, str]] = {
    "both": ("*_", "_*"),
    "bold": ("*", "*"),
    "strong": ("*", "*"),
    "strike": ("~", "~"),
    "italic": ("_", "_"),
}


def compose(text: str) -> tuple[str, ...]:
    """Return the messages to send: at most three, none of them empty; none at all only for a blank text."""
    plain = text.replace("\r\n", "\n").strip()
    # A text of nothing but markup, such as a rule, is sent as it was written.
    return parts.split(to_whatsapp(plain) or plain, chars_max=CHARS_MAX, parts_max=PARTS_MAX)


def shorten(composed: tuple[str, ...], *, max_tokens: int, count_tokens: Callable[[str], int]) -> tuple[str, ...]:
    """Return messages cut from the end until all together have at most so many tokens."""
    return parts.shorten(composed, max_tokens=max_tokens, count_tokens=count_tokens)


def to_whatsapp(text: str) -> str:
    """Return a text with Markdown's markup replaced by WhatsApp's."""
    return _BLANK_LINES.sub("\n\n", "\n".join(_lines(text))).strip()


def _lines(text: str) -> Iterator[str]:
    fence = ""
    for line in text.split("\n"):
        marker = _FENCE.match(line)
        if marker and (not fence or (marker[1] == fence and not line[marker.end() :].strip())):
            fence = "" if fence else marker[1]
            yield "```"
        elif fence:
            yield line
        else:
            yield from _line(line)
    if fence:
        yield "```"


def _line(line: str) -> Iterator[str]:
    if _RULE.fullmatch(line):
        yield ""
    elif row := _TABLE_ROW.fullmatch(line):
        if not _TABLE_RULE.fullmatch(line):
            cells = (cell.strip() for cell in _CELL_BORDER.split(row["cells"]))
            yield " | ".join(_inline(_LINE_BREAK.sub(", ", cell)) for cell in cells if cell)
    else:
        for piece in _LINE_BREAK.split(line):
            yield _block(piece)


def _block(line: str) -> str:
    if heading := _HEADING.fullmatch(line):
        words = _inline(heading["text"].replace("**", "").replace("__", ""))
        return f"*{words}*" if words else ""
    if item := _ITEM.fullmatch(line):
        return f"{item['indent']}• {_inline(item['text'])}"
    if item := _NUMBERED.fullmatch(line):
        return f"{item['indent']}{item['number']}. {_inline(item['text'])}"
    return _inline(line)


def _inline(text: str) -> str:
    return _INLINE.sub(_replacement, text)


def _replacement(match: re.Match[str]) -> str:
    kind = match.lastgroup or ""
    if kind in _MARKS:
        return _marked(match, kind)
    if match["label"] is not None:
        return _link(_inline(match["label"]).strip(), match["target"])
    if match["escaped"] is not None:
        return match["escaped"]
    if match["address"] is not None:
        return match["address"].removeprefix("mailto:")
    return match[0]  # code, or an address that stands bare: underscores and all


def _marked(match: re.Match[str], kind: str) -> str:
    """Return marked words; without marks where they touch a letter, because WhatsApp would show them."""
    text, words = match.string, _inline(match[kind])
    before, after = text[: match.start()][-1:], text[match.end() :][:1]
    if before.isalnum() or after.isalnum():
        return words
    opening, closing = _MARKS[kind]
    return f"{opening}{words}{closing}"


def _link(label: str, target: str) -> str:
    address = target.removeprefix("mailto:").removeprefix("tel:")
    return address if label in ("", address, target) else f"{label} ({address})"
