"""The pulse of simulated calls: never ahead of its time, never a beat lost."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.simulator.twilio_ticker import FRAME_S, SLOTS, Tick, Ticker


@pytest.fixture
async def ticker() -> AsyncIterator[Ticker]:
    ticker = Ticker()
    running = asyncio.create_task(ticker.run())
    yield ticker
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def noting(at_s: list[float]) -> Tick:
    """Return a tick that notes when it was called."""

    async def tick() -> None:
        at_s.append(asyncio.get_running_loop().time())

    return tick


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - a pulse tells nobody but those who are called
            await asyncio.sleep(0.005)


async def test_everyone_is_called_on_an_absolute_clock(ticker: Ticker) -> None:
    begun_at = asyncio.get_running_loop().time()
    noted: list[list[float]] = [[] for _ in range(SLOTS + 5)]
    for at_s in noted:
        ticker.add(noting(at_s))
    assert len(ticker.ticks) == len(noted)
    await until(lambda: min(map(len, noted)) >= 10)
    for at_s in noted:
        assert all(time >= begun_at + beat * FRAME_S - 0.002 for beat, time in enumerate(at_s))
    assert max(map(len, noted)) - min(map(len, noted)) <= 1


async def test_beats_that_a_stall_has_swallowed_follow_at_once(ticker: Ticker) -> None:
    at_s: list[float] = []
    pauses = 0
    note = noting(at_s)

    async def stalling() -> None:
        await note()
        if len(at_s) == 1:
            await asyncio.sleep(50 * FRAME_S)

    async def pausing() -> None:
        nonlocal pauses
        while True:
            await asyncio.sleep(FRAME_S)
            pauses += 1

    ticker.add(stalling)
    await until(lambda: len(at_s) == 1)
    await asyncio.sleep(48 * FRAME_S)
    counting = asyncio.create_task(pausing())
    await until(lambda: len(at_s) >= 50)
    assert pauses < 25  # somebody who keeps the pace meanwhile would have needed 49
    counting.cancel()


async def test_who_is_removed_is_called_no_more_and_the_pulse_begins_again(ticker: Ticker) -> None:
    at_s: list[float] = []
    tick = noting(at_s)
    ticker.add(tick)
    await until(lambda: len(at_s) >= 2)
    ticker.remove(tick)
    assert ticker.ticks == []
    before = len(at_s)
    await asyncio.sleep(3 * FRAME_S)
    assert len(at_s) == before
    ticker.add(tick)
    await until(lambda: len(at_s) > before)
