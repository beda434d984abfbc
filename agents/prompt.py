"""The model's input for one turn, within a token budget (pure).

One system message, the newest history that fits, the new messages. The system message begins with what never
changes within a version, so that providers' prompt caches hit, and ends with what changes from turn to turn: one
and the first, because many servers refuse a system message anywhere else. `input_tokens` is what is charged: the
text of these messages, one by one. Tool definitions, recorded tool traffic and images are free.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from agents.agent import AgentConfiguration
from agents.model import ChatMessage, Image
from agents.prompt_text import cut_mark, late_mark, stable_text, team_mark, volatile_text
from agents.recorded import RecordedCall

IMAGES_MAX = 4
LATE_AFTER = timedelta(minutes=15)
NEWEST_TOKENS_MIN = 256  # the newest message gets so many even if nothing else leaves room

CountTokens = Callable[[str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryMessage:
    """A message of the conversation; `member` is a person of the business who wrote to the customer."""

    role: Literal["customer", "agent", "member"]
    text: str
    at: datetime
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a turn is answered from, and what earlier attempts of the turn have done already."""

    messages: tuple[ChatMessage, ...]
    input_tokens: int
    recorded: tuple[RecordedCall, ...] = ()


@dataclass(frozen=True, slots=True)
class _Counted:
    """A message and its tokens: every text is counted once."""

    message: ChatMessage
    tokens: int


def build_prompt(
    *,
    configuration: AgentConfiguration,
    channel: str,
    contact_facts: Mapping[str, object],
    history: Sequence[HistoryMessage],
    new_messages: Sequence[HistoryMessage],
    now: datetime,
    count_tokens: CountTokens,
    budget_tokens: int,
    first_answer: bool,
    recorded: Sequence[RecordedCall] = (),
    answer_characters_max: int | None = None,
) -> Prompt:
    """Return the prompt of a turn; the same arguments give the same prompt.

    `history` and `new_messages` are oldest first. History is left out from its oldest end, never within a
    message; new messages only if they alone are too long, the newest is cut with a mark then. The budget is
    exceeded only by a system text that does so itself, and then by the newest message's first tokens.
    `answer_characters_max` is told to the model, where the length of an answer has a price of its own.
    """
    here = configuration.on_channel(channel)

    def count(message: ChatMessage) -> _Counted:
        return _Counted(message, count_tokens(message.text))

    volatile = volatile_text(
        here,
        contact_facts=contact_facts,
        now=now,
        first_answer=first_answer,
        count_tokens=count_tokens,
        answer_characters_max=answer_characters_max,
    )
    system = count(ChatMessage(role="system", text=f"{stable_text(here, channel)}\n\n{volatile}"))
    room = budget_tokens - system.tokens
    written = [_new_message(here, message, now) for message in new_messages]
    newest = _fit_new(_with_few_images(written), room=room, mark=cut_mark(here), count_tokens=count_tokens)
    room -= sum(counted.tokens for counted in newest)
    past = _fit_history(here, history, room=room, count=count)
    everything = (system, *past, *newest)
    return Prompt(
        messages=tuple(counted.message for counted in everything),
        input_tokens=sum(counted.tokens for counted in everything),
        recorded=tuple(recorded),
    )


def _new_message(configuration: AgentConfiguration, message: HistoryMessage, now: datetime) -> ChatMessage:
    late = now - message.at > LATE_AFTER
    text = f"{late_mark(configuration, message.at)} {message.text}" if late else message.text
    return ChatMessage(role="user", text=text, images=message.images)


def _with_few_images(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Keep the newest images, at most so many in all."""
    left = IMAGES_MAX
    kept: list[ChatMessage] = []
    for message in reversed(messages):
        images = message.images[-left:] if left else ()
        left -= len(images)
        kept.append(replace(message, images=images))
    return kept[::-1]


def _fit_new(
    messages: Sequence[ChatMessage], *, room: int, mark: str, count_tokens: CountTokens
) -> tuple[_Counted, ...]:
    """Keep the newest new messages that fit, the newest of all in any case; the first that does not fit is cut."""
    kept: list[_Counted] = []
    for message in reversed(messages):
        tokens = count_tokens(message.text)
        if tokens <= room:
            kept.append(_Counted(message, tokens))
            room -= tokens
            continue
        if not kept or room >= NEWEST_TOKENS_MIN:
            text = _cut(message.text, max(room, NEWEST_TOKENS_MIN), mark, count_tokens)
            kept.append(_Counted(replace(message, text=text), count_tokens(text)))
        break
    return tuple(reversed(kept))


def _fit_history(
    configuration: AgentConfiguration,
    history: Sequence[HistoryMessage],
    *,
    room: int,
    count: Callable[[ChatMessage], _Counted],
) -> tuple[_Counted, ...]:
    kept: list[_Counted] = []
    for message in reversed(history):
        if not message.text:
            continue  # a picture seen in its own turn; nothing of it is replayed
        replayed = count(_replayed(configuration, message))
        room -= replayed.tokens
        if room < 0:
            break
        kept.append(replayed)
    return tuple(reversed(kept))


def _replayed(configuration: AgentConfiguration, message: HistoryMessage) -> ChatMessage:
    if message.role == "customer":
        return ChatMessage(role="user", text=message.text)
    text = f"{team_mark(configuration)} {message.text}" if message.role == "member" else message.text
    return ChatMessage(role="assistant", text=text)


def _cut(text: str, room: int, mark: str, count_tokens: CountTokens) -> str:
    """Return the longest beginning that fits together with the mark, or the whole text if that fits."""
    if count_tokens(text) <= room:
        return text
    shortest, longest = 0, len(text)
    while shortest < longest:
        middle = (shortest + longest + 1) // 2
        if count_tokens(f"{text[:middle]} {mark}") <= room:
            shortest = middle
        else:
            longest = middle - 1
    return f"{text[:shortest]} {mark}"
