"""An engine that says what the test wants, or nothing; and remembers how it was set up."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime

from gateway.voice.engines.base import EngineLostError, EngineSession, Event, Setup, Traits


@dataclass
class SilentSession:
    """Listens and never speaks."""

    engine: "ScriptedEngine"
    heard: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def expires_at(self) -> datetime | None:
        return None

    async def events(self) -> AsyncIterator[Event]:
        await self.over.wait()
        for event in self.engine.says:
            yield event

    async def hear(self, payload: str) -> None:
        self.heard.append(payload)

    async def respond(self, instructions: str | None = None) -> None: ...
    async def cancel(self) -> None: ...
    async def truncate(self, item_id: str, content_index: int, heard_ms: int) -> None: ...
    async def tell(self, text: str) -> None: ...
    async def add_words(self, text: str) -> None: ...
    async def give_result(self, tool_call_id: str, result: str) -> None: ...

    async def close(self) -> None:
        if not self.over.is_set():
            self.over.set()
            self.engine.closed += 1


@dataclass
class ScriptedEngine:
    """A vendor of silent sessions; `fails`: of none."""

    name: str = "realtime"
    traits: Traits = field(default_factory=Traits)
    fails: bool = False
    closed: int = 0
    says: tuple[Event, ...] = ()  # at the end of a session
    setups: list[Setup] = field(default_factory=list)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def connect(self, setup: Setup, *, timeout_s: float) -> EngineSession:
        del timeout_s
        self.setups.append(setup)
        self.opened.set()
        if self.fails:
            raise EngineLostError("timeout")
        return SilentSession(self)
