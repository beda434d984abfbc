"""Documents for Twilio: what it is told to do, and that a call never ends in silence."""

from xml.etree import ElementTree as ET

import pytest

from gateway.twilio import twiml

SOCKET = "wss://gateway.example.com/twilio/media/token"


def read(document: str) -> ET.Element:
    assert document.startswith('<?xml version="1.0" encoding="UTF-8"?>')
    return ET.fromstring(document)  # noqa: S314 - our own words


def verbs(document: str) -> list[str]:
    return [verb.tag for verb in read(document)]


def dialled(*, announce: str | None = None, answered: bool = True) -> str:
    return twiml.forward(
        "+4930123",
        caller_id="+4915100000001",
        time_limit_s=180,
        timeout_s=25,
        action="https://gateway.example.com/dialled?tenant=1&x=2",
        whisper="https://gateway.example.com/whisper",
        status="https://gateway.example.com/leg-status",
        announce=announce,
        answered=answered,
    )


def test_a_stream_is_connected_by_its_address_and_followed_by_a_hang_up() -> None:
    response = read(twiml.stream(SOCKET))
    connect, after = response
    assert (connect.tag, after.tag) == ("Connect", "Hangup")
    assert [(verb.tag, verb.attrib) for verb in connect] == [("Stream", {"url": SOCKET})]


def test_a_stream_may_carry_parameters_and_ask_what_comes_next() -> None:
    connect = read(twiml.stream(SOCKET, action="https://gateway.example.com/after", parameters={"why": '<"&>'}))[0]
    assert connect.get("action") == "https://gateway.example.com/after"
    assert [parameter.attrib for parameter in connect[0]] == [{"name": "why", "value": '<"&>'}]


@pytest.mark.parametrize(("interruptible", "by"), [(True, "any"), (False, "none")])
def test_a_relay_listens_and_speaks_in_the_agents_language_and_greets_with_nothing(
    interruptible: bool, by: str
) -> None:
    connect, after = read(
        twiml.relay(SOCKET, language="en", voice="Joanna", interruptible=interruptible, parameters={"a": "b"})
    )
    relay = connect[0]
    assert (relay.tag, relay.get("language"), relay.get("voice")) == ("ConversationRelay", "en-GB", "Joanna")
    assert (relay.get("interruptible"), relay.get("dtmfDetection")) == (by, "true")
    assert relay.get("welcomeGreeting") is None
    assert relay.get("events") == "speaker-events tokens-played"
    assert relay.get("ttsProvider") is None
    assert relay[0].attrib == {"name": "a", "value": "b"}
    assert after.tag == "Hangup"


def test_a_voice_may_name_its_vendor() -> None:
    connect = read(twiml.relay(SOCKET, language="de", voice="Google:de-DE-Chirp3-HD-Aoede"))[0]
    relay = connect[0]
    assert (relay.get("ttsProvider"), relay.get("voice")) == ("Google", "de-DE-Chirp3-HD-Aoede")


def test_a_call_is_declined_as_rejected_or_as_busy() -> None:
    assert [read(twiml.reject(busy))[0].attrib for busy in (False, True)] == [
        {"reason": "rejected"},
        {"reason": "busy"},
    ]


def test_what_is_said_is_escaped_and_cleaned_and_then_the_call_ends() -> None:
    say, after = read(twiml.say("Öffnung um 9 & <später>\x0b\x00\ufffe 😀", "de"))
    assert say.text == "Öffnung um 9 & <später> 😀"
    assert (say.get("language"), after.tag) == ("de-DE", "Hangup")


def test_another_voice_may_speak() -> None:
    assert read(twiml.say("Hello", "en", "alice"))[0].get("voice") == "alice"


def test_a_person_is_dialled_with_our_number_for_as_long_as_can_be_paid() -> None:
    dial, after = read(dialled())
    assert {name: dial.get(name) for name in ("callerId", "timeLimit", "timeout", "action")} == {
        "callerId": "+4915100000001",
        "timeLimit": "180",
        "timeout": "25",
        "action": "https://gateway.example.com/dialled?tenant=1&x=2",
    }
    number = dial[0]
    assert (number.tag, number.text) == ("Number", "+4930123")
    assert number.get("url") == "https://gateway.example.com/whisper"
    assert number.get("statusCallback") == "https://gateway.example.com/leg-status"
    assert number.get("statusCallbackEvent") == "answered completed"
    assert after.tag == "Hangup"


def test_only_a_call_that_is_not_answered_goes_on_ringing() -> None:
    assert read(dialled(answered=False))[0].get("answerOnBridge") == "true"
    assert read(dialled(answered=True))[0].get("answerOnBridge") is None


def test_an_announcement_comes_before_the_dialling() -> None:
    document = dialled(announce="Ich verbinde Sie.", answered=False)
    assert verbs(document) == ["Say", "Dial", "Hangup"]
    assert read(document)[1].get("answerOnBridge") is None


def test_whoever_picks_up_is_asked_twice_for_a_key_and_hung_up_on_without_one() -> None:
    document = twiml.whisper("Ein Anruf. Drücken Sie die Eins.", "de", action="https://gateway.example.com/taken")
    assert verbs(document) == ["Gather", "Gather", "Hangup"]
    gather = read(document)[0]
    assert (gather.get("numDigits"), gather.get("input")) == ("1", "dtmf")
    assert gather.get("action") == "https://gateway.example.com/taken"
    assert gather[0].text == "Ein Anruf. Drücken Sie die Eins."


def test_an_empty_document_lets_a_person_be_joined_to_the_call() -> None:
    assert verbs(twiml.join()) == []
    assert verbs(twiml.hang_up()) == ["Hangup"]
