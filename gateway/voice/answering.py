"""What a process answers calls with: its engines, and the sessions it opens while Twilio still connects."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from uuid import UUID

import structlog

from gateway.line_directory import LineDirectory
from gateway.services import Services
from gateway.voice.engines.base import EngineError, EngineSession, VoiceEngine
from gateway.voice.notices import Shelf

WAITS_S: Final = 10.0
CLOSE_S: Final = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Opening:
    task: "asyncio.Task[EngineSession]"
    expiry: asyncio.TimerHandle


class Waiting:
    """Engine sessions by call: opened ahead, taken once, closed if nobody comes for them in time."""

    def __init__(self, waits_s: float = WAITS_S) -> None:
        self._waits_s = waits_s
        self._openings: dict[UUID, _Opening] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._openings)

    def open(self, call_id: UUID, connecting: Coroutine[Any, Any, EngineSession]) -> None:
        """Begin to open a session for a call; a second one for the same call is not begun."""
        if call_id in self._openings:
            connecting.close()
            return
        expiry = asyncio.get_running_loop().call_later(self._waits_s, self.drop, call_id)
        self._openings[call_id] = _Opening(asyncio.create_task(connecting), expiry)

    async def take(self, call_id: UUID) -> EngineSession | None:
        """Return the call's session, once it is open; None if none was opened, or opening it failed."""
        opening = self._openings.pop(call_id, None)
        if opening is None:
            return None
        opening.expiry.cancel()
        try:
            return await asyncio.shield(opening.task)
        except EngineError as error:
            log.warning("engine_not_opened", call_id=str(call_id), reason=error.reason)
            return None
        except asyncio.CancelledError:
            self._let_go(opening)
            raise

    def drop(self, call_id: UUID) -> None:
        """Close the call's session if it still waits."""
        opening = self._openings.pop(call_id, None)
        if opening is not None:
            opening.expiry.cancel()
            self._let_go(opening)

    async def close(self) -> None:
        """Close whatever waits."""
        for call_id in list(self._openings):
            self.drop(call_id)
        await asyncio.gather(*self._closing)

    def _let_go(self, opening: _Opening) -> None:
        closing = asyncio.create_task(_close(opening.task))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


async def _close(opening: "asyncio.Task[EngineSession]") -> None:
    """End a session, or the opening of one."""
    opening.cancel()
    try:
        session = await opening
    except (EngineError, asyncio.CancelledError):
        return
    await session.close()


class Watch(Protocol):
    """Whoever looks after a forwarded call in this process."""

    @property
    def task(self) -> "asyncio.Task[None]": ...

    def move(self) -> None:
        """Leave the call to another process at once."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """What the parts of a call share in one process."""

    services: Services
    engines: Mapping[str, VoiceEngine]  # by the name in an agent's configuration
    waiting: Waiting
    directory: LineDirectory
    shelf: Shelf = field(default_factory=Shelf)  # notices that calls of this process play
    forwards: dict[UUID, Watch] = field(default_factory=dict)  # by call

    async def close(self) -> None:
        """Close what waits for calls, and leave forwarded ones to another process."""
        watches = list(self.forwards.values())
        for watch in watches:
            watch.move()
        tasks = [watch.task for watch in watches]
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.waiting.close()


def build_voice(services: Services, engines: Mapping[str, VoiceEngine]) -> Voice:
    """Wire what answers calls in this process."""
    directory = LineDirectory(services.db, services.now)
    return Voice(services=services, engines=engines, waiting=Waiting(), directory=directory)
