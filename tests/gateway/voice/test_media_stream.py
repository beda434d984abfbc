import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.voice.media_stream import (
    PAYLOAD_CHARS_MAX,
    Connected,
    Digit,
    Echoed,
    Malformed,
    Media,
    MediaStream,
    Started,
    Stopped,
)

SID = "MZ00000000000000000000000000000001"
FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
CONNECTED = {"event": "connected", "protocol": "Call", "version": "1.0.0"}


def start_frame(**changes: object) -> str:
    start = {
        "streamSid": SID,
        "accountSid": "AC1",
        "callSid": "CA1",
        "tracks": ["inbound"],
        "customParameters": {"token": "t"},
        "mediaFormat": FORMAT,
    }
    return json.dumps({"event": "start", "sequenceNumber": "1", "streamSid": SID, "start": start | changes})


def media_frame(number: int, payload: str = "/w==", *, sequence: int | None = None, **changes: object) -> str:
    media = {"track": "inbound", "chunk": str(number), "timestamp": str(number * 20), "payload": payload}
    return json.dumps(
        {
            "event": "media",
            "sequenceNumber": str(number + 1 if sequence is None else sequence),
            "media": media | changes,
            "streamSid": SID,
        }
    )


def started() -> MediaStream:
    stream = MediaStream()
    assert stream.receive(json.dumps(CONNECTED)) == Connected()
    assert isinstance(stream.receive(start_frame()), Started)
    return stream


def test_a_stream_begins_with_who_it_is() -> None:
    stream = MediaStream()
    assert stream.stream_sid is None
    assert stream.receive(start_frame()) == Started(SID, "CA1", "AC1", {"token": "t"})
    assert stream.stream_sid == SID


def test_a_media_frame_is_the_payload_as_it_came_and_its_time() -> None:
    stream = started()
    payload = base64.b64encode(bytes(160)).decode()
    assert stream.receive(media_frame(1, payload)) == Media(payload, 20)
    assert stream.receive(media_frame(2, payload).encode()) == Media(payload, 40)
    assert stream.gaps == 0


@pytest.mark.parametrize("size", [8, 80, 160, 161, 162, 320, 1_600])
def test_a_payload_tells_how_long_its_audio_is(size: int) -> None:
    assert Media(base64.b64encode(bytes(size)).decode(), 0).duration_ms == size // 8


def test_keys_marks_and_the_end_are_told() -> None:
    stream = started()
    frames: list[dict[str, object]] = [
        {"event": "dtmf", "sequenceNumber": "2", "dtmf": {"track": "inbound_track", "digit": "#"}},
        {"event": "mark", "sequenceNumber": "3", "mark": {"name": "g0.1.200"}},
        {"event": "stop", "sequenceNumber": "4", "stop": {"accountSid": "AC1", "callSid": "CA1"}},
    ]
    assert [stream.receive(json.dumps(frame)) for frame in frames] == [Digit("#"), Echoed("g0.1.200"), Stopped()]
    assert stream.gaps == 0


@pytest.mark.parametrize(
    ("numbers", "gaps"),
    [([1, 2, 3], 0), ([1, 2, 4], 1), ([1, 4, 5, 8], 2), ([2, 1, 3], 3), ([7, 8], 1)],
)
def test_numbers_that_do_not_follow_are_counted_and_the_audio_goes_on(numbers: list[int], gaps: int) -> None:
    stream = started()
    assert all(isinstance(stream.receive(media_frame(number)), Media) for number in numbers)
    assert stream.gaps == gaps


def test_a_chunk_that_is_missing_is_counted_even_if_the_sequence_goes_on() -> None:
    stream = started()
    stream.receive(media_frame(1, sequence=2))
    stream.receive(media_frame(3, sequence=3))
    assert stream.gaps == 1


def test_keys_and_marks_take_numbers_too() -> None:
    stream = started()
    stream.receive(media_frame(1, sequence=2))
    stream.receive(json.dumps({"event": "mark", "sequenceNumber": "3", "mark": {"name": "m"}}))
    stream.receive(media_frame(2, sequence=4))
    assert stream.gaps == 0
    stream.receive(json.dumps({"event": "mark", "sequenceNumber": "6", "mark": {"name": "m"}}))
    assert stream.gaps == 1


def test_an_unnumbered_mark_is_no_gap() -> None:
    stream = started()
    assert stream.receive('{"event":"mark","mark":{"name":"m"}}') == Echoed("m")
    assert stream.gaps == 0


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("", "shape"),
        ("nonsense", "shape"),
        ("[]", "shape"),
        ("7", "shape"),
        ("null", "shape"),
        (b"\xff\xfe", "shape"),
        ('{"event":"media"}', "shape"),
        ('{"event":"media","sequenceNumber":"x","media":{"chunk":"1","timestamp":"1","payload":"/w=="}}', "shape"),
        ('{"event":"media","sequenceNumber":"2","media":{"chunk":"1","timestamp":"1","payload":7}}', "shape"),
        ('{"event":"mark","mark":{"name":7}}', "shape"),
        ('{"event":"mark","mark":"m"}', "shape"),
        ('{"event":"dtmf","dtmf":{"digit":"x"}}', "digit"),
        ('{"event":"dtmf","dtmf":{"digit":"12"}}', "digit"),
        ('{"event":"dtmf","dtmf":{"digit":""}}', "digit"),
        ('{"event":"weather"}', "event"),
        ('{"event":["media"]}', "event"),
        (start_frame(), "order"),
        (media_frame(1, ""), "payload"),
        (media_frame(1, "AAA"), "payload"),
        (media_frame(1, 'AA"}'), "payload"),
        (media_frame(1, "AA\\u0041="), "payload"),
        (media_frame(1, "===="), "payload"),
        (media_frame(1, "A" * (PAYLOAD_CHARS_MAX + 4)), "payload"),
        (media_frame(1, track="outbound"), "track"),
    ],
)
def test_what_is_no_frame_changes_nothing_and_says_why(frame: str | bytes, reason: str) -> None:
    stream = started()
    assert stream.receive(frame) == Malformed(reason)
    assert stream.stream_sid == SID


def test_the_longest_payload_is_taken() -> None:
    assert isinstance(started().receive(media_frame(1, "A" * PAYLOAD_CHARS_MAX)), Media)


def test_audio_before_the_start_is_out_of_order() -> None:
    assert MediaStream().receive(media_frame(1)) == Malformed("order")


@pytest.mark.parametrize(
    "changes", [{"mediaFormat": FORMAT | {"sampleRate": 16000}}, {"mediaFormat": FORMAT | {"encoding": "audio/l16"}}]
)
def test_a_stream_in_another_format_does_not_start(changes: dict[str, object]) -> None:
    stream = MediaStream()
    assert stream.receive(start_frame(**changes)) == Malformed("format")
    assert stream.stream_sid is None


def test_a_start_with_parameters_that_are_no_texts_is_none() -> None:
    assert MediaStream().receive(start_frame(customParameters={"a": 1})) == Malformed("shape")


@given(st.binary(max_size=400))
def test_audio_goes_out_as_it_is(audio: bytes) -> None:
    sent = json.loads(started().media(audio))
    assert base64.b64decode(sent["media"].pop("payload"), validate=True) == audio
    assert sent == {"event": "media", "streamSid": SID, "media": {}}


@given(st.text(min_size=1, max_size=40))
def test_marks_keep_their_names_both_ways(name: str) -> None:
    stream = started()
    sent = json.loads(stream.mark(name))
    assert sent == {"event": "mark", "streamSid": SID, "mark": {"name": name}}
    assert stream.receive(json.dumps(sent)) == Echoed(name)


def test_a_clear_names_the_stream() -> None:
    assert json.loads(started().clear()) == {"event": "clear", "streamSid": SID}


def test_nothing_can_be_sent_before_the_start() -> None:
    stream = MediaStream()
    for send in (stream.clear, lambda: stream.media(b""), lambda: stream.mark("m")):
        with pytest.raises(RuntimeError):
            send()


@given(st.one_of(st.text(), st.binary(), st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.sampled_from(["media", "mark", "start"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["event", "media", "mark", "name", "payload", "start"]), inner, max_size=4),
    ),
).map(json.dumps)))  # fmt: skip
def test_no_frame_raises(frame: str | bytes) -> None:
    started().receive(frame)
