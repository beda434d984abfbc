"""Consent words: exactly one word, nothing that people say to a business anyway."""

import pytest

from gateway.channels.base import OptOutWord
from gateway.consent import LONGEST_KEYWORD, STOP_WORDS, is_keyword, is_stop, sms_word, stopped_text


@pytest.mark.parametrize("word", sorted(STOP_WORDS))
def test_every_stop_word_stops_whatever_its_case_and_punctuation(word: str) -> None:
    assert all(is_stop(form) for form in (word, word.upper(), f" {word.title()}! ", f'"{word}".'))


@pytest.mark.parametrize("text", ["OPT-OUT", "STOP 🛑", "\uff33\uff34\uff2f\uff30", "stop\n", "\u200fSTOP", "*STOP*"])
def test_a_stop_word_is_known_in_other_writings(text: str) -> None:
    assert is_stop(text)


@pytest.mark.parametrize(
    "text",
    [
        "CANCEL",
        "END",
        "QUIT",
        "YES",
        "START",
        "Opt out",
        "Ja",
        "Nein",
        "HELP",
        "Stornieren",
        "STOP bitte",
        "Stop, ich habe eine Frage",
        "non-stop",
        "nonstop",
        "Stopper",
        "",
        "!!!",
        "🛑",
        "-",
        "stop" + " " * LONGEST_KEYWORD,
    ],
)
def test_ordinary_talk_says_nothing_about_consent(text: str) -> None:
    assert not is_stop(text)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("STOP STOPALL UNSUBSCRIBE CANCEL END QUIT REVOKE OPTOUT", "stop"),
        ("START YES UNSTOP", "start"),
        ("HELP INFO", "help"),
    ],
)
def test_sms_knows_twilios_keywords_in_any_case_with_blanks_around_them(words: str, meant: OptOutWord) -> None:
    for word in words.split():
        assert {sms_word(form) for form in (word, word.lower(), word.title(), f" {word}\r\n", f"\t{word}\u00a0")} == {
            meant
        }


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "STOP PLEASE",
        "Stop.",
        "STOP!",
        "STOPP",
        "Abmelden",
        "opt-out",
        "opt out",
        "YES YES",
        "Ja",
        "the end",
        "\uff33\uff34\uff2f\uff30",
        "\u017ftop",
        "STOP 🛑",
    ],
)
def test_what_twilio_lets_pass_is_no_keyword_on_sms(text: str) -> None:
    assert sms_word(text) is None


def test_a_keyword_is_the_whole_message() -> None:
    keywords = ["Mensch", "mit Mitarbeiter sprechen"]
    assert is_keyword("mensch!", keywords)
    assert is_keyword("Mit  Mitarbeiter sprechen.", keywords)
    assert not is_keyword("Mensch, das ist ja toll", keywords)
    assert not is_keyword("", ["", "Mensch"])
    assert not is_keyword("mensch", [])


def test_the_confirmation_speaks_the_agents_language() -> None:
    assert "keine weiteren Nachrichten" in stopped_text("de-AT")
    assert "no further messages" in stopped_text("en")
