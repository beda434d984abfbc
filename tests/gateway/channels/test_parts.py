"""Long texts are cut where a reader would pause, and never inside what a person sees as one character."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.channels.parts import CUT_MARK, cut_to_fit, shorten, split

FAMILY = "👨‍👩‍👧‍👦"
THUMB = "👍🏽"
FLAG = "🇩🇪"
SCOTLAND = "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
DECOMPOSED = "a\u0308"
KEYCAP = "1\ufe0f\u20e3"
HANGUL = "\u1112\u1161\u11ab"
CHARACTERS = [FAMILY, THUMB, FLAG, SCOTLAND, DECOMPOSED, KEYCAP, HANGUL, "x", "ß", "😀"]


def words(text: str) -> int:
    return len(text.split())


def in_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def test_a_text_that_fits_stays_one_part() -> None:
    assert split("Guten Tag.\n\nBis bald", chars_max=40, parts_max=3) == ("Guten Tag.\n\nBis bald",)
    assert split("x" * 40, chars_max=40, parts_max=3) == ("x" * 40,)


def test_one_character_too_many_makes_a_second_part() -> None:
    assert split("x" * 41, chars_max=40, parts_max=3) == ("x" * 40, "x")


def test_a_blank_text_has_no_parts() -> None:
    assert split("", chars_max=40, parts_max=3) == split(" \n\t", chars_max=40, parts_max=3) == ()


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Erster Absatz, ein Satz. Noch.\n\nZweiter\nmit Zeile. Und Satz hier", "Erster Absatz, ein Satz. Noch."),
        ("Erste Zeile. Ein Satz mehr hier\nZweite Zeile. Satz", "Erste Zeile. Ein Satz mehr hier"),
        ('Ein Satz. Er sagte: "Nein, nein!" Dann ging er weg', 'Ein Satz. Er sagte: "Nein, nein!"'),
        ("viele Wörter ohne ein Ende und immer weiter so fort", "viele Wörter ohne ein Ende und immer"),
    ],
    ids=["paragraph", "line", "sentence", "word"],
)
def test_a_part_ends_at_the_best_place_near_its_end(text: str, first: str) -> None:
    assert split(text, chars_max=40, parts_max=3)[0] == first


def test_a_good_place_is_passed_over_if_the_rest_would_not_fit_then() -> None:
    text = "a" * 25 + "\n\n" + "b" * 93
    parts = split(text, chars_max=40, parts_max=3)
    assert "".join(parts).replace("\n", "") == "a" * 25 + "b" * 93


def test_what_is_too_much_for_all_parts_ends_with_a_mark() -> None:
    parts = split("Ein Satz, der sehr gut passt hier. " * 20, chars_max=40, parts_max=3)
    assert len(parts) == 3
    assert parts[-1].endswith(f". {CUT_MARK}")


@pytest.mark.parametrize("character", CHARACTERS)
@pytest.mark.parametrize("offset", range(4))
def test_a_character_of_several_code_points_stays_whole(character: str, offset: int) -> None:
    text = "-" * offset + character * 30
    parts = split(text, chars_max=40, parts_max=99)
    assert "".join(parts) == text
    assert all(part.strip("-") == character * (len(part.strip("-")) // len(character)) for part in parts)


def test_a_character_longer_than_a_part_is_cut_all_the_same() -> None:
    text = "z" + "\u0301" * 100
    assert "".join(split(text, chars_max=40, parts_max=3)) == text


@given(st.lists(st.sampled_from([*CHARACTERS, " ", "\n", "\n\n", ". ", "Wort"]), max_size=300), st.integers(20, 60))
def test_nothing_but_space_is_lost_and_every_limit_holds(pieces: list[str], chars_max: int) -> None:
    text = "".join(pieces)
    parts = split(text, chars_max=chars_max, parts_max=3)
    assert len(parts) <= 3
    assert all(part.strip() and len(part) <= chars_max for part in parts)
    sent = "".join("".join(parts).split())
    if not sent.endswith(CUT_MARK):
        assert sent == "".join(text.split())
    else:
        assert "".join(text.split()).startswith(sent.removesuffix(CUT_MARK))


def test_parts_that_can_be_afforded_stay_as_they_are() -> None:
    assert shorten(("eins zwei", "drei"), max_tokens=3, count_tokens=words) == ("eins zwei", "drei")


def test_the_last_part_is_shortened_first() -> None:
    parts = ("eins zwei drei", "vier fünf sechs sieben", "acht")
    assert shorten(parts, max_tokens=6, count_tokens=words) == ("eins zwei drei", "vier fünf …")
    assert shorten(parts, max_tokens=4, count_tokens=words) == ("eins zwei drei …",)
    assert shorten(parts, max_tokens=3, count_tokens=words) == ("eins zwei …",)


def test_a_shortened_part_ends_with_its_last_whole_sentence_if_one_ends_near() -> None:
    text = "Wir haben offen. Am Dienstag ab neun Uhr und am Mittwoch. Danach leider nicht mehr bis Januar"
    assert (
        cut_to_fit(text, lambda part: len(part) <= 70) == "Wir haben offen. Am Dienstag ab neun Uhr und am Mittwoch. …"
    )


def test_what_cannot_be_afforded_at_all_is_not_sent() -> None:
    assert shorten(("eins",), max_tokens=0, count_tokens=words) == ()
    assert shorten((), max_tokens=5, count_tokens=words) == ()


def test_one_token_buys_a_character() -> None:
    assert shorten(("Hallo",), max_tokens=1, count_tokens=len) == ("H",)


@given(
    st.lists(st.text(min_size=1, max_size=60), max_size=3),
    st.integers(0, 200),
    st.sampled_from([words, len, in_bytes, lambda text: len(text) % 7 + len(text) // 3]),
)
def test_shortened_parts_never_cost_more_and_are_never_empty(
    parts: list[str], max_tokens: int, count_tokens: Callable[[str], int]
) -> None:
    kept = shorten(tuple(parts), max_tokens=max_tokens, count_tokens=count_tokens)
    assert sum(count_tokens(part) for part in kept) <= max_tokens
    assert all(part for part in kept)
    assert len(kept) <= len(parts)
