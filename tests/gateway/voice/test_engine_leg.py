import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from gateway.voice.engines.base import (
    EngineLostError,
    EngineRefusedError,
    EngineSession,
    Event,
    PastItem,
    SpeechStarted,
)
from gateway.voice.media.engine_leg import EngineLeg
from gateway.voice.talk.signals import EngineGone, EngineReady, Reconnect, Respond, Tell
from tests.gateway.voice.caller import until
from tests.gateway.voice.live_engine import LiveEngine


class Leg:
    """A leg to an engine that a test leads, and what it told."""

    def __init__(self) -> None:
        self.engine = LiveEngine()
        self.told: list[Event | EngineReady | EngineGone] = []
        self.heard_ms = 0
        self.pasts: list[Sequence[PastItem]] = []
        self.leg = EngineLeg(self._open, self.told.append, self._heard, lambda _: 77)

    async def _open(self, past: Sequence[PastItem]) -> EngineSession:
        self.pasts.append(past)
        return await self.engine.connect(None, timeout_s=1)  # type: ignore[arg-type]  # nobody looks at it

    def _heard(self, ms: int) -> None:
        self.heard_ms += ms


@asynccontextmanager
async def running() -> AsyncIterator[Leg]:
    led = Leg()
    task = asyncio.create_task(led.leg.run())
    try:
        yield led
        assert not task.done() or task.exception() is not None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert all(session.closed for session in led.engine.sessions)


async def test_a_session_that_is_wanted_is_opened_and_listened_to() -> None:
    async with running() as led:
        led.leg.reconnect(Reconnect(0, (PastItem(kind="agent", text="Guten Tag."),)))
        session = await led.engine.session()
        session.tells(SpeechStarted())
        await until(lambda: len(led.told) == 2)
        assert led.told == [EngineReady(77), SpeechStarted()]
        assert [item.text for item in led.pasts[0]] == ["Guten Tag."]


async def test_commands_go_before_audio_and_audio_is_counted_once_it_was_taken() -> None:
    async with running() as led:
        led.leg.hear("AAAA", 20)
        led.leg.command(Respond())
        assert led.heard_ms == 0
        led.leg.reconnect(Reconnect(0, ()))
        led.leg.command(Tell("a note"))
        session = await led.engine.session()
        await session.until(lambda: bool(session.heard))
        assert session.done == [("tell", "a note")]  # what was for the session before died with it
        assert led.heard_ms == 20


async def test_five_seconds_wait_for_a_session_and_no_more() -> None:
    async with running() as led:
        for number in range(300):
            led.leg.hear(str(number), 20)
        led.leg.reconnect(Reconnect(0, ()))
        session = await led.engine.session()
        await session.until(lambda: len(session.heard) == 250)
        assert session.heard[0] == "50"
        assert led.leg.dropped == 50


async def test_nothing_is_passed_on_once_nothing_is_to_be_heard() -> None:
    async with running() as led:
        led.leg.hear("AAAA", 20)
        led.leg.stop_hearing()
        led.leg.hear("AAAA", 20)
        led.leg.reconnect(Reconnect(0, ()))
        session = await led.engine.session()
        led.leg.command(Respond())
        await session.until_asked()
        assert (session.heard, led.heard_ms) == ([], 0)


@pytest.mark.parametrize(
    ("error", "fatal"), [(EngineLostError("time-out"), False), (EngineRefusedError("no money"), True)]
)
async def test_a_session_that_cannot_be_had_is_told(
    error: EngineLostError | EngineRefusedError, *, fatal: bool
) -> None:
    async with running() as led:
        led.engine.refuses.append(error)
        led.leg.reconnect(Reconnect(0, ()))
        await until(lambda: bool(led.told))
        assert led.told == [EngineGone(fatal=fatal)]


async def test_a_session_that_breaks_is_told_and_closed() -> None:
    async with running() as led:
        led.leg.reconnect(Reconnect(0, ()))
        session = await led.engine.session()
        session.breaks()
        await until(lambda: session.closed)
        assert led.told == [EngineReady(77), EngineGone()]


async def test_a_session_that_is_replaced_is_closed_without_a_word() -> None:
    async with running() as led:
        led.leg.reconnect(Reconnect(0, ()))
        first = await led.engine.session()
        led.leg.reconnect(Reconnect(0, ()))
        await led.engine.session(2)
        await until(lambda: first.closed and len(led.told) == 2)
        assert led.told == [EngineReady(77), EngineReady(77)]
