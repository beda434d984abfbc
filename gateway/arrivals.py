"""What has just arrived in this process: so that nobody waits for the next poll.

Only a convenience. Other processes' arrivals are found in the database, so everything stays correct
when an announcement is lost; it is merely a poll later.
"""

import asyncio
import heapq
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID
from weakref import WeakValueDictionary

ANNOUNCED_MAX = 10_000  # a process that only serves the web never takes any out
ANNOUNCED_FOR = timedelta(seconds=10)  # after that a poll has long found the work


class Arrivals:
    """Due times announced in this process, and the conversations somebody is watching."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._due: list[datetime] = []
        self._earlier = asyncio.Event()
        # Weak: a watcher that lets go of its event needs no farewell.
        self._watched: WeakValueDictionary[UUID, asyncio.Event] = WeakValueDictionary()

    def announce(self, tenant_id: UUID, conversation_id: UUID, due_at: datetime | None) -> None:
        """Something changed in a conversation; there is work at `due_at`, or none (None)."""
        del tenant_id  # ids are unique across tenants; named here so that callers think of it
        watched = self._watched.get(conversation_id)
        if watched is not None:
            watched.set()
        if due_at is None:
            return
        self._forget(before=self._now() - ANNOUNCED_FOR)
        if len(self._due) < ANNOUNCED_MAX:
            heapq.heappush(self._due, due_at)
            if self._due[0] == due_at:
                self._earlier.set()

    async def wait_until(self, deadline: datetime) -> None:
        """Wait until the deadline or the first announced due time, whichever is earlier."""
        while True:
            target = min([deadline, *self._due[:1]])
            self._earlier.clear()
            if await self._earlier_than(target):
                continue
            self._forget(before=self._now())
            return

    def watch(self, conversation_id: UUID) -> asyncio.Event:
        """Return an event that is set when something changes in a conversation; keep it as long as you watch."""
        event = self._watched.get(conversation_id)
        if event is None or event.is_set():
            event = self._watched[conversation_id] = asyncio.Event()
        return event

    async def _earlier_than(self, target: datetime) -> bool:
        """Wait for the target; True as soon as something earlier was announced."""
        try:
            await asyncio.wait_for(self._earlier.wait(), max(0.0, (target - self._now()).total_seconds()))
        except TimeoutError:
            return False
        return True

    def _forget(self, *, before: datetime) -> None:
        while self._due and self._due[0] <= before:
            heapq.heappop(self._due)
