"""Waiting until a time comes or somebody rings, whichever is first."""

import asyncio


class Alarm:
    """For one who waits and any who ring; ringing before the waiting counts."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self, timeout_s: float | None) -> None:
        """Return once it has rung since the last time, or so many seconds have passed; None: only by ringing.

        Others have their turn in any case.
        """
        if self._rung.is_set():
            self._rung.clear()
            await asyncio.sleep(0)
            return
        timer = None if timeout_s is None else asyncio.get_running_loop().call_later(timeout_s, self._rung.set)
        try:
            await self._rung.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._rung.clear()
