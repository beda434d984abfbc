"""What a dialogue by text is told besides Twilio's messages, and what it wants done (pure). See also `signals`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from gateway.voice.call_meter import Continued, CutOff, WrapUp
from gateway.voice.engines.base import PastItem
from gateway.voice.engines.conversation_relay_wire import RelayEvent
from gateway.voice.relay.speech import Heard
from gateway.voice.talk.signals import (
    CallerGone,
    EndAsked,
    Forward,
    HangUp,
    Move,
    MoveAsked,
    NoteCaller,
    NotForwarded,
    NotMoved,
    RecordCall,
)

Ending = Literal["end_call", "transfer_call"]

# What it is told.


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The agent's words, in Markdown. `ending`: what it does with the call after them."""

    draft: int
    text: str = field(repr=False)
    ending: Ending | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAnswered:
    """No model had an answer."""

    draft: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrote:
    """A tool begins to change something: the draft is not abandoned any more."""

    draft: int


RelayTold = (
    RelayEvent
    | Answered
    | NotAnswered
    | Wrote
    | WrapUp
    | Continued
    | CutOff
    | NotForwarded
    | NotMoved
    | MoveAsked
    | EndAsked
    | CallerGone
)

# What it wants.


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Give Twilio something to speak, piece by piece. Preemptible: what is said next may cut it off."""

    pieces: Sequence[str] = field(repr=False)
    interruptible: bool
    preemptible: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Let the agent answer `words`, the caller's newest, knowing what was said and heard before."""

    draft: int
    past: tuple[PastItem, ...] = field(repr=False)
    words: tuple[str, ...] = field(repr=False)
    notes: tuple[str, ...] = ()  # for the agent, not for the caller


@dataclass(frozen=True, slots=True)
class Abandon:
    """Drop the answer that is being made."""


RelayEffect = Say | Draft | Abandon | Heard | NoteCaller | RecordCall | Forward | Move | HangUp
