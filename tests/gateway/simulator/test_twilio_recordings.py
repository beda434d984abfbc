"""Recordings at the simulated Twilio: begun and ended by REST, reported, handed out, deleted."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from gateway.simulator.twilio import FakeTwilio
from gateway.simulator.twilio_call import PlacedCall
from gateway.twilio.calls import delete_recording, is_over, sid_of, start_recording, stop_recording
from gateway.twilio.rest import Accepted, TwilioRest
from tests.gateway.simulator.scripted import KIM, OURS, PUBLIC, SID, TOKEN, Scripted, calling, scripted

CALLBACK = f"{PUBLIC}/recorded"


@pytest.fixture
async def gateway() -> AsyncIterator[Scripted]:
    async with scripted() as app:
        app.says("/voice", '<Connect><Stream url="wss://gw.example/media/token-1"/></Connect>')
        yield app


@pytest.fixture
async def twilio(gateway: Scripted) -> AsyncIterator[FakeTwilio]:
    async with calling(gateway) as fake:
        yield fake


@pytest.fixture
async def rest(twilio: FakeTwilio) -> AsyncIterator[TwilioRest]:
    async with aiohttp.ClientSession() as http:
        yield TwilioRest(http, twilio.url, SID, TOKEN, twilio.url)


@pytest.fixture
async def call(twilio: FakeTwilio, gateway: Scripted) -> PlacedCall:
    placed = twilio.calls.place(KIM, OURS, playout_ms=0)
    await placed.wait_for(lambda one: one.listener is not None and bool(gateway.streams))
    return placed


async def started(rest: TwilioRest, call: PlacedCall) -> str:
    sid = sid_of(await start_recording(rest, call.sid, CALLBACK))
    assert sid is not None
    return sid


async def test_what_was_heard_meanwhile_is_kept_until_it_is_deleted(
    twilio: FakeTwilio, gateway: Scripted, rest: TwilioRest, call: PlacedCall
) -> None:
    sid = await started(rest, call)
    await gateway.streams[0].play(b"\x11" * 320)
    await call.wait_for_heard(40)
    assert isinstance(await stop_recording(rest, call.sid, sid), Accepted)
    await twilio.settled()
    [told] = gateway.posts("/recorded")
    assert (told["RecordingSid"], told["CallSid"], told["RecordingStatus"]) == (sid, call.sid, "completed")
    assert (told["RecordingDuration"], told["RecordingChannels"]) == ("1", "2")
    assert gateway.posted[-1].signed
    shown = await rest.get(f"Recordings/{sid}.json")
    assert isinstance(shown, Accepted)
    assert (shown.body["status"], shown.body["duration"]) == ("completed", "1")
    password = {"Authorization": aiohttp.encode_basic_auth(SID, TOKEN)}
    async with aiohttp.ClientSession(headers=password) as http, http.get(told["RecordingUrl"] + ".wav") as response:
        wav = await response.read()
    assert wav.startswith(b"RIFF")
    assert wav.count(b"\x11" * 320) == 1
    assert isinstance(await delete_recording(rest, sid), Accepted)
    assert twilio.calls.recordings.deleted == [sid]
    assert is_over(await delete_recording(rest, sid))
    assert is_over(await stop_recording(rest, call.sid, sid))


async def test_the_calls_end_ends_its_recording(
    twilio: FakeTwilio, gateway: Scripted, rest: TwilioRest, call: PlacedCall
) -> None:
    sid = await started(rest, call)
    running = await rest.get(f"Recordings/{sid}.json")
    assert isinstance(running, Accepted)
    assert (running.body["status"], running.body["duration"]) == ("in-progress", None)
    assert not isinstance(await rest.get(f"Recordings/{sid}.wav"), Accepted)
    await call.hang_up()
    await twilio.settled()
    assert [one["RecordingSid"] for one in gateway.posts("/recorded")] == [sid]
    assert is_over(await start_recording(rest, call.sid, CALLBACK))
    assert is_over(await stop_recording(rest, call.sid, sid))
    assert not isinstance(await rest.get("Recordings/RE1.json"), Accepted)
