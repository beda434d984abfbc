"""The agent's answer to one turn: the model asked, its tools run, its words returned.

Nothing here is counted or charged, and nothing is sent. After a crash the same turn is answered again: what
earlier attempts have written is shown to the model as calls of its own, and is not done twice.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from agents.arguments import parse_arguments
from agents.asking import Asking
from agents.errors import NoAnswerError, ToolFailedError
from agents.model import ChatMessage, ChatModel, ChatReply, ToolCall
from agents.prompt import Prompt
from agents.recorded import RecordedCall
from agents.retry import ModelPolicy
from agents.safe_text import safe_text
from agents.toolbox import Toolbox, told_of
from agents.tools.base import Tool, ToolContext

__all__ = ["Answer", "LengthLimit", "ModelPolicy", "answer"]

SHORTENING_S = 3.0  # less is not worth asking again

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the agent says, and what became of the turn meanwhile."""

    text: str  # the model's Markdown, no disclosure added; empty only if handed over
    cut_off: bool
    model: str  # the one of the policy's that answered last
    attempts: tuple[Mapping[str, object], ...]  # one per request, failed ones too
    tool_names: tuple[str, ...]  # each call that ran in this turn, in order
    wrote: bool  # a tool has changed something, in an earlier attempt or in this
    handed_over: str | None  # the reason, if a person is to go on: the caller changes the mode


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthLimit:
    """How long an answer may be where its length has a price, and what the model is asked if it is longer."""

    fits: Callable[[str], bool]
    request: str


async def answer(
    model: ChatModel,
    prompt: Prompt,
    tools: Sequence[Tool],
    context: ToolContext,
    policy: ModelPolicy,
    *,
    monotonic: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
    length: LengthLimit | None = None,
) -> Answer:
    """Answer a turn. The last of `rounds_max` rounds is without tools, so that it ends in words.

    An answer that is too long is asked for once more, shorter; whoever sends it cuts what is still too long.
    Raises NoAnswerError if no model answers in time, and whatever `context.transaction` raises. May be
    cancelled at any time: what a tool has committed by then is recorded.
    """
    asking = Asking(model, policy, monotonic=monotonic, sleep=sleep)
    toolbox = Toolbox(tools, context, policy, prompt.recorded)
    if toolbox.handed_over is not None:  # by an attempt that crashed before the mode was changed
        return _answer(asking, toolbox, None)
    try:
        messages = [*prompt.messages, *_replayed(prompt.recorded)]
        reply = await _converse(asking, toolbox, messages, policy.rounds_max)
        if length is not None and toolbox.handed_over is None:
            reply = await _shortened(asking, messages, reply, length)
        return _answer(asking, toolbox, reply)
    except NoAnswerError as error:
        raise NoAnswerError(error.attempts, wrote=toolbox.wrote) from None


async def _converse(asking: Asking, toolbox: Toolbox, messages: list[ChatMessage], rounds_max: int) -> ChatReply:
    """Return the reply that ends the turn: one without calls, the last round's, or one that hands over.

    What tools were asked and told is added to `messages`.
    """
    for _round in range(rounds_max - 1):
        reply = await asking.ask(messages, toolbox.definitions)
        if not toolbox.definitions or not reply.tool_calls:
            return reply
        told = await toolbox.run(reply.tool_calls, left_s=asking.left_s)
        if toolbox.handed_over is not None:
            return reply
        messages.extend(_exchange(reply.tool_calls, told, text=reply.text))
    return await asking.ask(messages, ())


async def _shortened(
    asking: Asking, messages: Sequence[ChatMessage], reply: ChatReply, length: LengthLimit
) -> ChatReply:
    """Return a shorter version of a reply that is too long, or the reply if the model has none."""
    long = safe_text(reply.text).strip()
    if length.fits(long) or asking.left_s < SHORTENING_S:
        return reply
    said = (ChatMessage(role="assistant", text=long), ChatMessage(role="user", text=length.request))
    shorter = await asking.ask_once([*messages, *said])
    if shorter is None:  # something to say is there already
        return reply
    short = safe_text(shorter.text).strip()
    return shorter if length.fits(short) or len(short) < len(long) else reply


def _answer(asking: Asking, toolbox: Toolbox, reply: ChatReply | None) -> Answer:
    return Answer(
        text=safe_text(reply.text).strip() if reply else "",
        cut_off=reply is not None and reply.cut_off,
        model=asking.model,
        attempts=asking.attempts,
        tool_names=toolbox.tool_names,
        wrote=toolbox.wrote,
        handed_over=toolbox.handed_over,
    )


def _replayed(recorded: Sequence[RecordedCall]) -> list[ChatMessage]:
    """Return the calls of earlier attempts as the model would have made them."""
    calls = [
        ToolCall(call_id=f"earlier{call.position:02}", name=call.name, arguments=json.dumps(dict(call.arguments)))
        for call in recorded
    ]
    return _exchange(calls, [told_of(call) for call in recorded]) if calls else []


def _exchange(calls: Sequence[ToolCall], told: Sequence[str], *, text: str = "") -> list[ChatMessage]:
    """Return a reply that called tools, and their results, as the next request's messages."""
    made = ChatMessage(role="assistant", text=safe_text(text), tool_calls=tuple(map(_as_history, calls)))
    results = [
        ChatMessage(role="tool", text=result, tool_call_id=call.call_id)
        for call, result in zip(made.tool_calls, told, strict=True)
    ]
    return [made, *results]


def _as_history(call: ToolCall) -> ToolCall:
    """Return a call as servers take it back: they refuse odd names, and some refuse arguments that are not JSON."""
    name = _NOT_IN_NAMES.sub("_", call.name)[:64] or "unknown"
    try:
        parse_arguments(call.arguments)
    except ToolFailedError:
        return ToolCall(call_id=safe_text(call.call_id), name=name, arguments="{}")
    return ToolCall(call_id=safe_text(call.call_id), name=name, arguments=safe_text(call.arguments).strip() or "{}")
