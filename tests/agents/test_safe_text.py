"""Texts of a model, made fit for storing and short enough for the next request."""

from hypothesis import given
from hypothesis import strategies as st

from agents.safe_text import safe_text, shorten


def test_only_nul_and_lone_surrogates_are_replaced() -> None:
    assert safe_text("a\x00b\ud800c\udfffd") == "a\ufffdb\ufffdc\ufffdd"
    kept = "😀 <|endoftext|> \u202e\u200f\t\n\x7f"
    assert safe_text(kept) == kept


def test_a_text_that_fits_to_the_byte_stays_whole() -> None:
    assert shorten("äöü", max_bytes=6, mark="…") == "äöü"
    assert shorten("äöüx", max_bytes=6, mark="…") == "ä…"
    assert shorten("äöüx", max_bytes=2, mark="…") == "…"


@given(st.text(alphabet="aä€😀", max_size=60), st.integers(10, 80))
def test_a_shortened_text_is_a_beginning_within_the_limit(text: str, max_bytes: int) -> None:
    short = shorten(text, max_bytes=max_bytes, mark="[cut]")
    assert len(short.encode()) <= max_bytes
    assert short == text or text.startswith(short.removesuffix("[cut]"))
