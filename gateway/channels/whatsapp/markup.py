"""The agent's Markdown in WhatsApp's own markup (pure), cut into what one message may hold.

WhatsApp knows *bold*, _italic_, ~strike~, code, quotes and lists, each within one line. Nothing but markup is lost.
"""

from collections.abc import Callable

from gateway.channels import parts
from gateway.channels.markdown import Markup, render

CHARS_MAX = 4_096  # of a text message, by Meta
PARTS_MAX = 3
WHATSAPP = Markup(
    marks={
        "both": ("*_", "_*"),
        "bold": ("*", "*"),
        "strong": ("*", "*"),
        "strike": ("~", "~"),
        "italic": ("_", "_"),
        "slanted": ("_", "_"),
        "heading": ("*", "*"),
    },
    bullet="• ",
    cell_gap=" | ",
    keeps_code_and_quotes=True,
)


def compose(text: str, *, chars_max: int = CHARS_MAX) -> tuple[str, ...]:
    """Return the messages to send: at most three, none of them empty; none at all only for a blank text."""
    plain = text.replace("\r\n", "\n").strip()
    # A text of nothing but markup, such as a rule, is sent as it was written.
    return parts.split(to_whatsapp(plain) or plain, chars_max=chars_max, parts_max=PARTS_MAX)


def shorten(composed: tuple[str, ...], *, max_tokens: int, count_tokens: Callable[[str], int]) -> tuple[str, ...]:
    """Return messages cut from the end until all together have at most so many tokens."""
    return parts.shorten(composed, max_tokens=max_tokens, count_tokens=count_tokens)


def to_whatsapp(text: str) -> str:
    """Return a text with Markdown's markup replaced by WhatsApp's."""
    return render(text, WHATSAPP)
