"""How late the event loop wakes its sleepers: what says that a process has enough to do."""

import asyncio
from collections import deque
from typing import Final

PROBE_EVERY_S: Final = 0.1
PROBES_KEPT: Final = 50  # five seconds


class LoopLag:
    """The lag of the last seconds, in seconds; nothing is measured until `measure` runs."""

    def __init__(self) -> None:
        self._lags: deque[float] = deque(maxlen=PROBES_KEPT)

    @property
    def last_s(self) -> float:
        return self._lags[-1] if self._lags else 0.0

    @property
    def p95_s(self) -> float:
        """Return what all but one in twenty of the last probes stayed below."""
        ordered = sorted(self._lags)
        return ordered[int(0.95 * (len(ordered) - 1))] if ordered else 0.0

    async def measure(self) -> None:
        """Probe for good."""
        loop = asyncio.get_running_loop()
        while True:
            asleep_at = loop.time()
            await asyncio.sleep(PROBE_EVERY_S)
            self._lags.append(max(0.0, loop.time() - asleep_at - PROBE_EVERY_S))
