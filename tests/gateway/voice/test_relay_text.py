"""What the model writes becomes what a voice reads, sentence by sentence, within what is paid."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.voice.relay.text import cut_to, sentences, spoken, spoken_ms


def words(text: str) -> int:
    return len(text.split())


def test_markup_is_not_read_aloud() -> None:
    assert spoken("**Ja**, _gern_.\n\n- um neun Uhr\n- um elf Uhr\n") == "Ja, gern. um neun Uhr. um elf Uhr"


def test_a_link_is_read_without_what_nobody_says() -> None:
    assert spoken("Mehr steht auf https://www.salon.example.") == "Mehr steht auf salon.example."


def test_a_text_of_nothing_but_markup_is_nothing() -> None:
    assert spoken("***\n---\n") == ""


def test_sentences_are_spoken_one_after_another() -> None:
    text = "Ein Haarschnitt kostet 42 Euro. Möchten Sie einen Termin? Dann sagen Sie mir bitte den Tag."
    assert sentences(text) == (
        "Ein Haarschnitt kostet 42 Euro. ",
        "Möchten Sie einen Termin? ",
        "Dann sagen Sie mir bitte den Tag.",
    )


def test_an_abbreviation_is_no_sentence() -> None:
    assert sentences("Wir haben z. B. noch am Dienstag um neun Uhr etwas frei.") == (
        "Wir haben z. B. noch am Dienstag um neun Uhr etwas frei.",
    )


@given(st.text())
def test_the_pieces_of_a_text_are_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text


def test_a_text_that_is_paid_is_said_whole() -> None:
    assert cut_to("Guten Tag, Frau Kern.", 4, words) == "Guten Tag, Frau Kern."


def test_a_text_that_is_not_paid_ends_with_the_last_word_that_is() -> None:
    assert cut_to("Guten Tag, Frau Kern.", 3, words) == "Guten Tag, Frau"
    assert cut_to("Guten Tag, Frau Kern.", 0, words) == ""
    assert cut_to("", 3, words) == ""


@given(st.text(), st.integers(min_value=-1, max_value=20))
def test_nothing_is_said_beyond_what_is_paid(text: str, tokens_max: int) -> None:
    cut = cut_to(text, tokens_max, len)
    assert text.startswith(cut)
    assert len(cut) <= max(0, tokens_max)


def test_speaking_takes_time() -> None:
    assert spoken_ms("") == 0
    assert 1_000 < spoken_ms("Guten Tag, Salon Lindenhof.") < 3_000
