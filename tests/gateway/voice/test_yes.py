"""Consent to be recorded: a plain yes is one, everything else is a no."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.texts import Language
from gateway.voice.yes import is_yes

YES = {
    "de": [
        "Ja.",
        "Ja, gerne!",
        "Ja klar, das ist in Ordnung.",
        "Kein Problem",
        "Ich habe nichts dagegen.",
        "Okay, gut",
    ],
    "en": ["Yes", "Yes, please.", "That\u2019s fine.", "Sure, go ahead", "I agree", "No problem!", "Of course"],
}
NO = {
    "de": [
        "",
        "Nein",
        "Ja, nein.",
        "Ja?",
        "Ist das okay?",
        "Ja, aber nicht alles",
        "Das ist nicht in Ordnung",
        "Ich bin nicht einverstanden",
        "Ja, ich hätte gern einen Termin",
        "Hm",
        "Gut",
        "Yes",
        "Bitte",
    ],
    "en": [
        "",
        "No",
        "Yes and no",
        "Of course not",
        "I do not agree",
        "not okay",
        "Can I book a table?",
        "please",
        "Ja",
    ],
}


@pytest.mark.parametrize(("language", "text"), [(language, text) for language in YES for text in YES[language]])
def test_a_plain_yes_is_consent(language: Language, text: str) -> None:
    assert is_yes(text, language)


@pytest.mark.parametrize(("language", "text"), [(language, text) for language in NO for text in NO[language]])
def test_anything_else_is_none(language: Language, text: str) -> None:
    assert not is_yes(text, language)


@pytest.mark.parametrize("language", ["de", "en"])
def test_of_the_keys_only_one_is_a_yes(language: Language) -> None:
    assert [key for key in "0123456789*#" if is_yes(key, language)] == ["1"]


@given(st.sampled_from(["nicht", "nein", "kein", "never", "don't", "not", "no", "ohne", "lieber"]), st.data())
def test_a_word_of_refusal_in_it_is_never_consent(word: str, data: st.DataObject) -> None:
    language: Language = data.draw(st.sampled_from(["de", "en"]))
    words = data.draw(st.sampled_from(YES[language])).split()
    place = data.draw(st.integers(0, len(words)))
    said = " ".join([*words[:place], word, *words[place:]])
    phrases = ("no problem", "kein problem")
    if not any(phrase in said.lower() for phrase in phrases):
        assert not is_yes(said, language)


@given(st.text(max_size=60))
def test_any_text_has_an_answer(text: str) -> None:
    assert is_yes(text, "de") in (True, False)
