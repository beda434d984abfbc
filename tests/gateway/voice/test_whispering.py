"""What a person hears before a caller: who it is and for what business, in the agent's language."""

from typing import Any

from agents.agent import parse_agent
from gateway.voice.legs.whispering import whisper_text


def words(language: str = "de", *, own: str = "", **who: Any) -> str:  # noqa: ANN401 - arguments
    configuration = parse_agent(
        {"name": "R", "instructions": "Du bist.", "language": language, "voice": {"whisper_text": own}}
    )
    return whisper_text(configuration, **{"business": "Salon Lindenhof", "contact_name": "", "caller": None, **who})


def test_a_caller_with_a_name_is_named() -> None:
    said = words(contact_name="Anna Weber", caller="+491700000101")
    assert said.startswith("Anna Weber ruft Salon Lindenhof an. ")
    assert "Drücken Sie die Eins" in said
    assert "491" not in said


def test_a_number_is_said_digit_by_digit() -> None:
    assert words(caller="+4917012").startswith("Die Nummer plus 4 9 1, 7 0 1, 2 ruft Salon Lindenhof an. ")


def test_a_withheld_number_is_said_to_be_one() -> None:
    assert words().startswith("Jemand mit unterdrückter Nummer ruft Salon Lindenhof an. ")


def test_an_english_agent_whispers_in_english_and_with_the_owners_words() -> None:
    assert (
        words("en", own="Press one, please.", contact_name="Ann")
        == "Ann is calling Salon Lindenhof. Press one, please."
    )


def test_a_name_without_end_is_cut() -> None:
    assert len(words(contact_name="x" * 200)) < 250
