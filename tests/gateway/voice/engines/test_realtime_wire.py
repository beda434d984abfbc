"""What we say to a Realtime server, as its vendor's types and rules want it."""

import json

import pytest
from openai.types.realtime import (
    ConversationItemCreateEvent,
    ConversationItemTruncateEvent,
    ResponseCreateEvent,
    SessionUpdateEvent,
)

from agents.model import ToolDefinition
from gateway.simulator.openai_realtime_wire import session_problem
from gateway.voice.engines import realtime_wire as wire
from gateway.voice.engines.base import PastItem, Setup

TOOL = ToolDefinition(name="find_slots", description="Freie Zeiten", parameters={"type": "object", "properties": {}})


def setup(**changes: object) -> Setup:
    given: dict[str, object] = {"instructions": "Du bist Lina.", "voice": "marin", "language": "de-DE", **changes}
    return Setup(**given)  # type: ignore[arg-type]  # by name


def told(**changes: object) -> dict[str, object]:
    message = json.loads(wire.session_update(setup(**changes), transcription_model="gpt-4o-mini-transcribe"))
    assert message["type"] == "session.update"
    SessionUpdateEvent.model_validate(message)
    assert session_problem(message["session"], model="gpt-realtime", voice_in_use=None) is None
    session: dict[str, object] = message["session"]
    return session


def test_a_session_is_telephone_audio_both_ways_without_a_rate() -> None:
    audio = told()["audio"]
    assert isinstance(audio, dict)
    assert audio["input"]["format"] == {"type": "audio/pcmu"}
    assert audio["output"]["format"] == {"type": "audio/pcmu"}


def test_a_session_is_what_it_was_set_up_for() -> None:
    session = told(tools=[TOOL], voice="cedar", speed=1.1, noise="far_field")
    assert session["instructions"] == "Du bist Lina."
    assert session["output_modalities"] == ["audio"]
    assert session["tools"] == [
        {
            "type": "function",
            "name": "find_slots",
            "description": "Freie Zeiten",
            "parameters": {"type": "object", "properties": {}},
        }
    ]
    assert session["audio"]["output"]["voice"] == "cedar"  # type: ignore[index]
    assert session["audio"]["output"]["speed"] == 1.1  # type: ignore[index]
    assert session["audio"]["input"]["noise_reduction"] == {"type": "far_field"}  # type: ignore[index]
    assert session["audio"]["input"]["transcription"] == {"model": "gpt-4o-mini-transcribe", "language": "de"}  # type: ignore[index]


def test_noise_stays_where_the_owner_wants_it() -> None:
    assert told(noise="none")["audio"]["input"]["noise_reduction"] is None  # type: ignore[index]


@pytest.mark.parametrize("interrupts_itself", [True, False])
def test_who_interrupts_is_said_and_answers_come_by_themselves(*, interrupts_itself: bool) -> None:
    detection = told(interrupts_itself=interrupts_itself)["audio"]["input"]["turn_detection"]  # type: ignore[index]
    assert detection["type"] == "server_vad"
    assert detection["create_response"] is True
    assert detection["interrupt_response"] is interrupts_itself


def test_audio_passes_as_it_came() -> None:
    assert json.loads(wire.audio_append("f39/f38=") or "") == {
        "type": "input_audio_buffer.append",
        "audio": "f39/f38=",
    }


@pytest.mark.parametrize("payload", ['x"}', "x\\"])
def test_what_would_break_out_of_its_message_is_not_passed_on(payload: str) -> None:
    assert wire.audio_append(payload) is None


def test_the_past_is_told_in_order_and_a_tool_is_its_call_and_its_result() -> None:
    past = [
        PastItem(kind="agent", text="Guten Tag."),
        PastItem(kind="customer", text="Ist morgen frei?"),
        PastItem(
            kind="tool", text="15:00", tool_name="find_slots", tool_arguments='{"day":"x"}', tool_call_id="call_1"
        ),
    ]
    messages = [json.loads(message) for message in wire.past_items(past)]
    for message in messages:
        ConversationItemCreateEvent.model_validate(message)
    assert [message["item"] for message in messages] == [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Guten Tag."}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Ist morgen frei?"}]},
        {"type": "function_call", "name": "find_slots", "arguments": '{"day":"x"}', "call_id": "call_1"},
        {"type": "function_call_output", "call_id": "call_1", "output": "15:00"},
    ]


def test_a_note_is_the_systems_and_keys_are_the_callers() -> None:
    assert json.loads(wire.note("Fasse dich kurz."))["item"]["role"] == "system"
    assert json.loads(wire.customer_words("Tasten: 1 2"))["item"] == {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "Tasten: 1 2"}],
    }


def test_an_answer_is_asked_for_with_and_without_instructions() -> None:
    plain, told_how = json.loads(wire.respond(None)), json.loads(wire.respond("Begrüße"))
    ResponseCreateEvent.model_validate(told_how)
    assert plain == {"type": "response.create"}
    assert told_how == {"type": "response.create", "response": {"instructions": "Begrüße"}}


def test_a_cut_names_item_part_and_time() -> None:
    message = json.loads(wire.truncate("item_1", 1, 2650))
    ConversationItemTruncateEvent.model_validate(message)
    assert message == {
        "type": "conversation.item.truncate",
        "item_id": "item_1",
        "content_index": 1,
        "audio_end_ms": 2650,
    }


def test_a_tools_result_with_signs_that_utf_8_lacks_can_still_be_sent() -> None:
    message = wire.tool_result("call_1", "kaputt \ud83d 😊")
    assert message.encode()
    assert json.loads(message)["item"]["output"] == "kaputt \ufffd 😊"
