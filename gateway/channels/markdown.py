"""The agent's Markdown in the markup of a channel (pure). Nothing but markup is lost.

Markup is kept within one line, as channels want it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_FENCE = re.compile(r"\s*(```|~~~)")
_HEADING = re.compile(r"\s{0,3}#{1,6}\s+(?P<text>.*?)\s*#*\s*")
_RULE = re.compile(r"\s{0,3}(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})")
_QUOTE = re.compile(r"(?:\s*>)+\s?(?P<text>.*)")
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
    | (?<![\w_])_(?=\S)(?P<slanted>[^_\n]+?)(?<=\S)_(?![\w_])
    """,
    re.VERBOSE,
)
_KINDS = frozenset({"both", "bold", "strong", "strike", "italic", "slanted"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Markup:
    """What a channel writes where Markdown has markup; by default nothing.

    `marks` are by kind: both (bold and italic), bold, strong, strike, italic, slanted, heading.
    """

    marks: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    bullet: str = "- "
    cell_gap: str = ", "
    keeps_code_and_quotes: bool = False  # because it has the same marks for them


def render(text: str, markup: Markup) -> str:
    """Return a text with Markdown's markup replaced by the channel's."""
    return _BLANK_LINES.sub("\n\n", "\n".join(_lines(text, markup))).strip()


def _lines(text: str, markup: Markup) -> Iterator[str]:
    fence = ""
    for line in text.split("\n"):
        marker = _FENCE.match(line)
        if marker and (not fence or (marker[1] == fence and not line[marker.end() :].strip())):
            fence = "" if fence else marker[1]
            yield from _fence(markup)
        elif fence:
            yield line
        else:
            yield from _line(line, markup)
    if fence:
        yield from _fence(markup)


def _fence(markup: Markup) -> Iterator[str]:
    if markup.keeps_code_and_quotes:
        yield "```"


def _line(line: str, markup: Markup) -> Iterator[str]:
    if _RULE.fullmatch(line):
        yield ""
    elif row := _TABLE_ROW.fullmatch(line):
        if not _TABLE_RULE.fullmatch(line):
            cells = (cell.strip() for cell in _CELL_BORDER.split(row["cells"]))
            yield markup.cell_gap.join(_inline(_LINE_BREAK.sub(", ", cell), markup) for cell in cells if cell)
    else:
        for piece in _LINE_BREAK.split(line):
            yield _block(piece, markup)


def _block(line: str, markup: Markup) -> str:
    if heading := _HEADING.fullmatch(line):
        words = _inline(heading["text"].replace("**", "").replace("__", ""), markup)
        opening, closing = markup.marks.get("heading", ("", ""))
        return f"{opening}{words}{closing}" if words else ""
    if not markup.keeps_code_and_quotes and (quote := _QUOTE.fullmatch(line)):
        return _block(quote["text"], markup)
    if item := _ITEM.fullmatch(line):
        return f"{item['indent']}{markup.bullet}{_inline(item['text'], markup)}"
    if item := _NUMBERED.fullmatch(line):
        return f"{item['indent']}{item['number']}. {_inline(item['text'], markup)}"
    return _inline(line, markup)


def _inline(text: str, markup: Markup) -> str:
    return _INLINE.sub(lambda match: _replacement(match, markup), text)


def _replacement(match: re.Match[str], markup: Markup) -> str:
    kind = match.lastgroup or ""
    if kind in _KINDS:
        return _marked(match, kind, markup)
    if match["label"] is not None:
        return _link(_inline(match["label"], markup).strip(), match["target"])
    if match["escaped"] is not None:
        return match["escaped"]
    if match["address"] is not None:
        return match["address"].removeprefix("mailto:")
    if match["ticks"] is not None and not markup.keeps_code_and_quotes:
        return match["code"].strip("`").strip()
    return match[0]  # code, or an address that stands bare: underscores and all


def _marked(match: re.Match[str], kind: str, markup: Markup) -> str:
    """Return marked words; without marks where they touch a letter, because the channel would show them."""
    text, words = match.string, _inline(match[kind], markup)
    before, after = text[: match.start()][-1:], text[match.end() :][:1]
    if before.isalnum() or after.isalnum():
        return words
    opening, closing = markup.marks.get(kind, ("", ""))
    return f"{opening}{words}{closing}"


def _link(label: str, target: str) -> str:
    address = target.removeprefix("mailto:").removeprefix("tel:")
    return address if label in ("", address, target) else f"{label} ({address})"
