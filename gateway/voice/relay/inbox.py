"""What happens in a call by text, in the order in which it happens, wherever it comes from."""

import asyncio
import contextlib

from gateway.voice.relay.signals import RelayTold


class Inbox:
    """One call's."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[RelayTold | None] = asyncio.Queue()

    def __len__(self) -> int:
        return self._waiting.qsize()

    def put(self, told: RelayTold) -> None:
        self._waiting.put_nowait(told)

    def wake(self) -> None:
        """End the waiting: something has changed that is no news to the dialogue."""
        self._waiting.put_nowait(None)

    async def next(self, wait_ms: int) -> RelayTold | None:
        """Return what happens next; None after that time, or once somebody wakes."""
        if not self._waiting.empty():
            return self._waiting.get_nowait()
        if wait_ms <= 0:
            await asyncio.sleep(0)
            return None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_ms / 1000):
                return await self._waiting.get()
        return None
