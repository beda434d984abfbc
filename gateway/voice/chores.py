"""What a call has done beside the conversation, one after the other: its transcript, and requests to Twilio."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import asyncpg
import structlog

from gateway.errors import TurnmeterError

DRAIN_S: Final = 10.0

Chore = Callable[[], Awaitable[object]]

log = structlog.get_logger(__name__)


class Chores:
    """One call's. What fails is logged and left; nothing of it holds the conversation up."""

    def __init__(self, call_id: object) -> None:
        self._call_id = str(call_id)
        self._waiting: asyncio.Queue[Chore] = asyncio.Queue()

    def add(self, chore: Chore) -> None:
        self._waiting.put_nowait(chore)

    async def run(self) -> None:
        """Do what comes, for good."""
        while True:
            chore = await self._waiting.get()
            try:
                await chore()
            except (TurnmeterError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                log.warning("call_chore_failed", call_id=self._call_id, error=type(error).__name__)
            finally:
                self._waiting.task_done()

    async def drain(self) -> None:
        """Wait until everything is done, but not for ever."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self._waiting.join()
