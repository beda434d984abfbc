"""TwiML as the simulated Twilio reads it, also what our own builders write."""

import pytest

from gateway.simulator.twilio_twiml import (
    Dial,
    Gather,
    Hangup,
    Pause,
    Play,
    Redirect,
    Reject,
    Relay,
    Say,
    Stream,
    TwimlError,
    Verb,
    read_document,
)
from gateway.twilio import twiml

BASE = "https://gw.example/webhooks/twilio/voice"


def verbs(inside: str, base: str = BASE) -> list[Verb]:
    return list(read_document(f"<Response>{inside}</Response>", base).verbs)


def test_simple_verbs_are_read_with_addresses_made_whole() -> None:
    assert verbs(
        "<Say voice='alice'> Hallo </Say><Play>/a.mp3</Play><Pause/><Redirect>next</Redirect><Reject/><Hangup/>"
    ) == [
        Say(text="Hallo", voice="alice"),
        Play(url="https://gw.example/a.mp3"),
        Pause(length_s=1),
        Redirect(url="https://gw.example/webhooks/twilio/next"),
        Reject(busy=False),
        Hangup(),
    ]


def test_our_own_documents_are_understood() -> None:
    url = "wss://gw.example/twilio/media/token"
    [stream, end] = read_document(twiml.stream(url, action="/after", parameters={"a": "b"}), BASE).verbs
    assert stream == Stream(url=url, parameters={"a": "b"}, action="https://gw.example/after")
    assert end == Hangup()
    [relay, _] = read_document(twiml.relay(url, language="de"), BASE).verbs
    assert isinstance(relay, Relay)
    assert relay.attributes["language"] == "de-DE"
    forwarded = twiml.forward(
        "+491700000900",
        caller_id="+4915735990000",
        time_limit_s=120,
        timeout_s=25,
        action="/dialled",
        whisper="/whisper",
        status="/leg",
        announce="Moment.",
    )
    [said, dial, _] = read_document(forwarded, BASE).verbs
    assert isinstance(said, Say)
    assert isinstance(dial, Dial)
    assert (dial.time_limit_s, dial.timeout_s, dial.caller_id) == (120, 25, "+4915735990000")
    assert dial.numbers[0].status_events == {"answered", "completed"}
    whisper = read_document(twiml.whisper("Anruf", "de", action="/accepted"), BASE).verbs
    assert [type(verb) for verb in whisper] == [Gather, Gather, Hangup]
    assert read_document(twiml.join(), BASE).verbs == []
    assert read_document(twiml.reject(busy=True), BASE).verbs == [Reject(busy=True)]


def test_a_streams_query_is_dropped_as_twilio_drops_it() -> None:
    [stream] = verbs('<Connect><Stream url="wss://gw.example/media?token=1"/></Connect>')
    assert isinstance(stream, Stream)
    assert stream.url == "wss://gw.example/media"


def test_an_unencrypted_stream_is_taken_from_an_unencrypted_gateway_alone() -> None:
    connect = '<Connect><Stream url="ws://127.0.0.1/media"/></Connect>'
    [stream] = verbs(connect, "http://127.0.0.1/voice")
    assert isinstance(stream, Stream)
    with pytest.raises(TwimlError, match="31922"):
        verbs(connect)


@pytest.mark.parametrize(
    "document",
    [
        "",
        "<Response>",
        "<Answer/>",
        "<Response><Whistle/></Response>",
        "<Response><Say/></Response>",
        '<Response><Reject reason="tired"/></Response>',
        "<Response><Gather><Hangup/></Gather></Response>",
        '<Response><Gather input="speech"/></Response>',
        "<Response><Dial><Number>Kim</Number></Dial></Response>",
        "<Response><Dial><Sip>+4917</Sip></Dial></Response>",
        "<Response><Connect/></Response>",
        '<Response><Connect><Room url="wss://gw.example"/></Connect></Response>',
        '<Response><Connect><Stream url="https://gw.example"/></Connect></Response>',
        '<Response><Connect><Stream url="wss://gw.example"><Parameter value="x"/></Stream></Connect></Response>',
        '<Response><Connect><Stream url="wss://gw.example"><Parameter name="x" value="'
        + "y" * 500
        + '"/></Stream></Connect></Response>',
    ],
)
def test_what_twilio_would_not_follow_is_an_error(document: str) -> None:
    with pytest.raises(TwimlError):
        read_document(document, BASE)
