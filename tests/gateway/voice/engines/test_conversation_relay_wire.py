"""Frames from Twilio as they are documented, as they were seen, and as they should never be; and our own."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.voice.engines import conversation_relay_wire as wire
from gateway.voice.engines.conversation_relay_wire import (
    Began,
    Ignored,
    Interrupted,
    Malformed,
    Played,
    Pressed,
    Prompted,
    Refused,
    Speaking,
    read,
)

SETUP = {
    "type": "setup",
    "sessionId": "VX1",
    "accountSid": "AC1",
    "parentCallSid": "",
    "callSid": "CA1",
    "from": "+491700000001",
    "to": "+4915100000001",
    "forwardedFrom": "",
    "callType": "PSTN",
    "callerName": "",
    "direction": "inbound",
    "callStatus": "RINGING",
    "customParameters": {"callReference": "bar"},
}
FIELDS = [
    "voicePrompt",
    "last",
    "lang",
    "digit",
    "callSid",
    "sessionId",
    "customParameters",
    "name",
    "value",
    "description",
    "utteranceUntilInterrupt",
    "durationUntilInterruptMs",
]


def said(**frame: object) -> object:
    return read(json.dumps(frame))


def test_setup_says_which_call_it_is() -> None:
    assert said(**SETUP) == Began(session_id="VX1", call_sid="CA1", account_sid="AC1", custom={"callReference": "bar"})


def test_setup_without_parameters_has_none() -> None:
    began = said(**{**SETUP, "customParameters": None})
    assert isinstance(began, Began)
    assert began.custom == {}


def test_a_prompt_has_the_callers_words() -> None:
    assert said(type="prompt", voicePrompt=" Was kostet das? ", lang="de-DE", last=True) == Prompted(
        text="Was kostet das?", language="de-DE", is_final=True
    )


def test_a_partial_prompt_is_not_final() -> None:
    assert said(type="prompt", voicePrompt="Was", lang="de-DE", last=False) == Prompted(
        text="Was", language="de-DE", is_final=False
    )


def test_a_prompt_that_does_not_say_whether_it_is_the_last_is_final() -> None:
    assert said(type="prompt", voicePrompt="Was", lang="de-DE") == Prompted(text="Was", language="de-DE", is_final=True)


@pytest.mark.parametrize("given_ms", [460, "460", 460.0], ids=repr)
def test_the_time_until_an_interrupt_is_read_as_number_and_as_text(given_ms: object) -> None:
    assert said(
        type="interrupt", utteranceUntilInterrupt="Life is a complex set of", durationUntilInterruptMs=given_ms
    ) == Interrupted(heard="Life is a complex set of", after_ms=460)


@pytest.mark.parametrize("nonsense", [None, "", "soon", -1, "-1", True, "9" * 30, [], 1e300, float("nan")], ids=repr)
def test_an_interrupt_without_a_time_is_an_interrupt_all_the_same(nonsense: object) -> None:
    event = said(type="interrupt", utteranceUntilInterrupt="Life", durationUntilInterruptMs=nonsense)
    assert event == Interrupted(heard="Life", after_ms=None)


def test_an_interrupt_of_nothing_heard_is_read() -> None:
    assert said(type="interrupt") == Interrupted(heard="", after_ms=None)


def test_a_key_is_read() -> None:
    assert said(type="dtmf", digit="#") == Pressed(digit="#")


@pytest.mark.parametrize("digit", ["", "12", "x", None, 1], ids=repr)
def test_what_is_no_key_is_malformed(digit: object) -> None:
    assert said(type="dtmf", digit=digit) == Malformed(reason="not a key")


def test_twilio_objecting_to_a_message_of_ours_is_told_apart() -> None:
    objection = said(type="error", description='Invalid message received: { "foo" : "bar" }')
    assert isinstance(objection, Refused)
    assert objection.names_message
    other = said(type="error", description="Transcription unavailable")
    assert isinstance(other, Refused)
    assert not other.names_message


def test_a_description_that_quotes_words_is_not_shown_by_accident() -> None:
    assert "geheim" not in repr(said(type="error", description="Invalid message: geheim"))
    assert "geheim" not in repr(said(type="prompt", voicePrompt="geheim"))


def test_what_has_been_played_and_who_speaks_is_read() -> None:
    assert said(type="info", name="tokensPlayed", value="Guten Tag") == Played(text="Guten Tag")
    assert said(type="info", name="agentSpeaking", value="on", ts=1) == Speaking(who="agent", begun=True)
    assert said(type="info", name="clientSpeaking", value="off") == Speaking(who="caller", begun=False)


@pytest.mark.parametrize(
    "frame", [{"type": "info", "name": "agentSpeaking", "value": "???"}, {"type": "info"}, {"type": "of tomorrow"}]
)
def test_what_is_not_understood_is_ignored(frame: dict[str, object]) -> None:
    assert isinstance(said(**frame), Ignored)


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "no json",
        "[]",
        "{}",
        '{"type": 1}',
        '{"type": "setup"}',
        '{"type": "setup", "sessionId": "VX1", "callSid": ""}',
        '{"type": "prompt"}',
        b"\xff\xfe",
        "[" * 40_000,
        " " * 70_000,
    ],
    ids=lambda frame: repr(frame)[:40],
)
def test_what_cannot_be_read_is_malformed(frame: str | bytes) -> None:
    assert isinstance(read(frame), Malformed)


@given(st.one_of(st.text(), st.binary(), st.recursive(st.text() | st.none() | st.integers(), st.lists).map(json.dumps)))
def test_no_frame_whatsoever_raises(frame: str | bytes) -> None:
    read(frame)


@given(
    st.sampled_from(["setup", "prompt", "dtmf", "interrupt", "error", "info"]),
    st.dictionaries(
        st.sampled_from(FIELDS),
        st.text()
        | st.none()
        | st.floats()
        | st.booleans()
        | st.lists(st.text())
        | st.dictionaries(st.text(), st.text()),
    ),
)
def test_no_frame_of_a_known_type_raises(kind: str, fields: dict[str, object]) -> None:
    read(json.dumps({"type": kind, **fields}))


def test_a_prompt_can_be_stored() -> None:
    prompted = said(type="prompt", voicePrompt="a\x00b\ud800", lang="de-DE")
    assert isinstance(prompted, Prompted)
    assert prompted.text == "a\ufffdb\ufffd"


def test_our_messages_are_as_twilio_wants_them() -> None:
    assert json.loads(wire.text("Guten Tag. ", last=False)) == {"type": "text", "token": "Guten Tag. ", "last": False}
    assert json.loads(wire.text("Ja.", last=True, language="de-DE", interruptible=False, preemptible=True)) == {
        "type": "text",
        "token": "Ja.",
        "last": True,
        "lang": "de-DE",
        "interruptible": False,
        "preemptible": True,
    }
    assert json.loads(wire.play("https://gateway.example/tone.mp3", interruptible=False)) == {
        "type": "play",
        "source": "https://gateway.example/tone.mp3",
        "loop": 1,
        "interruptible": False,
    }
    assert json.loads(wire.send_digits("1w2#")) == {"type": "sendDigits", "digits": "1w2#"}
    assert json.loads(wire.language(speech="en-GB", transcription="en-GB")) == {
        "type": "language",
        "ttsLanguage": "en-GB",
        "transcriptionLanguage": "en-GB",
    }
    assert json.loads(wire.end()) == {"type": "end"}
    assert json.loads(json.loads(wire.end({"reason": "done"}))["handoffData"]) == {"reason": "done"}


def test_only_keys_are_pressed() -> None:
    with pytest.raises(ValueError, match="digits are"):
        wire.send_digits("12a")


def test_words_that_are_no_text_are_sent_as_text() -> None:
    assert wire.text("a\ud800", last=True).encode()
