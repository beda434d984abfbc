"""That one talks to a machine: it can be worded as one likes, and cannot be left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.agent import AgentConfiguration, parse_agent
from agents.disclosure import names_a_machine, opening_text, with_disclosure
from agents.errors import ConfigurationError
from agents.texts import DEFAULT_TEXTS

SHIPPED = "Ich bin die digitale Assistentin (KI) dieses Betriebs."


def agent(**changes: object) -> AgentConfiguration:
    return parse_agent({"name": "Rezeption", "instructions": "Hilf.", **changes})


@pytest.mark.parametrize(
    "sentence",
    [
        *DEFAULT_TEXTS["disclosure"].values(),
        "Hier antwortet eine KI.",
        "Sie schreiben mit unserer KI-Assistentin.",
        "Ich bin kein Mensch, sondern eine KI.",
        "Kein Mensch, eine KI!",
        "Ich bin kein Mensch sondern eine KI.",
        "Not a person but AI.",
        "Keine Sorge, ich bin eine KI.",
        "Künstliche Intelligenz beantwortet Ihre Fragen.",
        "Mit Hilfe künstlicher Intelligenz.",
        "Ich bin der virtuelle Assistent.",
        "Ihr Chatbot Lina",
        "I am an AI.",
        "I am not a human but an AI assistant.",
        "A.I. speaking",
        "Your digital salon assistant",
        "This is an automated assistant.",
    ],
)
def test_a_sentence_that_names_the_machine_will_do(sentence: str) -> None:
    assert names_a_machine(sentence)
    assert agent(disclosure=sentence).disclosure == sentence


@pytest.mark.parametrize(
    "sentence",
    [
        "Ich bin Anna vom Salon.",
        "Ich bin keine KI.",
        "Hier schreibt kein Bot.",
        "Ihre Nachricht wird nicht von einer KI beantwortet.",
        "I am not an AI.",
        "I am definitely not a chatbot.",
        "This isn't an automated assistant.",
        "Willkommen im Skigebiet",
        "Herr Ai aus Kiel",
        "Bottrop",
        "Ihre Assistentin Lina",
    ],
)
def test_a_sentence_that_hides_or_denies_the_machine_will_not(sentence: str) -> None:
    assert not names_a_machine(sentence)
    with pytest.raises(ConfigurationError, match="it can be reworded, not removed"):
        agent(disclosure=sentence)


@pytest.mark.parametrize("nothing", ["", "   "])
def test_the_disclosure_cannot_be_taken_away(nothing: str) -> None:
    with pytest.raises(ConfigurationError, match="disclosure: must not be empty"):
        agent(disclosure=nothing)


def test_no_channel_can_take_it_away() -> None:
    with pytest.raises(ConfigurationError, match="disclosure: is not a known setting"):
        agent(channel={"sms": {"disclosure": ""}})
    silent = agent(channel={"sms": {"greeting": ""}}, greeting="Hallo von der KI!").on_channel("sms")
    assert with_disclosure("Ja.", silent) == f"{SHIPPED}\n\nJa."


def test_the_first_answer_begins_with_greeting_and_disclosure() -> None:
    assert with_disclosure("Gern!", agent()) == f"{SHIPPED}\n\nGern!"
    assert with_disclosure("Gern!", agent(greeting="Hallo!")) == f"Hallo! {SHIPPED}\n\nGern!"
    assert with_disclosure("", agent()) == SHIPPED


def test_a_greeting_that_discloses_is_enough() -> None:
    greeting = "Hallo, hier ist die digitale Assistentin (KI) vom Salon Lindenhof."
    assert opening_text(agent(greeting=greeting)) == greeting
    assert with_disclosure("Gern!", agent(greeting=greeting)) == f"{greeting}\n\nGern!"


@pytest.mark.parametrize(
    "text",
    [
        f"Guten Tag! {SHIPPED} Was darf es sein?",
        f"Guten Tag!\n{SHIPPED.upper()}",
        "Hallo, ich bin die KI vom Salon. Was darf es sein?",
        "Sie schreiben gerade mit einem Chatbot. Wie kann ich helfen?",
        "Hi! I'm the salon's AI assistant.",
    ],
)
def test_an_answer_that_discloses_itself_is_left_as_it_is(text: str) -> None:
    assert with_disclosure(text, agent()) == text


@pytest.mark.parametrize(
    "text",
    [
        "Ich bin keine KI, ich bin Anna.",
        "Hier ist kein Bot.",
        "Wir haben einen Termin für Ihre KI-Beratung frei.",
        "Ich bin gern für Sie da.",
        "",
    ],
)
def test_an_answer_that_only_mentions_or_denies_it_gets_the_disclosure(text: str) -> None:
    assert with_disclosure(text, agent()).startswith(SHIPPED)


def test_a_very_short_disclosure_is_not_found_inside_other_words() -> None:
    assert with_disclosure("Zum Skifahren!", agent(disclosure="KI")) == "KI\n\nZum Skifahren!"


@given(text=st.text(max_size=300), greeting=st.sampled_from(["", "Hallo!", "Hier ist die KI."]))
def test_whatever_the_model_says_the_first_answer_names_a_machine(text: str, greeting: str) -> None:
    said = with_disclosure(text, agent(greeting=greeting))
    opening = opening_text(agent(greeting=greeting))
    assert said.startswith(opening) or names_a_machine(said)
    assert names_a_machine(opening)
