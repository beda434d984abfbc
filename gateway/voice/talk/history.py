"""What was said and done in a call, in order (pure): for its transcript, and for a session that goes on from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gateway.voice.engines.base import PastItem, ToolAsked
from gateway.voice.heard_text import heard_text
from gateway.voice.talk.signals import NoteAgent, NoteCaller

ENTRIES_KEPT: Final = 200
EARLY_KEPT: Final = 8


@dataclass(slots=True, kw_only=True)
class _Entry:
    kind: Literal["customer", "agent", "tool"]
    item_id: str = ""  # of the agent's words
    text: str = ""
    began_ms: int = 0  # of the caller's words
    is_closed: bool = False  # nothing is added to the text any more
    asked: ToolAsked | None = None

    def past(self) -> PastItem:
        if self.asked is None:
            return PastItem(kind=self.kind, text=self.text)
        return PastItem(
            kind="tool",
            text=self.text,
            tool_name=self.asked.name,
            tool_arguments=self.asked.arguments,
            tool_call_id=self.asked.tool_call_id,
        )


class History:
    """The words of both sides, and tools with their results.

    The caller's words come some time after they were said, often after the answer to them has begun: their place is
    kept from the moment in which the caller began to speak. An agent's first words may come before their first sound.
    """

    def __init__(self, past: Sequence[PastItem] = ()) -> None:
        self._entries = [_entry(item) for item in past]
        self._early: dict[str, str] = {}  # words by item, of which no sound has come yet

    def caller_began(self, now_ms: int) -> None:
        self._append(_Entry(kind="customer", began_ms=now_ms))

    def caller_said(self, text: str, now_ms: int) -> list[NoteCaller]:
        """Put what the caller said where they began; no words, such as of a cough, leave no trace."""
        waiting = next((entry for entry in self._entries if entry.kind == "customer" and not entry.is_closed), None)
        if waiting is None:
            waiting = _Entry(kind="customer", began_ms=now_ms)
            self._append(waiting)
        if not text.strip():
            self._entries.remove(waiting)
            return []
        waiting.text, waiting.is_closed = text, True
        return [NoteCaller(text, ago_ms=now_ms - waiting.began_ms)]

    def forget_session(self) -> None:
        """Keep no place for words that the session took with it: the next ones would stand there."""
        self._entries = [entry for entry in self._entries if entry.kind != "customer" or entry.is_closed]

    def agent_began(self, item_id: str) -> None:
        if self._of(item_id) is None:
            self._append(_Entry(kind="agent", item_id=item_id, text=self._early.pop(item_id, "")))

    def agent_said(self, item_id: str, text: str, *, is_final: bool) -> None:
        """Add to an item's words, or set them if this is all of them. What was cut short stays as it is."""
        entry = self._of(item_id)
        if entry is None:
            self._early[item_id] = text if is_final else self._early.get(item_id, "") + text
            while len(self._early) > EARLY_KEPT:
                del self._early[next(iter(self._early))]
        elif not entry.is_closed:
            entry.text = text if is_final else entry.text + text

    def agent_heard(self, item_id: str, *, heard_ms: int, received_ms: int, interrupted: bool) -> list[NoteAgent]:
        """Close an item with what was heard of it; it counts as said no further than that."""
        entry = self._of(item_id)
        if entry is None or entry.is_closed:
            return []
        spoken = entry.text
        entry.text = heard_text(spoken, heard_ms, received_ms) if interrupted else spoken
        entry.is_closed = True
        if not entry.text:
            self._entries.remove(entry)
        return [NoteAgent(spoken, entry.text, heard_ms, interrupted)] if spoken else []

    def tool_done(self, asked: ToolAsked, result: str) -> None:
        self._append(_Entry(kind="tool", text=result, asked=asked))

    @property
    def past(self) -> tuple[PastItem, ...]:
        return tuple(entry.past() for entry in self._entries if entry.text)

    @property
    def caller_waits(self) -> bool:
        """Whether the last words were the caller's, or a tool's for the caller: an answer is owed."""
        said = [entry for entry in self._entries if entry.text]
        return bool(said) and said[-1].kind != "agent"

    def _of(self, item_id: str) -> _Entry | None:
        """Return an item's entry; it is among the newest."""
        return next((entry for entry in reversed(self._entries) if item_id and entry.item_id == item_id), None)

    def _append(self, entry: _Entry) -> None:
        self._entries.append(entry)
        del self._entries[:-ENTRIES_KEPT]


def _entry(item: PastItem) -> _Entry:
    asked = None
    if item.kind == "tool":
        asked = ToolAsked(
            response_id="", tool_call_id=item.tool_call_id, name=item.tool_name, arguments=item.tool_arguments
        )
    return _Entry(kind=item.kind, text=item.text, is_closed=True, asked=asked)
