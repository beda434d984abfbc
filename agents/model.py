"""The seam to a language model: what we ask, what it answers.

Chat Completions as every compatible server speaks it; `agents.openai_model` is the one vendor side,
the simulator's server the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One function the model asked for; `arguments` is the JSON text as it came."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture shown to the model."""

    mime_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One message of the model's input or output."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    images: tuple[Image, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()  # assistant only
    tool_call_id: str | None = None  # tool only


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolDefinition:
    """A tool as the model sees it; `parameters` is a JSON schema."""

    name: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One request to a model."""

    model: str
    messages: Sequence[ChatMessage]
    tools: Sequence[ToolDefinition] = ()
    max_output_tokens: int  # the model's own cap, reasoning allowance included


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatReply:
    """What a model answered. `usage` is the provider's own count, stored and never charged."""

    text: str
    tool_calls: tuple[ToolCall, ...]
    model: str
    cut_off: bool  # the model stopped at the cap
    usage: Mapping[str, object] = field(default_factory=dict)


class ChatModel(Protocol):
    """A model that answers once per call, without retries of its own.

    Raises `ModelUnavailableError` and `ModelRefusedError`.
    """

    async def complete(self, request: ChatRequest, *, timeout_s: float) -> ChatReply: ...


class Transcriber(Protocol):
    """Speech to text for voice notes. Raises `ModelUnavailableError` and `ModelRefusedError`."""

    async def transcribe(self, content: bytes, *, mime_type: str, language: str, timeout_s: float) -> str: ...


class Speaker(Protocol):
    """Text to speech for notices. Raises `ModelUnavailableError` and `ModelRefusedError`."""

    async def speak(self, text: str, *, voice: str, language: str, timeout_s: float) -> bytes:
        """Return the text spoken: 16 bit little-endian samples, mono, 24 kHz."""
        ...
