"""The pulse of all simulated calls: each sends a frame every 20 ms, from one task.

A task with a timer for each call would cost more than the frames. Calls are spread over the 20 ms, as they are in
life: if all sent at one instant, the gateway's delay would measure that and nothing else.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

SLOTS = 20
FRAME_S = 0.02

Tick = Callable[[], Awaitable[None]]


class Ticker:
    """Calls every `Tick` 50 times a second, on an absolute clock: after a stall the missed ones follow at once."""

    def __init__(self) -> None:
        self._slots: list[list[Tick]] = [[] for _ in range(SLOTS)]
        self._waiting = asyncio.Event()

    @property
    def ticks(self) -> Sequence[Tick]:
        """Everything that is called."""
        return [tick for slot in self._slots for tick in slot]

    def add(self, tick: Tick) -> None:
        min(self._slots, key=len).append(tick)
        self._waiting.set()

    def remove(self, tick: Tick) -> None:
        for slot in self._slots:
            with contextlib.suppress(ValueError):
                slot.remove(tick)

    async def run(self) -> None:
        """Run until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._waiting.wait()
            begun_at, beat = loop.time(), 0
            while any(self._slots):
                for at, slot in enumerate(self._slots):
                    if slot:
                        await asyncio.sleep(max(0.0, begun_at + (beat + at / SLOTS) * FRAME_S - loop.time()))
                    for tick in tuple(slot):
                        await tick()
                beat += 1
            self._waiting.clear()
