"""The vocabulary of a dialogue (pure): what it is told besides frames and engine events, and what it wants done.

A dialogue waits for nothing and touches nothing. The session performs what it wants, in the order given.
"""

from dataclasses import dataclass

from gateway.voice.engines.base import PastItem, ToolAsked

# What a dialogue is told.


@dataclass(frozen=True, slots=True)
class EngineReady:
    """A session listens; its vendor ends it at `expires_ms`, if it ever does."""

    expires_ms: int | None = None


@dataclass(frozen=True, slots=True)
class EngineGone:
    """The session is lost, or none could be had. Fatal: none will be had."""

    fatal: bool = False


@dataclass(frozen=True, slots=True)
class ToolDone:
    """What a tool brought, in words for the model."""

    tool_call_id: str
    result: str


@dataclass(frozen=True, slots=True)
class NotForwarded:
    """Nobody can be dialled: not affordable, or Twilio refuses. The call is still ours."""


@dataclass(frozen=True, slots=True)
class NotMoved:
    """The call could not be handed to another process, so it goes on here."""


@dataclass(frozen=True, slots=True)
class MoveAsked:
    """Another process is to go on as soon as nobody is in the middle of a word."""


@dataclass(frozen=True, slots=True)
class EndAsked:
    """Somebody outside the call wants it ended, politely."""

    reason: str


@dataclass(frozen=True, slots=True)
class CallerGone:
    """The caller's leg is over: hung up, or its socket is dead."""

    reason: str


Told = EngineReady | EngineGone | ToolDone | NotForwarded | NotMoved | MoveAsked | EndAsked | CallerGone

# What it wants done: by the engine, …


@dataclass(frozen=True, slots=True)
class Respond:
    """Ask for an answer, by these instructions if there are any."""

    instructions: str | None = None


@dataclass(frozen=True, slots=True)
class CancelAnswer:
    """End the answer that is being made."""


@dataclass(frozen=True, slots=True)
class Truncate:
    """Say how much of an item was heard."""

    item_id: str
    content_index: int
    heard_ms: int


@dataclass(frozen=True, slots=True)
class Tell:
    """Add a note to what the model knows."""

    text: str


@dataclass(frozen=True, slots=True)
class AddWords:
    """Add something that the caller has said otherwise than aloud."""

    text: str


@dataclass(frozen=True, slots=True)
class GiveResult:
    """Tell the model what a tool brought."""

    tool_call_id: str
    result: str


EngineCommand = Respond | CancelAnswer | Truncate | Tell | AddWords | GiveResult


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Close the session, if there is one, and open another that knows the past; caller audio waits meanwhile."""

    after_ms: int
    past: tuple[PastItem, ...]


# … by the carrier, …


@dataclass(frozen=True, slots=True)
class Clear:
    """Throw away what the carrier has of us and has not played."""


@dataclass(frozen=True, slots=True)
class StopHearing:
    """Pass no more of the caller's audio on, for good: nothing more is counted."""


# … by ourselves, …


@dataclass(frozen=True, slots=True)
class RunTool:
    """Run a tool and tell what it brought."""

    asked: ToolAsked


@dataclass(frozen=True, slots=True)
class NoteCaller:
    """Put the caller's words into the transcript; `ago_ms` is when they began, for they are understood later."""

    text: str
    ago_ms: int = 0


@dataclass(frozen=True, slots=True)
class NoteAgent:
    """Put our words into the transcript, and what was heard of them."""

    text_spoken: str
    text_heard: str
    heard_ms: int
    interrupted: bool


@dataclass(frozen=True, slots=True)
class RecordCall:
    """The caller is asked whether the call may be recorded, or has answered; None: not yet."""

    agreed: bool | None


# … and in the end, one of these.


@dataclass(frozen=True, slots=True)
class Forward:
    """Dial a person and connect the caller. May come back as NotForwarded."""

    reason: str


@dataclass(frozen=True, slots=True)
class Move:
    """Save how far the call has got and let another process go on. May come back as NotMoved."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call; `say` is what the carrier's own voice is to say first."""

    reason: str
    say: str | None = None


Effect = (
    EngineCommand
    | Reconnect
    | Clear
    | StopHearing
    | RunTool
    | NoteCaller
    | NoteAgent
    | RecordCall
    | Forward
    | Move
    | HangUp
)
