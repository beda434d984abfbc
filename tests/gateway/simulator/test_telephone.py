"""The demo's telephone: a browser's call, on real sockets, to a gateway that does what a test says."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
import pytest

from gateway.simulator.meta import FakeMeta
from gateway.simulator.meta_wire import Business
from gateway.simulator.phone.server import Phone, Scene
from gateway.simulator.phone.sms_chat import SmsRates
from gateway.simulator.phone.telephone import FRAME_BYTES, FRAMES_WAITING_MAX
from gateway.simulator.twilio import FakeTwilio
from gateway.simulator.twilio_call import PlacedCall
from tests.gateway.simulator.scripted import OURS, Scripted, Streamed, calling, scripted

CONNECT: Final = '<Connect><Stream url="wss://gw.example/media/token-1"/></Connect><Hangup/>'
BUSINESS: Final = Business(phone_number_id="1000001", display_number=OURS)
QUIET: Final = 0xFF
PATIENCE_S: Final = 15


@pytest.fixture
async def gateway() -> AsyncIterator[Scripted]:
    async with scripted() as app:
        app.says("/voice", CONNECT)
        yield app


@pytest.fixture
async def twilio(gateway: Scripted) -> AsyncIterator[FakeTwilio]:
    async with calling(gateway) as fake:
        yield fake


async def _nothing() -> None:
    """Do what the operator's buttons do in the demo."""


@pytest.fixture
async def page(twilio: FakeTwilio) -> AsyncIterator[aiohttp.ClientSession]:
    nowhere = "http://127.0.0.1:1"
    scene = Scene(
        meta=FakeMeta(webhook_url=nowhere, app_secret="secret", token="token", businesses=[BUSINESS]),
        business=BUSINESS,
        twilio=twilio,
        realtime=None,
        voice_model="offline",
        has_ear=False,
        sms_rates=SmsRates(sent_millicredits=2_500_000, received_millicredits=200_000),
        salon="Salon",
        model="offline",
        offline=True,
        gateway_url=nowhere,
        api_token="token",
        grant=_nothing,
        drain=_nothing,
    )
    served = Phone(scene, asyncio.Event()).running("127.0.0.1", 0)
    async with served as address, aiohttp.ClientSession(address, headers={"Origin": address}) as http:
        yield http


@contextlib.asynccontextmanager
async def dialled(page: aiohttp.ClientSession) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A call, as our own page places it."""
    async with page.ws_connect("/call") as socket:
        yield socket


async def connected(twilio: FakeTwilio, gateway: Scripted) -> tuple[PlacedCall, Streamed]:
    """The newest call, once the gateway listens."""
    async with asyncio.timeout(PATIENCE_S):
        while not twilio.calls.placed:  # noqa: ASYNC110 - the call tells nobody that it was placed
            await asyncio.sleep(0.01)
        call = list(twilio.calls.placed.values())[-1]
        await call.wait_for(lambda one: one.listener is not None and bool(gateway.streams))
    return call, gateway.streams[-1]


async def ended_with(socket: aiohttp.ClientWebSocketResponse) -> str:
    """Hear the call out; return what its last word was."""
    async with asyncio.timeout(PATIENCE_S):
        texts = [message.data async for message in socket if message.type is aiohttp.WSMsgType.TEXT]
    return str(texts[-1])


@pytest.mark.parametrize("origin", ["", "http://evil.example", "null"])
async def test_only_the_page_itself_may_call(page: aiohttp.ClientSession, twilio: FakeTwilio, origin: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await page.ws_connect("/call", origin=origin)
    assert refused.value.status == 403
    assert not twilio.calls.placed


async def test_a_second_window_cannot_call_meanwhile_but_afterwards(
    page: aiohttp.ClientSession, twilio: FakeTwilio, gateway: Scripted
) -> None:
    async with dialled(page):
        call, _ = await connected(twilio, gateway)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await page.ws_connect("/call")
        assert refused.value.status == 409
        assert not call.is_over
    await call.wait_for_end()
    async with dialled(page) as again:
        await call.wait_for(lambda _: len(twilio.calls.placed) == 2)
        await again.send_str("hang up")
        assert await ended_with(again) == '{"ended":"caller"}'


async def test_what_is_said_into_the_microphone_is_streamed_and_pieces_of_another_size_are_not(
    page: aiohttp.ClientSession, twilio: FakeTwilio, gateway: Scripted
) -> None:
    async with dialled(page) as socket:
        call, stream = await connected(twilio, gateway)
        for piece in (b"", b"\x01" * 159, b"\x02" * 161, b"\x03" * 1_600, b"\x04" * FRAME_BYTES):
            await socket.send_bytes(piece)
        await socket.send_str("hello")
        await call.wait_for(lambda _: b"\x04" in stream.audio)
        assert set(stream.audio) == {QUIET, 0x04}
        assert stream.audio.count(b"\x04") == FRAME_BYTES


async def test_a_microphone_that_is_ahead_of_the_line_does_not_make_the_call_late(
    page: aiohttp.ClientSession, twilio: FakeTwilio, gateway: Scripted
) -> None:
    async with dialled(page) as socket:
        call, stream = await connected(twilio, gateway)
        for _ in range(500):  # ten seconds of speech at once
            await socket.send_bytes(b"\x05" * FRAME_BYTES)
        await call.wait_for(lambda _: b"\x05" in stream.audio)
        await call.wait_for(lambda _: stream.audio.endswith(bytes([QUIET]) * 10 * FRAME_BYTES))
        said = stream.audio.count(b"\x05") // FRAME_BYTES
        assert FRAMES_WAITING_MAX <= said < 100


async def test_what_the_gateway_plays_is_heard(
    page: aiohttp.ClientSession, twilio: FakeTwilio, gateway: Scripted
) -> None:
    async with dialled(page) as socket:
        _, stream = await connected(twilio, gateway)
        spoken = bytes(at % 251 for at in range(1_600))
        await stream.play(spoken)
        heard = b""
        async with asyncio.timeout(PATIENCE_S):
            while len(heard) < len(spoken):
                heard += await socket.receive_bytes()
        assert heard == spoken


async def test_a_page_that_goes_away_has_hung_up(
    page: aiohttp.ClientSession, twilio: FakeTwilio, gateway: Scripted
) -> None:
    async with dialled(page):
        call, stream = await connected(twilio, gateway)
    await call.wait_for_end()
    await asyncio.wait_for(stream.ended.wait(), PATIENCE_S)
    assert (call.state, call.end_reason) == ("completed", "caller")


async def test_the_page_is_told_why_a_call_has_ended(
    page: aiohttp.ClientSession, twilio: FakeTwilio, gateway: Scripted
) -> None:
    async with dialled(page) as socket:
        _, stream = await connected(twilio, gateway)
        await stream.socket.close()
        assert await ended_with(socket) == '{"ended":"document"}'
    gateway.says("/voice", "<Reject/>")
    async with dialled(page) as socket:
        assert await ended_with(socket) == '{"ended":"rejected"}'


async def test_somebody_else_takes_the_phone_only_after_it_was_hung_up(
    page: aiohttp.ClientSession, twilio: FakeTwilio, gateway: Scripted
) -> None:
    async with dialled(page):
        call, _ = await connected(twilio, gateway)
        async with page.post("/act/customer", json={"channel": "voice"}) as answer:
            assert answer.status == 204
        assert call.is_over


async def test_two_sentences_picked_at_once_are_said_one_after_the_other(
    page: aiohttp.ClientSession, twilio: FakeTwilio, gateway: Scripted
) -> None:
    async with dialled(page):
        _, stream = await connected(twilio, gateway)
        await asyncio.gather(*(page.post("/write", json={"channel": "voice", "text": text}) for text in ("Ja.", "Ja.")))
        pause = bytes([QUIET]) * FRAME_BYTES * 25
        first, _, rest = stream.audio.lstrip(bytes([QUIET])).partition(pause)
        second = rest.lstrip(bytes([QUIET])).partition(pause)[0]
        assert len(first.rstrip(bytes([QUIET]))) == len(second.rstrip(bytes([QUIET]))) > 20 * FRAME_BYTES // 10


async def test_keys_reach_the_gateway_and_other_signs_do_not(
    page: aiohttp.ClientSession, twilio: FakeTwilio, gateway: Scripted
) -> None:
    async with dialled(page):
        call, stream = await connected(twilio, gateway)
        async with page.post("/write", json={"channel": "voice", "kind": "keys", "text": "1x#"}) as answer:
            assert answer.status == 204
        await call.wait_for(lambda _: stream.events.count("dtmf") == 2)
        keys = [one.detail for one in call.happened("key")]
        assert keys == ["1", "#"]


async def test_nothing_is_said_or_pressed_without_a_call(page: aiohttp.ClientSession, twilio: FakeTwilio) -> None:
    for kind in ("text", "keys"):
        async with page.post("/write", json={"channel": "voice", "kind": kind, "text": "1"}) as answer:
            assert answer.status == 204
    assert not twilio.calls.placed
