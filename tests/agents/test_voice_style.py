"""How an agent is on the phone: what an owner may choose, what is said if they choose nothing."""

import json
from collections.abc import Mapping

import pytest

from agents.agent import dump_agent, parse_agent
from agents.errors import ConfigurationError
from agents.parts import VoiceStyle
from agents.texts import DEFAULT_FILLERS, VOICE_TEXTS

BASE: Mapping[str, object] = {"name": "Rezeption", "instructions": "Hilf den Kunden."}
EVERYTHING: Mapping[str, object] = {
    "engine": "conversation_relay",
    "voice": "cedar",
    "speed": 1.2,
    "interruptible_greeting": False,
    "min_interrupt_ms": 250,
    "idle_prompt_s": 8,
    "idle_end_after": 3,
    "max_minutes": 5,
    "transfer_to": "+49301234567",
    "transfer_timeout_s": 20,
    "when_unavailable": "forward",
    "when_credits_end": "forward",
    "recording": "ask",
    "noise": "far_field",
    "goodbye_text": "Tschüss!",
    "filler_texts": ["Moment."],
}


def problems_of(voice: object) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_agent({**BASE, "voice": voice})
    return list(caught.value.problems)


@pytest.mark.parametrize("language", ["de", "en"])
def test_an_agent_without_a_word_about_the_phone_speaks_in_its_own_language(language: str) -> None:
    agent = parse_agent({**BASE, "language": language})
    for name, texts in VOICE_TEXTS.items():
        assert getattr(agent.voice, name) == texts["de" if language == "de" else "en"]
    assert agent.voice.filler_texts == DEFAULT_FILLERS["de" if language == "de" else "en"]
    assert "voice" not in dump_agent(agent)


def test_everything_that_can_be_chosen_comes_back_as_it_was_written() -> None:
    agent = parse_agent({**BASE, "voice": EVERYTHING})
    assert dump_agent(agent) == {**BASE, "voice": EVERYTHING}
    assert parse_agent(json.loads(json.dumps(dump_agent(agent)))) == agent


def test_what_was_stored_with_a_version_is_read_as_it_was() -> None:
    agent = parse_agent({**BASE, "voice": EVERYTHING})
    assert parse_agent(json.loads(agent.model_dump_json(by_alias=True))) == agent


def test_an_empty_wording_is_ours_and_an_empty_list_of_fillers_is_silence() -> None:
    agent = parse_agent({**BASE, "voice": {"idle_text": " ", "filler_texts": []}})
    assert agent.voice.idle_text == VOICE_TEXTS["idle_text"]["de"]
    assert agent.voice.filler_texts == ()
    assert parse_agent(dump_agent(agent)) == agent


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+49 30 1234567", "+49301234567"),
        ("0049 (30) 123-4567", "+49301234567"),
        ("+43/1/234.56.78", "+4312345678"),
    ],
)
def test_the_number_to_forward_to_is_kept_as_e164(written: str, number: str) -> None:
    assert parse_agent({**BASE, "voice": {"transfer_to": written}}).voice.transfer_to == number


@pytest.mark.parametrize("written", ["030 7654321", "7654321", "+0307654321", "+49 30 76543211234567", "Inge"])
def test_what_is_no_number_with_a_country_code_is_refused_without_repeating_it(written: str) -> None:
    assert problems_of({"transfer_to": written}) == [
        'agent "Rezeption": voice, transfer_to: must be a number with its country code, like "+49 30 1234567"'
    ]


def test_calls_are_not_forwarded_to_special_rates() -> None:
    assert problems_of({"transfer_to": "+49 900 1234567"}) == [
        'agent "Rezeption": voice, transfer_to: is a special-rate number; calls are not forwarded to such'
    ]


@pytest.mark.parametrize(
    ("voice", "problem"),
    [
        ({"when_unavailable": "forward"}, 'voice: when_unavailable: "forward" needs a number in transfer_to'),
        ({"when_credits_end": "forward"}, 'voice: when_credits_end: "forward" needs a number in transfer_to'),
        ({"vioce": "marin"}, 'voice, vioce: is not a known setting; did you mean "voice"?'),
        ({"min_interrupt_ms": 1001}, "voice, min_interrupt_ms: must be at most 1000"),
        ({"max_minutes": 0}, "voice, max_minutes: must be at least 1"),
        ({"max_minutes": 2.5}, "voice, max_minutes: must be a whole number"),
        ({"speed": "fast"}, "voice, speed: must be a number"),
        ({"speed": True}, "voice, speed: must be a number"),
        ({"filler_texts": ["a", "b", "c"]}, "voice, filler_texts: has more than 2 entries"),
        ({"recording": "always"}, "voice, recording: must be one of 'none' or 'ask'"),
        ("loud", "voice: must be a table"),
    ],
)
def test_what_cannot_be_is_said_with_its_place(voice: object, problem: str) -> None:
    assert problems_of(voice) == [f'agent "Rezeption": {problem}']


def test_the_shipped_style_forwards_and_records_nothing() -> None:
    style = VoiceStyle()
    assert (style.transfer_to, style.recording, style.when_credits_end) == (None, "none", "hang_up")
