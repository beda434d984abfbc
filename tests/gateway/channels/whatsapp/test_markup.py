"""The agent writes Markdown; the customer sees WhatsApp's own markup, and every word."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.channels.whatsapp.markup import CHARS_MAX, PARTS_MAX, compose, shorten, to_whatsapp


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("Das ist **fett**.", "Das ist *fett*."),
        ("Das ist __fett__.", "Das ist *fett*."),
        ("Das ist *kursiv* und _kursiv_.", "Das ist _kursiv_ und _kursiv_."),
        ("***beides***", "*_beides_*"),
        ("**fett mit *kursiv* darin**", "*fett mit _kursiv_ darin*"),
        ("~~alt~~ neu", "~alt~ neu"),
        ("`a*b*c_d_`", "`a*b*c_d_`"),
        ("# Preise", "*Preise*"),
        ("### **Preise** ab *heute* ###", "*Preise ab _heute_*"),
        ("#hashtag", "#hashtag"),
        ("- eins\n* zwei\n+ drei", "• eins\n• zwei\n• drei"),
        ("1. eins\n2) zwei", "1. eins\n2. zwei"),
        ("- a\n  - **b**", "• a\n  • *b*"),
        ("-5 Grad, 3 * 4 * 5, 5*3*2", "-5 Grad, 3 * 4 * 5, 5*3*2"),
        ("snake_case_name und 2__3", "snake_case_name und 2__3"),
        ("**Ter**min und Termin**e**", "Termin und Termine"),
        ("[Buchen](https://example.org/a_b_c)", "Buchen (https://example.org/a_b_c)"),
        ("[**Buchen**](https://example.org 'x')", "[*Buchen*](https://example.org 'x')"),
        ('[Buchen](https://example.org "Titel")', "Buchen (https://example.org)"),
        ("[https://example.org](https://example.org)", "https://example.org"),
        ("<https://example.org/a_b_c>", "https://example.org/a_b_c"),
        ("https://example.org/a_b_c/d_e", "https://example.org/a_b_c/d_e"),
        ("![Plan](https://example.org/p.png)", "Plan (https://example.org/p.png)"),
        ("[anrufen](tel:+4930123)", "anrufen (+4930123)"),
        ("[hallo@example.org](mailto:hallo@example.org)", "hallo@example.org"),
        (r"\*kein Fett\* und 1\. kein Punkt", "*kein Fett* und 1. kein Punkt"),
        ("> Zitat **fett**", "> Zitat *fett*"),
        ("eins\n\n---\n\nzwei", "eins\n\nzwei"),
        ("eins\n\n\n\n\nzwei", "eins\n\nzwei"),
        ("eins<br>zwei", "eins\nzwei"),
        ("eins\r\nzwei", "eins\nzwei"),
        ("```python\nx = **y**\n```\n**z**", "```\nx = **y**\n```\n*z*"),
        ("```\noffen", "```\noffen\n```"),
        ("**offen und *offen", "**offen und *offen"),
        ("**zwei** und **drei**", "*zwei* und *drei*"),
        ("(**Hinweis**)", "(*Hinweis*)"),
        ("Ja 😊 **gern** 👍🏽", "Ja 😊 *gern* 👍🏽"),
        ("---", "---"),
        ("\u200f\u05e9\u05dc **\u05e2\u05dd**", "\u200f\u05e9\u05dc *\u05e2\u05dd*"),
    ],
)
def test_markdown_becomes_what_whatsapp_shows(markdown: str, expected: str) -> None:
    assert compose(markdown) == (expected,)


def test_a_table_becomes_lines() -> None:
    table = "| Leistung | Preis |\n|:---|---:|\n| **Schnitt** | 39 €<br>ab Mai 42 € |\n| a\\|b |  |\n"
    assert compose(f"Preise:\n\n{table}\nBis bald") == (
        "Preise:\n\nLeistung | Preis\n*Schnitt* | 39 €, ab Mai 42 €\na|b\n\nBis bald",
    )


def test_a_text_at_the_limit_is_one_message_and_one_more_is_two() -> None:
    assert compose("ä" * CHARS_MAX) == ("ä" * CHARS_MAX,)
    assert [len(part) for part in compose("ä" * (CHARS_MAX + 1))] == [CHARS_MAX, 1]
    assert [len(part) for part in compose("😀" * CHARS_MAX)] == [CHARS_MAX]


def test_more_than_three_messages_end_with_a_mark() -> None:
    parts = compose("Ein Satz aus einigen Wörtern. " * 1_000)
    assert len(parts) == PARTS_MAX
    assert parts[-1].endswith("Wörtern. …")


def test_a_blank_text_makes_no_message() -> None:
    assert compose(" \n ") == ()


def test_shortening_counts_every_part() -> None:
    assert shorten(("eins zwei", "drei"), max_tokens=2, count_tokens=lambda text: len(text.split())) == ("eins …",)


# No "<", quotes or fences: line breaks, titles and the language of a code block are markup with words in it.
markdown = st.text(alphabet="ab 1*_~`#->|[]().\n\\!ü😀", max_size=200).filter(
    lambda text: "```" not in text and "~~~" not in text
)


@given(markdown)
def test_no_word_is_lost(text: str) -> None:
    def said(written: str) -> str:
        return re.sub(r"[\W_]", "", written)

    assert said(to_whatsapp(text)) == said(text)


@given(st.text())
def test_whatever_is_not_blank_becomes_at_least_one_message_within_the_limits(text: str) -> None:
    parts = compose(text)
    assert bool(parts) == bool(text.strip())
    assert len(parts) <= PARTS_MAX
    assert all(part.strip() and len(part) <= CHARS_MAX for part in parts)


@pytest.mark.parametrize(
    "piece", ["**", "*a", "[a", "`", "_a", "~~a ", "![](", "#", "- ", "|", "| - ", "\\", "http://", ":-"]
)
def test_a_text_that_repeats_one_marker_is_composed_too(piece: str) -> None:
    assert all(len(part) <= CHARS_MAX for part in compose(piece * 8_000))
