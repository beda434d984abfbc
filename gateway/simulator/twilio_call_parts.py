"""What a simulated call is made of: what happened to it, how it ends, who listens, who was dialled, who speaks."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from gateway.simulator.twilio_call_wire import QUIET, CallStatus
from gateway.simulator.twilio_playout import Heard

What = Literal[
    "answered",
    "document",  # its address
    "stream",  # its sid
    "stream_refused",  # the HTTP status
    "stream_ended",  # "gateway" or "twilio"
    "second_stream",  # the HTTP status it was refused with, or "accepted"
    "relay",
    "relay_ended",
    "cleared",  # how many marks came back
    "said",
    "dialled",
    "key",
    "updated",
    "error",
    "ended",  # the reason
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """Something that happened to a call."""

    at_ms: float
    what: What
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a call is to end: its last status, and who ended it."""

    status: CallStatus
    reason: str


class Listening(Protocol):
    """What a caller's words and keys go to, and what they hear comes from: a stream or a relay."""

    @property
    def takes_audio(self) -> bool:
        """Return whether it fetches the caller's frames."""

    async def hear_key(self, digit: str) -> None:
        """Take a key."""

    async def hear_words(self, text: str) -> None:
        """Take what the caller says, where Twilio recognises it. Raises NotImplementedError elsewhere."""

    def lose_connection(self) -> None:
        """Go dead without a word."""

    def heard(self) -> Sequence[Heard]:
        """Return what has been heard of it so far, in order."""

    def heard_ms(self) -> float:
        """Return for how long audio was heard of it."""


@dataclass(slots=True, kw_only=True)
class Leg:
    """A person who was dialled for a call: what became of it, and what they heard before they were joined."""

    sid: str
    number: str
    caller_id: str
    state: CallStatus = "queued"
    answered_at: float | None = None
    ended_at: float | None = None
    bridged: bool = False
    said: list[str] = field(default_factory=list)
    keys: "asyncio.Queue[str]" = field(default_factory=asyncio.Queue)


class Mouth:
    """What a caller is about to say, frame by frame."""

    def __init__(self) -> None:
        self._frames: deque[str] = deque()
        self._closed = asyncio.Event()
        self._closed.set()

    async def say(self, frames: Sequence[str]) -> None:
        """Say something after what is being said already; returns when all has been said, or was broken off."""
        self._frames.extend(frames)
        if self._frames:
            self._closed.clear()
        await self._closed.wait()

    def take(self) -> str:
        """Return the next frame."""
        if not self._frames:
            return QUIET
        frame = self._frames.popleft()
        if not self._frames:
            self._closed.set()
        return frame

    def close(self) -> None:
        self._frames.clear()
        self._closed.set()
