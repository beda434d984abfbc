"""The calls that this process pumps right now: who they are, what they have used, how to move or end them."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFigures:
    """A live call's meter as it stands: charged already, and used since the last settlement."""

    seconds: float
    minutes_charged: int
    input_tokens: int
    output_tokens: int
    charged_millicredits: int  # of this call, so far
    unsettled_millicredits: int  # used within what is held
    held_millicredits: int
    state: str  # as the dialogue names it: speaking, listening, …


class LiveCall(Protocol):
    """One call in this process."""

    @property
    def tenant_id(self) -> UUID: ...

    @property
    def call_id(self) -> UUID: ...

    def figures(self) -> CallFigures:
        """Return the meter as it stands."""
        ...

    def move(self) -> None:
        """Let the call go on in another process as soon as nobody is in the middle of a word."""
        ...

    def end(self, reason: str) -> None:
        """Say goodbye and end the call."""
        ...


class LiveCalls:
    """Whoever pumps a call adds it, and takes it out on whatever way it ends."""

    def __init__(self) -> None:
        self._calls: dict[UUID, LiveCall] = {}
        self._of_tenant: Counter[UUID] = Counter()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def calls(self) -> Mapping[UUID, LiveCall]:
        return self._calls

    def add(self, call: LiveCall) -> None:
        self._calls[call.call_id] = call
        self._of_tenant[call.tenant_id] += 1

    def discard(self, call: LiveCall) -> None:
        if self._calls.get(call.call_id) is call:
            del self._calls[call.call_id]
            self._of_tenant -= Counter([call.tenant_id])
            self._changed.set()

    def of_tenant(self, tenant_id: UUID) -> int:
        return self._of_tenant[tenant_id]

    async def drained(self) -> None:
        """Wait until no call is left."""
        while self._calls:
            self._changed.clear()
            await self._changed.wait()
