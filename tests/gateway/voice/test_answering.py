"""Sessions that are opened while Twilio connects: taken once, and closed if nobody comes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import pytest

from gateway.voice.answering import Waiting
from gateway.voice.engines.base import EngineLostError, EngineRefusedError, EngineSession, Event

CALL = UUID(int=1)
OTHER = UUID(int=2)


@dataclass
class Session:
    """Does nothing but being closed."""

    closed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def expires_at(self) -> datetime | None:
        return None

    async def events(self) -> AsyncIterator[Event]:
        return
        yield

    async def hear(self, payload: str) -> None: ...
    async def respond(self, instructions: str | None = None) -> None: ...
    async def cancel(self) -> None: ...
    async def truncate(self, item_id: str, content_index: int, heard_ms: int) -> None: ...
    async def tell(self, text: str) -> None: ...
    async def add_words(self, text: str) -> None: ...
    async def give_result(self, tool_call_id: str, result: str) -> None: ...

    async def close(self) -> None:
        self.closed.set()


async def opened(session: EngineSession) -> EngineSession:
    await asyncio.sleep(0)
    return session


async def failing(error: Exception) -> EngineSession:
    raise error


async def forever() -> EngineSession:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_session_is_taken_once() -> None:
    waiting, session = Waiting(), Session()
    waiting.open(CALL, opened(session))
    assert await waiting.take(CALL) is session
    assert await waiting.take(CALL) is None
    assert await waiting.take(OTHER) is None
    assert not session.closed.is_set()


async def test_a_session_nobody_comes_for_is_closed() -> None:
    waiting, session = Waiting(waits_s=0.01), Session()
    waiting.open(CALL, opened(session))
    await asyncio.wait_for(session.closed.wait(), 5)
    assert await waiting.take(CALL) is None
    assert len(waiting) == 0


async def test_a_session_that_was_taken_stays_open_however_long_the_call_lasts() -> None:
    waiting, session = Waiting(waits_s=0.01), Session()
    waiting.open(CALL, opened(session))
    assert await waiting.take(CALL) is session
    await asyncio.sleep(0.05)
    assert not session.closed.is_set()


async def test_a_second_opening_for_the_same_call_is_not_begun() -> None:
    waiting, first, second = Waiting(), Session(), Session()
    waiting.open(CALL, opened(first))
    waiting.open(CALL, opened(second))
    assert await waiting.take(CALL) is first
    assert len(waiting) == 0


@pytest.mark.parametrize("error", [EngineLostError("timeout"), EngineRefusedError("invalid_api_key")])
async def test_a_session_that_could_not_be_opened_is_none(error: Exception) -> None:
    waiting = Waiting()
    waiting.open(CALL, failing(error))
    assert await waiting.take(CALL) is None


async def test_dropping_and_closing_end_what_is_open_and_what_is_being_opened() -> None:
    waiting, ready = Waiting(), Session()
    waiting.open(CALL, opened(ready))
    await asyncio.sleep(0.01)
    waiting.open(OTHER, forever())
    waiting.drop(CALL)
    await waiting.close()
    assert ready.closed.is_set()
    assert len(waiting) == 0


async def test_a_call_that_ends_while_its_session_is_being_opened_leaves_none() -> None:
    waiting = Waiting()
    waiting.open(CALL, forever())
    taking = asyncio.create_task(waiting.take(CALL))
    await asyncio.sleep(0.01)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    await waiting.close()
    assert len(asyncio.all_tasks()) == 1
