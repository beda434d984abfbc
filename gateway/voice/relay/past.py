"""What was said in a call by text (pure): the caller's words, and ours no further than they were heard."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gateway.voice.engines.base import PastItem

LINES_KEPT: Final = 200


@dataclass(slots=True)
class _Line:
    kind: Literal["customer", "agent"]
    text: str


class RelayPast:
    """The conversation so far. What is being spoken counts as said until it is known to have been cut off."""

    def __init__(self, past: Sequence[PastItem] = ()) -> None:
        self._lines = [_Line(item.kind, item.text) for item in past if item.kind != "tool"]
        self._spoken: deque[_Line | None] = deque()  # in the order in which it is heard
        self._unanswered: list[str] = []
        while self._lines and self._lines[-1].kind == "customer":
            self._unanswered.insert(0, self._lines.pop().text)

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The caller's words that wait for an answer."""
        return tuple(self._unanswered)

    @property
    def answered(self) -> tuple[PastItem, ...]:
        """What was said before them."""
        return tuple(PastItem(kind=line.kind, text=line.text) for line in self._lines if line.text)

    @property
    def items(self) -> tuple[PastItem, ...]:
        """Everything, for a stream that goes on."""
        return (*self.answered, *(PastItem(kind="customer", text=text) for text in self._unanswered))

    def caller_said(self, text: str) -> None:
        self._unanswered.append(text)

    def answer(self, count: int) -> None:
        """Note that so many of the caller's words, the oldest, are answered by what is said next."""
        self._lines.extend(_Line("customer", text) for text in self._unanswered[:count])
        del self._unanswered[:count]
        del self._lines[:-LINES_KEPT]

    def agent_says(self, text: str, *, remembered: bool) -> None:
        """Note what is given to be spoken; a filler is not worth remembering."""
        line = _Line("agent", text) if remembered else None
        self._spoken.append(line)
        if line is not None:
            self._lines.append(line)

    def agent_heard(self, texts: Iterable[str]) -> None:
        """Note what was heard of what was given first, one by one."""
        for text in texts:
            line = self._spoken.popleft()
            if line is not None:
                line.text = text
