"""What a simulated speech model decides: the words it says and the tools it uses (pure but for its waiting).

A mind is asked once for each answer. The demo's is a set of rules, a test's is a script.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """One item of the conversation; of what the agent said, only as much as it was told that the caller heard."""

    kind: Literal["customer", "agent", "note", "tool_call", "tool_result"]
    text: str  # the words, the arguments as JSON, or the result
    name: str = ""  # of the tool
    call_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """What a mind knows of its session."""

    instructions: str
    language: str  # "de", "en"; "" if it was not told
    tools: tuple[Mapping[str, object], ...]
    items: tuple[Remembered, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """The caller has finished speaking; `text` is "" for what nobody understood."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An answer is asked for without anybody having spoken; `instructions` is what is said beyond the session's."""

    instructions: str


@dataclass(frozen=True, slots=True)
class Utter:
    """Words to be said, as one item of audio."""

    text: str


@dataclass(frozen=True, slots=True)
class UseTool:
    """A tool to be asked for."""

    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)


MindEvent = Spoken | Asked
Action = Utter | UseTool


class RealtimeMind(Protocol):
    """Decides what is said."""

    async def hear(self, session: SessionView, event: MindEvent) -> Sequence[Action]:
        """Return what one answer is made of, in order; nothing is an answer without words."""
        ...


class Script:
    """Answers in the order of the script, whatever is said; then nothing more. A text is one utterance.

    `heard` is what it was asked, each time with what it knew then.
    """

    def __init__(self, *answers: str | Action | Sequence[Action]) -> None:
        self.answers = list(answers)
        self.heard: list[tuple[SessionView, MindEvent]] = []

    async def hear(self, session: SessionView, event: MindEvent) -> Sequence[Action]:
        self.heard.append((session, event))
        return _actions(self.answers.pop(0)) if self.answers else ()


class Thinking:
    """A mind from a function."""

    def __init__(self, think: Callable[[SessionView, MindEvent], Awaitable[str | Action | Sequence[Action]]]) -> None:
        self._think = think

    async def hear(self, session: SessionView, event: MindEvent) -> Sequence[Action]:
        return _actions(await self._think(session, event))


def _actions(answer: str | Action | Sequence[Action]) -> Sequence[Action]:
    match answer:
        case str():
            return (Utter(answer),)
        case Utter() | UseTool():
            return (answer,)
        case _:
            return answer
