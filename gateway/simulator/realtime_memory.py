"""The conversation of one simulated Realtime session: its items, and how much of each can still be heard.

Pure but for its ids.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from gateway.simulator.openai_realtime_wire import Document, Problem, at, text_at, truncation_problem
from gateway.simulator.realtime_mind import Remembered
from gateway.voice.audio import BYTES_PER_MS

_KINDS = {"user": "customer", "assistant": "agent", "system": "note"}


@dataclass(slots=True, kw_only=True)
class Item:
    """One item. `audio_bytes` is what was made of an agent's speech; it shrinks when the item is truncated."""

    item_id: str
    kind: str
    text: str
    name: str = ""
    call_id: str = ""
    audio_bytes: int = 0
    heard_ms: int | None = None  # as the client has told

    @property
    def audio_ms(self) -> float:
        return self.audio_bytes / BYTES_PER_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncation:
    """One `conversation.item.truncate`, with what there was to cut; `refusal` is "" if it was done."""

    item_id: str
    content_index: int
    audio_end_ms: int
    audio_ms: float
    refusal: str


@dataclass(slots=True)
class Memory:
    """What was said and done, in order. Ids are never those of another session."""

    items: dict[str, Item] = field(default_factory=dict)
    truncations: list[Truncation] = field(default_factory=list)
    _name: str = field(default_factory=lambda: uuid4().hex[:10])
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def new_id(self, kind: str = "item") -> str:
        return f"{kind}_{self._name}{next(self._numbers):06d}"

    def add(self, item: Item) -> Item:
        self.items[item.item_id] = item
        return item

    def take(self, given: object) -> Item | None:
        """Keep an item that the client has made; None for what the vendor would not take."""
        if not isinstance(given, Mapping):
            return None
        item_id = text_at(given, "id") or self.new_id()
        match given.get("type"):
            case "message" if text_at(given, "role") in _KINDS:
                text = _content(given)
                return None if text is None else self.add(_item(item_id, _KINDS[text_at(given, "role")], text))
            case "function_call":
                call = Item(item_id=item_id, kind="tool_call", text=text_at(given, "arguments"))
                call.name, call.call_id = text_at(given, "name"), text_at(given, "call_id")
                return self.add(call)
            case "function_call_output" if self._asked(text_at(given, "call_id")):
                result = Item(item_id=item_id, kind="tool_result", text=text_at(given, "output"))
                result.call_id = text_at(given, "call_id")
                return self.add(result)
            case _:
                return None

    def truncate(self, item_id: str, content_index: object, audio_end_ms: object) -> Problem | None:
        """Cut what the model remembers having said; return why not."""
        item = self.items.get(item_id)
        is_speech = item is not None and item.kind == "agent"
        audio_ms = item.audio_ms if item is not None and is_speech else None
        problem = truncation_problem(audio_ms, audio_end_ms, item_id=item_id)
        wanted_ms = audio_end_ms if isinstance(audio_end_ms, int) else -1
        self.truncations.append(
            Truncation(
                item_id=item_id,
                content_index=content_index if isinstance(content_index, int) else -1,
                audio_end_ms=wanted_ms,
                audio_ms=audio_ms or 0.0,
                refusal=problem.message if problem is not None else "",
            )
        )
        if problem is None and item is not None and item.audio_bytes:
            item.text = item.text[: int(len(item.text) * wanted_ms / item.audio_ms)]
            item.audio_bytes = wanted_ms * BYTES_PER_MS
            item.heard_ms = wanted_ms
        return problem

    def view(self) -> tuple[Remembered, ...]:
        return tuple(
            Remembered(kind=item.kind, text=item.text, name=item.name, call_id=item.call_id)  # type: ignore[arg-type]  # the kinds above
            for item in self.items.values()
        )

    @property
    def results(self) -> Mapping[str, str]:
        """The tools' results by the ids of their calls."""
        return {item.call_id: item.text for item in self.items.values() if item.kind == "tool_result"}

    def _asked(self, call_id: str) -> bool:
        return any(item.kind == "tool_call" and item.call_id == call_id for item in self.items.values())


def _item(item_id: str, kind: str, text: str) -> Item:
    return Item(item_id=item_id, kind=kind, text=text)


def _content(given: Document) -> str | None:
    """Return a message's text, if its parts are of the kind that its role may have."""
    kind = "output_text" if text_at(given, "role") == "assistant" else "input_text"
    parts = at(given, "content")
    if not isinstance(parts, list) or not all(text_at(part, "type") == kind for part in parts):
        return None
    return " ".join(text_at(part, "text") for part in parts)
