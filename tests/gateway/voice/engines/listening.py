"""A session with the fake server, and what it tells, kept as it comes."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from gateway.simulator.openai_realtime import FakeRealtime
from gateway.simulator.realtime_mind import RealtimeMind, Script
from gateway.voice.audio import BYTES_PER_MS, SILENCE
from gateway.voice.engines.base import AudioDelta, EngineLostError, Event, Setup
from gateway.voice.engines.realtime import Patience, RealtimeEngine, RealtimeSession

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
PATIENT_S = 30.0
SETUP = Setup(instructions="Du bist Lina vom Salon Lindenhof.", voice="marin", language="de-DE")
E = TypeVar("E")


def engine(url: str, *, api_key: str = "sk-secret", patience: Patience | None = None) -> RealtimeEngine:
    return RealtimeEngine(url, api_key, "gpt-realtime", now=lambda: NOW, patience=patience)


def silence(ms: int) -> bytes:
    return bytes([SILENCE]) * (ms * BYTES_PER_MS)


@dataclass
class Listener:
    """Reads a session to its end; `lost` is how it ended, None if it was closed."""

    session: RealtimeSession
    events: list[Event] = field(default_factory=list)
    lost: EngineLostError | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def listen(self) -> None:
        try:
            async for event in self.session.events():
                await self._note(event)
        except EngineLostError as error:
            self.lost = error
        async with self._changed:
            self._changed.notify_all()

    async def _note(self, event: Event) -> None:
        async with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    async def until(self, kind: type[E], *, count: int = 1, that: Callable[[E], bool] = lambda _event: True) -> E:
        """Wait for so many events of a kind; return the last of them."""

        def found() -> list[E]:
            return [event for event in self.events if isinstance(event, kind) and that(event)]

        async with asyncio.timeout(PATIENT_S), self._changed:
            await self._changed.wait_for(lambda: len(found()) >= count)
        return found()[count - 1]

    async def until_lost(self) -> EngineLostError:
        async with asyncio.timeout(PATIENT_S), self._changed:
            await self._changed.wait_for(lambda: self.lost is not None)
        assert self.lost is not None
        return self.lost

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def audio_of(self, item_id: str) -> bytes:
        return b"".join(delta.audio for delta in self.of(AudioDelta) if delta.item_id == item_id)

    async def hear(self, audio: bytes) -> None:
        """Let the session hear something, in frames as Twilio's, faster than it would be spoken."""
        for at in range(0, len(audio), 160):
            await self.session.hear(base64.b64encode(audio[at : at + 160]).decode())


@contextlib.asynccontextmanager
async def connected(url: str, setup: Setup = SETUP, *, patience: Patience | None = None) -> AsyncIterator[Listener]:
    session = await engine(url, patience=patience).connect(setup, timeout_s=PATIENT_S)
    listener = Listener(session)
    listening = asyncio.create_task(listener.listen())
    try:
        yield listener
    finally:
        await session.close()
        await listening


@contextlib.asynccontextmanager
async def in_session(
    mind: RealtimeMind | None = None, *, setup: Setup = SETUP, speed: float = 50.0
) -> AsyncIterator[tuple[Listener, FakeRealtime]]:
    """A server and a session with it; audio comes fast unless it matters."""
    fake = FakeRealtime(mind or Script(), speed=speed)
    async with fake.running() as url, connected(url, setup) as listener:
        yield listener, fake
