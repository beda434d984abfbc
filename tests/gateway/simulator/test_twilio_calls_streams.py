"""Media streams of the simulated Twilio: frames at their pace, marks when audio was heard, and what a clear drops."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from gateway.simulator.faults import TwilioFaults
from gateway.simulator.twilio import FakeTwilio
from gateway.simulator.twilio_call import PlacedCall
from gateway.twilio.calls import hang_up, redirect
from gateway.twilio.rest import Accepted, TwilioRest
from tests.gateway.simulator.scripted import KIM, OURS, SID, TOKEN, Scripted, Streamed, calling, scripted

CONNECT = (
    '<Connect action="/after"><Stream url="wss://gw.example/media/token-1">'
    '<Parameter name="greeting" value="kurz"/></Stream></Connect><Hangup/>'
)
VOICE = bytes(range(1, 161))  # 20 ms that are not silence
PLAYOUT_MS = 60.0


def tone(ms: int) -> bytes:
    """Return audio of which every byte tells its place."""
    return bytes(at % 251 for at in range(8 * ms))


@pytest.fixture
async def gateway() -> AsyncIterator[Scripted]:
    async with scripted() as app:
        app.says("/voice", CONNECT)
        app.says("/after", "<Hangup/>")
        yield app


@pytest.fixture
async def twilio(gateway: Scripted) -> AsyncIterator[FakeTwilio]:
    async with calling(gateway) as fake:
        yield fake


@pytest.fixture
async def rest(twilio: FakeTwilio) -> AsyncIterator[TwilioRest]:
    async with aiohttp.ClientSession() as http:
        yield TwilioRest(http, twilio.url, SID, TOKEN, twilio.url)


async def connected(
    twilio: FakeTwilio, gateway: Scripted, *, playout_ms: float = PLAYOUT_MS
) -> tuple[PlacedCall, Streamed]:
    call = twilio.calls.place(KIM, OURS, playout_ms=playout_ms)
    await call.wait_for(lambda one: one.listener is not None and bool(gateway.streams))
    return call, gateway.streams[-1]


async def came(call: PlacedCall, stream: Streamed, count: int) -> None:
    await call.wait_for(lambda _: len(stream.marks) >= count)


async def test_a_stream_begins_as_it_does_at_twilio_and_is_signed(twilio: FakeTwilio, gateway: Scripted) -> None:
    call, stream = await connected(twilio, gateway)
    assert stream.signed
    assert stream.path == "/media/token-1"
    assert stream.frames[0] == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    start = stream.frames[1]["start"]
    assert start == {
        "accountSid": SID,
        "streamSid": stream.sid,
        "callSid": call.sid,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"greeting": "kurz"},
    }
    assert stream.frames[1]["sequenceNumber"] == "1"
    await call.hang_up()


async def test_silence_comes_at_the_pace_of_speech_numbered_in_strings(twilio: FakeTwilio, gateway: Scripted) -> None:
    call, stream = await connected(twilio, gateway)
    await call.wait_for(lambda _: len(stream.media) >= 25)
    assert set(stream.audio) == {0xFF}
    assert [one["chunk"] for one in stream.media[:3]] == ["1", "2", "3"]
    assert [one["timestamp"] for one in stream.media[:3]] == ["0", "20", "40"]
    assert stream.media[0]["track"] == "inbound"
    assert stream.sequence[:4] == [None, "1", "2", "3"]
    # Never ahead of its time: 24 frames after the first there is no less than 24 x 20 ms, but for a slot's width.
    assert stream.at_s[24] - stream.at_s[0] >= 24 * 0.02 - 0.03
    await call.hang_up()


async def test_what_the_caller_says_arrives_whole_and_then_silence(twilio: FakeTwilio, gateway: Scripted) -> None:
    call, stream = await connected(twilio, gateway)
    await call.speak(VOICE * 5 + VOICE[:80])
    await call.wait_for(lambda _: VOICE * 5 + VOICE[:80] + b"\xff" * 240 in stream.audio)
    speaking = asyncio.create_task(call.speak(VOICE * 500))
    await call.wait_for(lambda _: stream.audio.count(VOICE) > 7)
    call.fall_silent()
    await speaking
    before = stream.audio.count(VOICE)
    await call.wait_for(lambda _: stream.audio.endswith(b"\xff" * 480))
    assert stream.audio.count(VOICE) <= before + 1
    await call.hang_up()


async def test_keys_are_told_on_the_stream(twilio: FakeTwilio, gateway: Scripted) -> None:
    call, stream = await connected(twilio, gateway)
    await call.press("1#")
    await call.wait_for(lambda _: stream.events.count("dtmf") == 2)
    pressed = [frame["dtmf"] for frame in stream.frames if frame["event"] == "dtmf"]
    assert pressed == [{"track": "inbound_track", "digit": "1"}, {"track": "inbound_track", "digit": "#"}]
    await call.hang_up()


async def test_a_mark_comes_back_once_the_audio_before_it_was_heard(twilio: FakeTwilio, gateway: Scripted) -> None:
    call, stream = await connected(twilio, gateway)
    sent_at = asyncio.get_running_loop().time()
    await stream.play(tone(100))
    await stream.mark("middle")
    await stream.play(tone(40))
    await stream.mark("end")
    await came(call, stream, 2)
    (first, first_at), (second, second_at) = stream.marks
    assert (first, second) == ("middle", "end")
    assert first_at - sent_at >= (PLAYOUT_MS + 100) / 1000 - 0.005
    assert second_at - sent_at >= (PLAYOUT_MS + 140) / 1000 - 0.005
    assert call.heard_audio == tone(100) + tone(40)
    assert call.heard_ms == 140
    assert [mark.cleared for mark in call.marks] == [False, False]
    begun, followed = call.heard
    assert followed.begins_ms == begun.begins_ms + 100
    await stream.mark("nothing before me")
    await came(call, stream, 3)
    await call.hang_up()


async def test_a_clear_drops_what_was_not_heard_and_returns_every_pending_mark(
    twilio: FakeTwilio, gateway: Scripted
) -> None:
    call, stream = await connected(twilio, gateway)
    await stream.play(tone(200))
    await stream.mark("heard")
    await stream.play(tone(5_000))
    for name in ("a", "b", "c"):
        await stream.mark(name)
    await call.wait_for_heard(300)
    await stream.clear()
    await came(call, stream, 4)
    assert [name for name, _ in stream.marks] == ["heard", "a", "b", "c"]
    assert [mark.cleared for mark in call.marks] == [False, True, True, True]
    heard = call.heard_audio
    assert len(heard) < 5_000 * 8
    assert (tone(200) + tone(5_000)).startswith(heard)
    await asyncio.sleep(0.1)
    assert call.heard_audio == heard
    await stream.play(tone(20))
    await call.wait_for(lambda one: one.heard_audio == heard + tone(20))
    await call.hang_up()


async def test_an_early_clear_leaves_nothing_heard(twilio: FakeTwilio, gateway: Scripted) -> None:
    call, stream = await connected(twilio, gateway, playout_ms=2_000)
    await stream.play(tone(100))
    await stream.mark("x")
    await stream.clear()
    await came(call, stream, 1)
    assert (call.heard_audio, call.heard_ms) == (b"", 0)
    await call.hang_up()


async def test_what_follows_a_stream_that_the_gateway_closes(twilio: FakeTwilio, gateway: Scripted) -> None:
    gateway.says("/after", "<Say>Danach.</Say>")
    call, stream = await connected(twilio, gateway)
    await stream.play(tone(10_000))
    await call.wait_for_heard(40)
    await stream.socket.close()
    await call.wait_for_end()
    assert list(call.said) == ["Danach."]
    assert gateway.posts("/after")[0]["CallSid"] == call.sid
    assert 40 <= call.heard_ms < 10_000  # what still waited is lost
    assert "stop" not in stream.events
    assert [one.detail for one in call.happened("stream_ended")] == ["gateway"]


async def test_an_update_and_a_hang_up_tell_the_stream_to_stop(
    twilio: FakeTwilio, gateway: Scripted, rest: TwilioRest
) -> None:
    call, first = await connected(twilio, gateway)
    gateway.streams.clear()
    again = CONNECT.replace("token-1", "token-2").replace(' action="/after"', "")
    assert isinstance(await redirect(rest, call.sid, f"<Response>{again}</Response>"), Accepted)
    await call.wait_for(lambda one: one.listener is not None and bool(gateway.streams))
    await asyncio.wait_for(first.ended.wait(), 5)
    second = gateway.streams[0]
    assert (first.events[-1], second.path) == ("stop", "/media/token-2")
    assert first.frames[-1]["stop"] == {"accountSid": SID, "callSid": call.sid}
    assert isinstance(await hang_up(rest, call.sid), Accepted)
    await call.wait_for_end()
    await asyncio.wait_for(second.ended.wait(), 5)
    assert second.events[-1] == "stop"
    assert gateway.posts("/after") == []


async def test_a_stream_that_is_refused_is_followed_by_the_next_verb(twilio: FakeTwilio, gateway: Scripted) -> None:
    gateway.refuses_streams = True
    call = twilio.calls.place(KIM, OURS)
    assert await call.wait_for_end() == "completed"
    assert [one.detail for one in call.happened("stream_refused")] == ["403"]
    gateway.refuses_streams = False
    for faults in (TwilioFaults(stream_signatures_wrong=1), TwilioFaults(streams_signed_as_https=True)):
        twilio.faults = faults
        call = twilio.calls.place(KIM, OURS)
        await call.wait_for_end()
        assert [one.detail for one in call.happened("stream_refused")] == ["403"]


async def test_a_second_connection_is_tried_with_the_same_address(twilio: FakeTwilio, gateway: Scripted) -> None:
    twilio.faults = TwilioFaults(streams_twice=True)
    call, _ = await connected(twilio, gateway)
    assert [one.detail for one in call.happened("second_stream")] == ["accepted"]
    await call.hang_up()


async def test_a_dead_socket_neither_speaks_nor_closes(twilio: FakeTwilio, gateway: Scripted) -> None:
    call, stream = await connected(twilio, gateway)
    await call.wait_for(lambda _: bool(stream.media))
    call.lose_connection()
    await asyncio.sleep(0.03)
    before = len(stream.media)
    await stream.play(tone(40))
    await stream.mark("never")
    await call.speak(VOICE)
    await call.press("1")
    await asyncio.sleep(0.1)
    assert (len(stream.media), stream.marks, stream.ended.is_set()) == (before, [], False)
    assert "dtmf" not in stream.events
    await call.hang_up()
    assert "stop" not in stream.events


async def test_a_dead_socket_answers_no_ping(twilio: FakeTwilio, gateway: Scripted) -> None:
    gateway.heartbeat_s = 0.4
    call, stream = await connected(twilio, gateway)
    await asyncio.sleep(0.7)
    assert not stream.ended.is_set()
    call.lose_connection()
    await asyncio.wait_for(stream.ended.wait(), 10)
    assert not call.is_over
    await call.hang_up()


async def test_what_is_no_websocket_any_more_ends_the_stream(twilio: FakeTwilio, gateway: Scripted) -> None:
    call, stream = await connected(twilio, gateway)
    transport = stream.transport
    assert transport is not None
    transport.write(b"HTTP/1.1 500 Internal Server Error\r\n\r\n")
    await call.wait_for_end()
    assert call.warnings == ["31924: no frame of a socket"]


async def test_marks_may_be_lost_or_late(twilio: FakeTwilio, gateway: Scripted) -> None:
    call, stream = await connected(twilio, gateway)
    twilio.faults = TwilioFaults(marks_lost=True)
    await stream.play(tone(20))
    await stream.mark("lost")
    await call.wait_for(lambda one: [mark.lost for mark in one.marks] == [True])
    twilio.faults = TwilioFaults(marks_late_s=0.2)
    sent_at = asyncio.get_running_loop().time()
    await stream.mark("late")
    await came(call, stream, 1)
    (name, came_at), *_ = stream.marks
    assert name == "late"
    assert came_at - sent_at >= 0.19
    await call.hang_up()


async def test_what_twilio_would_warn_of_is_kept(twilio: FakeTwilio, gateway: Scripted) -> None:
    call, stream = await connected(twilio, gateway)
    await stream.socket.send_str("{")
    await stream.send({"event": "mark"})
    await stream.send({"event": "media", "media": {"payload": "*"}})
    await stream.send({"event": "sing"})
    await stream.socket.send_str('{"event": "clear", "streamSid": "MZ1"}')
    await stream.socket.send_bytes(b"x")
    await call.wait_for(lambda one: len(one.warnings) >= 6)
    assert call.warnings == [
        "31951: a frame that cannot be read",
        "31951: a frame that cannot be read",
        "31951: a frame that cannot be read",
        "31951: sing",
        "31951: a frame of another stream",
        "31950: not a text frame",
    ]
    with pytest.raises(NotImplementedError):
        await call.say("Hallo")
    await call.hang_up()


async def test_a_long_call_may_forget_what_it_heard(twilio: FakeTwilio, gateway: Scripted) -> None:
    call = twilio.calls.place(KIM, OURS, playout_ms=0, keeps_audio=False)
    await call.wait_for(lambda one: one.listener is not None and bool(gateway.streams))
    await gateway.streams[0].play(tone(60))
    await gateway.streams[0].mark("x")
    await call.wait_for_heard(60)
    assert call.heard_audio == b""
    await call.hang_up()
    assert call.heard_ms == 60


async def test_who_listens_along_hears_what_the_caller_hears(twilio: FakeTwilio, gateway: Scripted) -> None:
    overheard: list[bytes] = []
    call = twilio.calls.place(KIM, OURS, keeps_audio=False)
    call.ear = overheard.append
    await call.wait_for(lambda one: one.listener is not None and bool(gateway.streams))
    await gateway.streams[0].play(tone(100))
    await call.wait_for(lambda _: b"".join(overheard) == tone(100))
    assert len(overheard) >= 3
    await call.hang_up()


async def test_many_calls_keep_their_pace_side_by_side(twilio: FakeTwilio, gateway: Scripted) -> None:
    calls = [twilio.calls.place(KIM, OURS) for _ in range(20)]
    for call in calls:
        await call.wait_for(lambda one: one.listener is not None)
    await asyncio.gather(*(call.speak(VOICE * 10) for call in calls))
    await calls[0].wait_for(lambda _: all(VOICE * 10 in stream.audio for stream in gateway.streams))
    assert len(gateway.streams) == 20
    await asyncio.gather(*(call.hang_up() for call in calls))
    assert not any(twilio.calls.ticker.ticks)
