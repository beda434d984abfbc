"""Texts as one SMS: plain, within the segments allowed, and cut where a reader can tell."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.channels.base import TextStyle
from gateway.channels.sms.composing import CUT_MARK, billed_segments, compose, fits, shorten
from gateway.channels.sms.segments import count_segments

PLAIN = TextStyle()
SENTENCE = "Am Freitag um zehn Uhr haben wir noch einen Platz frei. "  # 56 characters


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("**Gern!** Am *Freitag* um __10 Uhr__.", "Gern! Am Freitag um 10 Uhr."),
        ("Das ist _wirklich_ ~~nicht~~ frei.", "Das ist wirklich nicht frei."),
        ("# Preise\n\n* Haarschnitt\n+ Farbe\n1) Bart", "Preise\n\n- Haarschnitt\n- Farbe\n1. Bart"),
        (
            "Siehe [unsere Seite](https://lindenhof.example/a_b_c).",
            "Siehe unsere Seite (https://lindenhof.example/a_b_c).",
        ),
        ("https://lindenhof.example/a_b_c", "https://lindenhof.example/a_b_c"),
        ("[Anrufen](tel:+4930123456)", "Anrufen (+4930123456)"),
        ("```\nTermin: 10 Uhr\n```\nCode `abc`", "Termin: 10 Uhr\nCode abc"),
        ("> Haben Sie offen?\n>> Ja\n> > nein", "Haben Sie offen?\nJa\nnein"),
        ("| Was | Preis |\n|---|---|\n| Farbe | 75 Euro |", "Was, Preis\nFarbe, 75 Euro"),
        ("snake_case_name und 2*3*4", "snake_case_name und 2*3*4"),
        ("„Schön“ \u2013 bis dann … 😊", '"Schön" - bis dann ...'),
        ("  \n ", ""),
    ],
)
def test_markdown_becomes_what_a_phone_can_show(markdown: str, text: str) -> None:
    assert compose(markdown, PLAIN) == ((text,) if text else ())


def test_an_owner_may_allow_emoji() -> None:
    [text] = compose("Gern 😊", TextStyle(allow_unicode=True))
    assert text == "Gern 😊"
    assert count_segments(text).encoding == "UCS-2"


def test_a_text_of_nothing_but_markup_is_sent_as_it_was_written() -> None:
    assert compose("---", PLAIN) == ("---",)


def test_a_text_that_is_too_long_ends_at_a_sentence_with_a_mark() -> None:
    text = SENTENCE * 20
    assert not fits(text, PLAIN)
    [cut] = compose(text, PLAIN)
    assert cut.endswith(f"frei. {CUT_MARK}")
    assert billed_segments(cut) == 4
    [shorter] = compose(text, TextStyle(segments_max=1))
    assert shorter == f"{SENTENCE * 2}{CUT_MARK}"
    assert billed_segments(shorter) == 1


def test_a_text_is_whole_up_to_its_last_character() -> None:
    assert fits("x" * 612, PLAIN)
    assert compose("x" * 612, PLAIN) == ("x" * 612,)
    assert not fits("x" * 613, PLAIN)
    assert fits("x" * 160, TextStyle(segments_max=1))
    assert not fits("x" * 161, TextStyle(segments_max=1))


def test_no_message_is_longer_than_twilio_takes() -> None:
    generous = TextStyle(segments_max=20)
    assert not fits("x" * 1_601, generous)
    assert fits("x" * 1_600, generous)
    assert len(compose("x " * 1_000, generous)[0]) <= 1_600


def test_the_mark_keeps_a_text_in_gsm7() -> None:
    [cut] = compose("Grüße! " * 200, PLAIN)
    assert count_segments(cut).encoding == "GSM-7"


def test_another_script_is_kept_and_cut_by_its_own_measure() -> None:
    [cut] = compose("Добрый день! " * 60, PLAIN)
    assert cut.startswith("Добрый день!")
    assert billed_segments(cut) == 4


def test_shortening_by_tokens_says_that_there_was_more() -> None:
    composed = compose(SENTENCE * 3, PLAIN)
    words = lambda text: len(text.split())  # noqa: E731 - a count of tokens for a test
    [cut] = shorten(composed, max_tokens=12, count_tokens=words)
    assert cut == f"{SENTENCE}{CUT_MARK}"
    assert shorten(composed, max_tokens=100, count_tokens=words) == composed
    assert shorten(composed, max_tokens=0, count_tokens=words) == ()
    assert shorten((), max_tokens=0, count_tokens=words) == ()


def test_shortening_by_one_token_adds_no_segment() -> None:
    composed = ("x" * 160,)
    [cut] = shorten(composed, max_tokens=159, count_tokens=lambda text: text.count("x"))
    assert billed_segments(cut) == 1


@given(text=st.text(), segments_max=st.integers(1, 10), allow_unicode=st.booleans())
@example(text="e" + "\u0301" * 400, segments_max=1, allow_unicode=True)
@example(text="\u200b", segments_max=1, allow_unicode=False)
def test_every_answer_is_one_message_within_its_segments(text: str, segments_max: int, allow_unicode: bool) -> None:
    style = TextStyle(segments_max=segments_max, allow_unicode=allow_unicode)
    composed = compose(text, style)
    assert len(composed) == (1 if text.strip() else 0)
    for part in composed:
        assert part.strip()
        assert 1 <= billed_segments(part) <= segments_max
        assert fits(text, style) or len(part) < len(text) + len(CUT_MARK) + 1


@given(text=st.text(min_size=1), max_tokens=st.integers(0, 200))
def test_shortening_never_costs_more(text: str, max_tokens: int) -> None:
    composed = compose(text * 5, PLAIN)
    shorter = shorten(composed, max_tokens=max_tokens, count_tokens=len)
    assert sum(map(len, shorter)) <= max_tokens
    assert sum(map(billed_segments, shorter)) <= sum(map(billed_segments, composed))
