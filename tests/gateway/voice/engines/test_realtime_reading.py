"""What a Realtime server tells, read from messages as its vendor documents them."""

import base64
import json

import pytest

from gateway.voice.engines import realtime_reading as reading
from gateway.voice.engines.base import (
    AudioDelta,
    AudioDone,
    Event,
    HeardText,
    ResponseEnded,
    ResponseStarted,
    SpeechStarted,
    SpeechStopped,
    SpokenText,
    ToolAsked,
    Trouble,
)

PLACE = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0, "event_id": "event_1"}


def events(kind: str, **fields: object) -> tuple[Event, ...]:
    return reading.events_of(reading.read(json.dumps({"type": kind, **fields}).encode()))


def done(**response: object) -> tuple[Event, ...]:
    return events("response.done", response={"id": "resp_1", "object": "realtime.response", **response})


def test_the_caller_begins_and_stops() -> None:
    assert events("input_audio_buffer.speech_started", audio_start_ms=512, item_id="item_1") == (SpeechStarted(),)
    assert events("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="item_1") == (SpeechStopped(),)


def test_an_answer_is_audio_and_words() -> None:
    audio = bytes(range(256))
    delta = base64.b64encode(audio).decode()
    assert events("response.created", response={"id": "resp_1"}) == (ResponseStarted(response_id="resp_1"),)
    assert events("response.output_audio.delta", **{**PLACE, "content_index": 1}, delta=delta) == (
        AudioDelta(response_id="resp_1", item_id="item_1", content_index=1, audio=audio),
    )
    assert events("response.output_audio.done", **PLACE) == (AudioDone(item_id="item_1", content_index=0),)
    assert events("response.output_audio_transcript.delta", **PLACE, delta="Guten ") == (
        SpokenText(item_id="item_1", text="Guten ", is_final=False),
    )
    assert events("response.output_audio_transcript.done", **PLACE, transcript="Guten Tag.") == (
        SpokenText(item_id="item_1", text="Guten Tag.", is_final=True),
    )


def test_what_the_caller_said_comes_with_what_hearing_it_took() -> None:
    usage = {"type": "tokens", "input_tokens": 20, "output_tokens": 4, "total_tokens": 24}
    kind = "conversation.item.input_audio_transcription.completed"
    assert events(kind, item_id="item_1", content_index=0, transcript="Ja, gern.\n", usage=usage) == (
        HeardText(item_id="item_1", text="Ja, gern.", usage=usage),
    )


def test_words_that_could_not_be_understood_are_none() -> None:
    kind = "conversation.item.input_audio_transcription.failed"
    error = {"type": "transcription_error", "code": "audio_unintelligible"}
    assert events(kind, item_id="item_1", content_index=0, error=error) == (HeardText(item_id="item_1", text=""),)


CALL = {"type": "function_call", "id": "item_2", "call_id": "call_1", "name": "book", "arguments": '{"at":"15:00"}'}


def test_a_tool_is_asked_for_when_its_call_is_complete() -> None:
    assert events("response.output_item.done", response_id="resp_1", item={**CALL, "status": "completed"}) == (
        ToolAsked(response_id="resp_1", tool_call_id="call_1", name="book", arguments='{"at":"15:00"}'),
    )


@pytest.mark.parametrize("item", [{**CALL, "status": "incomplete"}, {"type": "message", "status": "completed"}, None])
def test_a_call_that_was_interrupted_is_not_asked_for(item: object) -> None:
    assert events("response.output_item.done", response_id="resp_1", item=item) == ()


@pytest.mark.parametrize(
    ("status", "details", "reason"),
    [
        ("completed", {"type": "completed"}, ""),
        ("cancelled", {"type": "cancelled", "reason": "turn_detected"}, "turn_detected"),
        ("cancelled", {"type": "cancelled", "reason": "client_cancelled"}, "client_cancelled"),
        ("incomplete", {"type": "incomplete", "reason": "max_output_tokens"}, "max_output_tokens"),
        ("failed", {"type": "failed", "error": {"type": "server_error", "code": None}}, "server_error"),
        ("failed", {"type": "failed", "error": {"code": "rate_limit_exceeded"}}, "rate_limit_exceeded"),
        ("failed", None, ""),
    ],
)
def test_an_answer_ends_in_one_of_four_ways(status: str, details: object, reason: str) -> None:
    usage = {"total_tokens": 30, "input_token_details": {"cached_tokens": 5}}
    assert done(status=status, status_details=details, usage=usage) == (
        ResponseEnded(response_id="resp_1", status=status, reason=reason, usage=usage),  # type: ignore[arg-type]  # as parametrized
    )


def test_an_end_that_nobody_knows_is_a_failure() -> None:
    assert done(status="evaporated") == (ResponseEnded(response_id="resp_1", status="failed"),)


def test_an_answer_that_failed_for_want_of_money_is_fatal() -> None:
    ended, trouble = done(status="failed", status_details={"error": {"code": "insufficient_quota"}})
    assert ended == ResponseEnded(response_id="resp_1", status="failed", reason="insufficient_quota")
    assert trouble == Trouble(code="insufficient_quota", severity="fatal")


@pytest.mark.parametrize(
    ("code", "severity"),
    [
        ("insufficient_quota", "fatal"),
        ("invalid_api_key", "fatal"),
        ("account_deactivated", "fatal"),
        ("billing_hard_limit_reached", "fatal"),
        ("model_not_found", "fatal"),
        ("response_cancel_not_active", "harmless"),
        ("conversation_already_has_active_response", "error"),
        ("invalid_value", "error"),
        ("something_new", "error"),
    ],
)
def test_an_error_is_sorted_by_its_code(code: str, severity: str) -> None:
    error = {"type": "invalid_request_error", "code": code, "message": "Audio content of 2650ms is already shorter"}
    assert events("error", error=error) == (Trouble(code=code, severity=severity),)  # type: ignore[arg-type]  # as parametrized


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"type": "server_error", "code": None, "message": "x"}, "server_error"),
        ({"code": "Erika sagte ihre Nummer"}, "unknown"),
        ({"code": 7}, "unknown"),
        ("x", "unknown"),
        (None, "unknown"),
    ],
)
def test_only_what_looks_like_a_code_passes_for_one(error: object, code: str) -> None:
    assert events("error", error=error) == (Trouble(code=code, severity="error"),)


def test_an_expired_session_is_lost() -> None:
    (trouble,) = events("error", error={"code": "session_expired"})
    assert isinstance(trouble, Trouble)
    assert reading.is_lost(trouble)
    assert not reading.is_lost(Trouble(code="invalid_value", severity="error"))


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"\xff\xfe",
        b"{}",
        b'{"type": 7}',
        b'{"type": "rate_limits.updated", "rate_limits": []}',
        b'{"type": "conversation.item.truncated", "audio_end_ms": 5}',
        b'{"type": "response.output_audio.delta", "delta": "!"}',
        b'{"type": "response.output_audio.delta", "delta": "AAA"}',
    ],
)
def test_what_is_unknown_or_unreadable_is_nothing(message: bytes) -> None:
    assert reading.events_of(reading.read(message)) == ()


def test_half_a_sign_in_a_piece_of_a_transcript_is_replaced() -> None:
    message = b'{"type": "response.output_audio_transcript.delta", "item_id": "item_1", "delta": "Gr\\ud83d\\u0000"}'
    (event,) = reading.events_of(reading.read(message))
    assert event == SpokenText(item_id="item_1", text="Gr\ufffd\ufffd", is_final=False)


def test_when_a_session_ends_is_read_if_it_is_said() -> None:
    assert reading.expires_at_s({"type": "session.created", "session": {"expires_at": 1790000000}}) == 1790000000
    assert reading.expires_at_s({"type": "session.created", "session": {"expires_at": 0}}) is None
    assert reading.expires_at_s({"type": "session.created"}) is None
