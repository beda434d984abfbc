"""An engine whose sessions a test leads: it says, asks and breaks when told to, and remembers what it was told."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime

from gateway.voice.engines.base import (
    AudioDelta,
    AudioDone,
    EngineLostError,
    EngineRefusedError,
    EngineSession,
    Event,
    ResponseEnded,
    ResponseStarted,
    Setup,
    SpokenText,
    ToolAsked,
    Traits,
)


@dataclass
class LiveSession:
    """One session; `asked` is what it was asked to say, `done` all that it was told besides audio."""

    setup: Setup
    expires_at: datetime | None = None
    heard: list[str] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)
    done: list[tuple[object, ...]] = field(default_factory=list)
    closed: bool = False
    number: int = 1  # of the engine's sessions: what it names is named by nobody else
    takes: asyncio.Event = field(default_factory=asyncio.Event)  # audio; else it blocks, without saying so
    _events: "asyncio.Queue[Event | EngineLostError | None]" = field(default_factory=asyncio.Queue)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _answers: int = 0

    def __post_init__(self) -> None:
        self.takes.set()

    async def events(self) -> AsyncIterator[Event]:
        while (event := await self._events.get()) is not None:
            if isinstance(event, EngineLostError):
                raise event
            yield event

    async def hear(self, payload: str) -> None:
        await self.takes.wait()
        self.heard.append(payload)
        self._changed.set()

    async def respond(self, instructions: str | None = None) -> None:
        self.asked.append(instructions)
        self._note("respond")

    async def cancel(self) -> None:
        self._note("cancel")

    async def truncate(self, item_id: str, content_index: int, heard_ms: int) -> None:
        self._note("truncate", item_id, content_index, heard_ms)

    async def tell(self, text: str) -> None:
        self._note("tell", text)

    async def add_words(self, text: str) -> None:
        self._note("words", text)

    async def give_result(self, tool_call_id: str, result: str) -> None:
        self._note("result", tool_call_id, result)

    async def close(self) -> None:
        self.closed = True
        self._events.put_nowait(None)

    def tells(self, *events: Event) -> None:
        for event in events:
            self._events.put_nowait(event)

    def says(self, text: str, ms: int, *, byte: int = 100, ends: bool = True) -> str:
        """Give an answer; return its item."""
        self._answers += 1
        item, response = (f"{what}-{self.number}-{self._answers}" for what in ("item", "response"))
        self.tells(
            ResponseStarted(response_id=response),
            AudioDelta(response_id=response, item_id=item, content_index=0, audio=bytes([byte]) * ms * 8),
            SpokenText(item_id=item, text=text, is_final=ends),
        )
        if ends:
            self.tells(
                AudioDone(item_id=item, content_index=0), ResponseEnded(response_id=response, status="completed")
            )
        return item

    def uses(self, name: str, arguments: str = "{}", call_id: str = "tool-1") -> None:
        """Ask for a tool, in an answer without words."""
        response = f"wordless-{call_id}"
        self.tells(
            ResponseStarted(response_id=response),
            ToolAsked(response_id=response, tool_call_id=call_id, name=name, arguments=arguments),
            ResponseEnded(response_id=response, status="completed", usage={"total_tokens": 7}),
        )

    def breaks(self) -> None:
        self._events.put_nowait(EngineLostError("connection lost"))

    async def until_asked(self, times: int = 1) -> None:
        await self.until(lambda: len(self.asked) >= times)

    async def until(self, condition: object) -> None:
        assert callable(condition)
        async with asyncio.timeout(20):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def told(self, kind: str) -> list[tuple[object, ...]]:
        return [told[1:] for told in self.done if told[0] == kind]

    def _note(self, *told: object) -> None:
        self.done.append(told)
        self._changed.set()


@dataclass
class LiveEngine:
    """A vendor of led sessions. `refuses` are what the next connections come to instead."""

    name: str = "realtime"
    traits: Traits = field(default_factory=Traits)
    expires_at: datetime | None = None
    sessions: list[LiveSession] = field(default_factory=list)
    refuses: "deque[EngineLostError | EngineRefusedError]" = field(default_factory=deque)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    _opened: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def connect(self, setup: Setup, *, timeout_s: float) -> EngineSession:
        del timeout_s
        await self.gate.wait()
        if self.refuses:
            raise self.refuses.popleft()
        session = LiveSession(setup, self.expires_at, number=len(self.sessions) + 1)
        self.sessions.append(session)
        self._opened.set()
        return session

    async def session(self, number: int = 1) -> LiveSession:
        """Return the session of that number, once it is open."""
        async with asyncio.timeout(20):
            while len(self.sessions) < number:
                self._opened.clear()
                await self._opened.wait()
        return self.sessions[number - 1]
