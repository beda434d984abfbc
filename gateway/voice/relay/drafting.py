"""The answers of a call by text while they are made: one counts, abandoned ones are waited for in the end."""

import asyncio
from collections.abc import Callable

import structlog

from gateway.voice.relay.agent import RelayAgent
from gateway.voice.relay.signals import Answered, Draft, NotAnswered, Wrote

log = structlog.get_logger(__name__)


class Drafting:
    """`tell` is told what becomes of a draft."""

    def __init__(self, agent: RelayAgent, tell: Callable[[Answered | NotAnswered | Wrote], None]) -> None:
        self._agent = agent
        self._tell = tell
        self._current: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, draft: Draft) -> None:
        """Let the agent answer."""
        task = self._current = asyncio.create_task(self._make(draft))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def abandon(self) -> None:
        """Drop the answer that is being made."""
        if self._current is not None:
            self._current.cancel()
            self._current = None

    async def close(self) -> None:
        """Drop everything and wait until nothing of it runs."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _make(self, draft: Draft) -> None:
        try:
            told = await self._agent.answer(draft, on_write=lambda: self._tell(Wrote(draft=draft.draft)))
        except Exception:  # the task's outermost edge: the caller hears a word of regret instead of nothing
            log.exception("call_answer_broke")
            told = NotAnswered(draft=draft.draft)
        self._tell(told)
