"""How much of what was said has been heard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.voice.heard_text import CUT, heard_text

WORDS = "Am Donnerstag um zehn Uhr ist noch etwas frei."


@pytest.mark.parametrize(
    ("heard_ms", "heard"),
    [
        (0, ""),
        (100, ""),  # not even a word
        (300, f"Am {CUT}"),
        (1800, f"Am Donnerstag um {CUT}"),  # in the middle of "zehn"
        (3999, f"Am Donnerstag um zehn Uhr ist noch etwas {CUT}"),
        (4000, WORDS),
        (9000, WORDS),
    ],
)
def test_words_are_heard_whole_or_not_at_all(heard_ms: int, heard: str) -> None:
    assert heard_text(WORDS, heard_ms, 4000) == heard


def test_nothing_is_heard_of_what_never_came() -> None:
    assert heard_text(WORDS, 0, 0) == ""
    assert heard_text(WORDS, 500, 0) == ""
    assert heard_text("", 500, 500) == ""


@given(
    words=st.lists(st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=12), max_size=20),
    heard_ms=st.integers(0, 20_000),
    received_ms=st.integers(0, 20_000),
)
def test_what_was_heard_is_a_beginning_of_what_was_said_and_longer_the_longer_it_was_heard(
    words: list[str], heard_ms: int, received_ms: int
) -> None:
    text = " ".join(words)
    heard = heard_text(text, heard_ms, received_ms).removesuffix(f" {CUT}")
    assert text.startswith(heard)
    assert not heard or heard == text or text[len(heard)] == " "
    later = heard_text(text, heard_ms + 500, received_ms).removesuffix(f" {CUT}")
    assert len(later) >= len(heard)
