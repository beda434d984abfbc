"""A call's sessions with its engine, one after the other: what they are told, and what they tell.

The caller's audio waits here while there is no session, five seconds of it at most; if a session takes none for a
second, the oldest is dropped. Commands go before audio: they are about what was said already.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, assert_never

import structlog

from gateway.voice.engines.base import EngineLostError, EngineRefusedError, EngineSession, Event, PastItem
from gateway.voice.media.alarm import Alarm
from gateway.voice.talk.signals import (
    AddWords,
    CancelAnswer,
    EngineCommand,
    EngineGone,
    EngineReady,
    GiveResult,
    Reconnect,
    Respond,
    Tell,
    Truncate,
)

WAITING_MS_MAX: Final = 5_000
BLOCKED_S: Final = 1.0

Open = Callable[[Sequence[PastItem]], Awaitable[EngineSession]]

log = structlog.get_logger(__name__)


class EngineLeg:
    """One call's engine.

    `open_session` opens a session that knows the past, raising EngineError; `tell` is told what sessions tell and
    become; `heard` how much audio was passed on, in milliseconds; `expires_ms` says when a session ends by itself.
    `dropped` counts frames that nobody was given.
    """

    def __init__(
        self,
        open_session: Open,
        tell: Callable[[Event | EngineReady | EngineGone], None],
        heard: Callable[[int], None],
        expires_ms: Callable[[EngineSession], int | None],
    ) -> None:
        self.dropped = 0
        self._open_session = open_session
        self._tell = tell
        self._heard = heard
        self._expires_ms = expires_ms
        self._alarm = Alarm()
        self._wanted: asyncio.Queue[Reconnect] = asyncio.Queue()
        self._audio: deque[tuple[str, int]] = deque()
        self._audio_ms = 0
        self._commands: deque[EngineCommand] = deque()
        self._sending_since: float | None = None
        self._is_deaf = False
        self._closing: set[asyncio.Task[None]] = set()

    def hear(self, payload: str, ms: int) -> None:
        """Pass caller audio on as soon as can be."""
        if self._is_deaf:
            return
        self._audio.append((payload, ms))
        self._audio_ms += ms
        if self._audio_ms > WAITING_MS_MAX or self._is_blocked():
            self._audio_ms -= self._audio.popleft()[1]
            self.dropped += 1
        self._alarm.ring()

    def command(self, command: EngineCommand) -> None:
        self._commands.append(command)
        self._alarm.ring()

    def stop_hearing(self) -> None:
        """Pass no more audio on, nor what waits."""
        self._is_deaf = True
        self._audio.clear()

    def reconnect(self, wanted: Reconnect) -> None:
        """Have another session; what the one before was still to be told dies with it."""
        self._commands.clear()
        self._wanted.put_nowait(wanted)

    async def run(self) -> None:
        """Open sessions as they are wanted and pump each until it is lost or replaced, for good."""
        try:
            while True:
                await self._have_session(await self._wanted.get())
        finally:
            await asyncio.gather(*self._closing)

    async def _have_session(self, wanted: Reconnect) -> None:
        await asyncio.sleep(wanted.after_ms / 1000)
        try:
            session = await self._open_session(wanted.past)
        except EngineLostError as error:
            log.warning("engine_not_reached", reason=error.reason)
            self._tell(EngineGone())
            return
        except EngineRefusedError as error:
            log.error("engine_refused", reason=error.reason)  # noqa: TRY400 - the reason says it all
            self._tell(EngineGone(fatal=True))
            return
        try:
            await self._pump(session)
        finally:
            closing = asyncio.create_task(session.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def _pump(self, session: EngineSession) -> None:
        """Pump a session until it is lost, which is told, or another one is wanted."""
        self._tell(EngineReady(self._expires_ms(session)))
        pumps = {asyncio.create_task(self._listen(session)), asyncio.create_task(self._speak(session))}
        replaced = asyncio.create_task(self._is_replaced())
        try:
            await asyncio.wait({*pumps, replaced}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*pumps, replaced):
                task.cancel()
            outcomes = await asyncio.gather(*pumps, replaced, return_exceptions=True)
            self._sending_since = None
        for outcome in outcomes:
            if isinstance(outcome, Exception) and not isinstance(outcome, EngineLostError):
                raise outcome
        if self._wanted.empty():
            reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, EngineLostError)]
            log.warning("engine_lost", reason=reasons[0] if reasons else "ended")
            self._tell(EngineGone())

    async def _is_replaced(self) -> None:
        """Return as soon as another session is wanted, and leave the wish where it is."""
        wanted = await self._wanted.get()
        self._wanted.put_nowait(wanted)

    async def _listen(self, session: EngineSession) -> None:
        async for event in session.events():
            self._tell(event)

    async def _speak(self, session: EngineSession) -> None:
        now = asyncio.get_running_loop().time
        while True:
            if self._commands:
                await _perform(session, self._commands.popleft())
            elif self._audio:
                payload, ms = self._audio.popleft()
                self._audio_ms -= ms
                self._sending_since = now()
                await session.hear(payload)
                self._sending_since = None
                self._heard(ms)
            else:
                await self._alarm.wait(None)

    def _is_blocked(self) -> bool:
        since = self._sending_since
        return since is not None and asyncio.get_running_loop().time() - since > BLOCKED_S


async def _perform(session: EngineSession, command: EngineCommand) -> None:
    match command:
        case Respond():
            await session.respond(command.instructions)
        case CancelAnswer():
            await session.cancel()
        case Truncate():
            await session.truncate(command.item_id, command.content_index, command.heard_ms)
        case Tell():
            await session.tell(command.text)
        case AddWords():
            await session.add_words(command.text)
        case GiveResult():
            await session.give_result(command.tool_call_id, command.result)
        case _:
            assert_never(command)
