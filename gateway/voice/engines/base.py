"""The seam to whatever listens and speaks in a call (pure): what it is given, what it tells, what it is asked.

A vendor's speech model over its own socket is one `VoiceEngine`; its audio is telephone audio (mu-law, 8 kHz, mono),
which is never decoded on the way. Engines differ in what they count, and in whether they notice interruptions by
themselves: `Traits` says so, and whoever runs the call goes by that.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from agents.model import ToolDefinition

Counted = Literal["audio", "text", "seconds"]
Noise = Literal["near_field", "far_field", "none"]
ResponseStatus = Literal["completed", "cancelled", "incomplete", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What an engine is like.

    `counts`: what its usage is made of. The meter always counts audio streamed and heard, or text where only text
    passes through us; an engine that reports seconds has them stored beside that.
    `full_duplex`: it hears while it speaks and falls silent by itself, so nothing is cancelled or truncated for it;
    what waits to be played is dropped all the same.
    """

    counts: Counted = "audio"
    full_duplex: bool = False
    session_s_max: float | None = None  # it ends its own session then; a new one is begun before


@dataclass(frozen=True, slots=True, kw_only=True)
class PastItem:
    """Something of the call so far that a new session must know: words that were said and heard, tools that ran."""

    kind: Literal["customer", "agent", "tool"]
    text: str  # the words, or the tool's result
    tool_name: str = ""
    tool_arguments: str = ""
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How a session is to begin. `past` is empty but for a call that goes on."""

    instructions: str
    voice: str
    language: str
    tools: Sequence[ToolDefinition] = ()
    past: Sequence[PastItem] = ()
    interrupts_itself: bool = True  # False: the caller must have spoken for a while, which we watch
    noise: Noise = "near_field"  # what is filtered out: as for a handset, as for a loudspeaker, nothing
    speed: float = 1.0  # of the speech


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStarted:
    """The caller has begun to speak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStopped:
    """The caller has stopped speaking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseStarted:
    """The engine has begun to answer."""

    response_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioDelta:
    """Some of what the agent says."""

    response_id: str
    item_id: str
    content_index: int
    audio: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioDone:
    """An item's audio is complete."""

    item_id: str
    content_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenText:
    """The words of an item, or the next of them."""

    item_id: str
    text: str
    is_final: bool  # then it is the whole text


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardText:
    """What the caller said, as the engine understood it."""

    item_id: str
    text: str
    usage: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolAsked:
    """The engine wants a tool run. `tool_call_id` names the call for good."""

    response_id: str
    tool_call_id: str
    name: str
    arguments: str  # JSON as it came


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseEnded:
    """An answer is complete, was cut short, or failed. `usage` is the provider's own count."""

    response_id: str
    status: ResponseStatus
    reason: str = ""
    usage: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """What an engine has counted that is paid by the second."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """The engine objects. Fatal: no session will work again, such as an account without money.

    Harmless: a race that both sides can live with, such as a cancellation of what had just ended.
    """

    code: str
    severity: Literal["harmless", "error", "fatal"]


Event = (
    SpeechStarted
    | SpeechStopped
    | ResponseStarted
    | AudioDelta
    | AudioDone
    | SpokenText
    | HeardText
    | ToolAsked
    | ResponseEnded
    | Seconds
    | Trouble
)


class EngineSession(Protocol):
    """One session with an engine, configured and ready.

    Every call but `close` raises EngineLostError if the session is gone or does not take what it is given within two
    seconds. After that only `close` is of use.
    """

    @property
    def expires_at(self) -> datetime | None:
        """When the vendor ends the session, as far as it says."""
        ...

    def events(self) -> AsyncIterator[Event]:
        """Yield what the engine tells, until it ends; raises EngineLostError unless `close` was called."""
        ...

    async def hear(self, payload: str) -> None:
        """Pass caller audio on: mu-law in base64, as Twilio gave it."""
        ...

    async def respond(self, instructions: str | None = None) -> None:
        """Ask for an answer now, to be said by these instructions if there are any."""
        ...

    async def cancel(self) -> None:
        """End the answer that is being made, if there is one."""
        ...

    async def truncate(self, item_id: str, content_index: int, heard_ms: int) -> None:
        """Say how much of an item the caller has heard: never more than the item has."""
        ...

    async def tell(self, text: str) -> None:
        """Add a note from us to what the engine knows, without asking for an answer."""
        ...

    async def add_words(self, text: str) -> None:
        """Add something that the caller has said otherwise than aloud, such as keys pressed; asks for no answer."""
        ...

    async def give_result(self, tool_call_id: str, result: str) -> None:
        """Tell what a tool brought, without asking for an answer."""
        ...

    async def close(self) -> None:
        """End the session; never raises and may be called at any time."""
        ...


class VoiceEngine(Protocol):
    """A vendor of sessions."""

    @property
    def name(self) -> str:
        """The engine's name in configuration and in calls."""
        ...

    @property
    def traits(self) -> Traits: ...

    async def connect(self, setup: Setup, *, timeout_s: float) -> EngineSession:
        """Open and configure a session. Raises EngineLostError (may work again), EngineRefusedError (will not)."""
        ...


class EngineError(Exception):
    """The engine does not answer the call; `reason` is a code without secrets or words of anybody."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class EngineLostError(EngineError):
    """The session is gone; another may work."""


class EngineRefusedError(EngineError):
    """The vendor will take no session: no money, no valid key, no such model."""
