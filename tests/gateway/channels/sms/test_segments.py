"""Segments as they are billed: at every boundary, and never fewer than the network needs."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.channels.sms.segments import BASIC, EXTENSION, Segments, count_segments
from tests.gateway.channels.sms.sample_texts import sample_texts

# Where the vendor's calculator counts otherwise, and why (docs/decisions/0007-segments.md).
NOTHING_IS_SENT = {"boundary/50"}


def test_every_sample_text_counts_as_the_vendors_calculator_says() -> None:
    for row in sample_texts():
        counted = count_segments(row["text"])
        segments = 0 if row["id"] in NOTHING_IS_SENT else row["segments"]
        assert counted == Segments(row["encoding"], row["units"], segments), row["id"]


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("", Segments("GSM-7", 0, 0)),
        ("a", Segments("GSM-7", 1, 1)),
        ("a" * 160, Segments("GSM-7", 160, 1)),
        ("a" * 161, Segments("GSM-7", 161, 2)),
        ("a" * 306, Segments("GSM-7", 306, 2)),
        ("a" * 307, Segments("GSM-7", 307, 3)),
        ("a" * 1600, Segments("GSM-7", 1600, 11)),
        ("ä" * 70, Segments("GSM-7", 70, 1)),
        ("ç" * 70, Segments("UCS-2", 70, 1)),
        ("ç" * 71, Segments("UCS-2", 71, 2)),
        ("ç" * 134, Segments("UCS-2", 134, 2)),
        ("ç" * 135, Segments("UCS-2", 135, 3)),
        ("ç" * 1600, Segments("UCS-2", 1600, 24)),
        ("€" * 80, Segments("GSM-7", 160, 1)),
        ("😀" * 35, Segments("UCS-2", 70, 1)),
        ("\r\n", Segments("GSM-7", 2, 1)),
        ("\x1b", Segments("UCS-2", 1, 1)),  # the escape itself is no character
        ("\ud83d", Segments("UCS-2", 1, 1)),
    ],
)
def test_boundaries(text: str, counted: Segments) -> None:
    assert count_segments(text) == counted


def test_what_takes_two_units_is_never_split() -> None:
    assert count_segments("]" * 153) == Segments("GSM-7", 306, 3)  # as Twilio's live network counts them
    assert count_segments("a" * 152 + "€" + "a" * 152) == Segments("GSM-7", 306, 3)
    assert count_segments("a" * 151 + "€" + "a" * 153) == Segments("GSM-7", 306, 2)
    assert count_segments("😀" * 67) == Segments("UCS-2", 134, 3)
    assert count_segments("ç" * 66 + "😀" + "ç" * 66) == Segments("UCS-2", 134, 3)


def test_an_extension_character_costs_one_unit_once_the_text_is_ucs2() -> None:
    assert count_segments("ç" + "€" * 69) == Segments("UCS-2", 70, 1)


@pytest.mark.parametrize("char", ["ç", "á", "í", "ó", "ú", "`", "\t", "\xa0", "\u2019", "\u2014", "\u0391", "\u2126"])
def test_what_looks_like_it_but_is_not_in_the_tables_is_ucs2(char: str) -> None:
    assert count_segments(char).encoding == "UCS-2"


def test_the_tables_are_those_of_the_standard() -> None:
    assert (len(BASIC), len(EXTENSION)) == (127, 10)  # 128 places, one of them the escape


gsm7 = st.text(st.sampled_from(sorted(BASIC)) | st.sampled_from(sorted(EXTENSION)), max_size=700)
any_text = st.text(st.sampled_from("aä€ç") | st.sampled_from("😀🂡") | st.characters(), max_size=300)
long_text = st.builds(lambda text, times: text * times, any_text, st.integers(1, 30))
texts = gsm7 | any_text | long_text


@given(texts)
def test_a_packing_of_whole_characters_agrees(text: str) -> None:
    """Pack by the letter of the rules: the characters as lists of units, segment after segment."""
    if all(char in BASIC or char in EXTENSION for char in text):
        characters = ["\x1b" + char if char in EXTENSION else char for char in text]
        single, most = 160, 153
    else:
        characters = ["ab"[: len(char.encode("utf-16-le", "surrogatepass")) // 2] for char in text]
        single, most = 70, 67
    if len("".join(characters)) <= single:
        packed = ["".join(characters)] if characters else []
    else:
        packed = [""]
        for units in characters:
            if len(packed[-1] + units) > most:
                packed.append("")
            packed[-1] += units
    counted = count_segments(text)
    assert (counted.units, counted.segments) == (len("".join(packed)), len(packed))


@given(texts)
def test_division_is_a_lower_bound_that_pairs_may_exceed(text: str) -> None:
    counted = count_segments(text)
    single, most = (160, 153) if counted.encoding == "GSM-7" else (70, 67)
    lowest = math.ceil(counted.units / most) if counted.units > single else min(counted.units, 1)
    assert lowest <= counted.segments <= math.ceil(counted.units / (most - 1))


@given(texts, texts)
def test_more_text_never_costs_less(beginning: str, more: str) -> None:
    assert count_segments(beginning).segments <= count_segments(beginning + more).segments


@given(gsm7, gsm7)
def test_two_texts_of_one_encoding_cost_at_most_one_more_together(first: str, second: str) -> None:
    apart = count_segments(first).segments + count_segments(second).segments
    assert count_segments(first + second).segments <= apart + 1


@given(any_text, st.integers(0, 300))
def test_nothing_is_free_but_nothing(text: str, place: int) -> None:
    assert (count_segments(text[:place]).segments == 0) == (not text[:place])
