"""Which answer the engine is making, which one it is to make next, and the tools that it asked for (pure).

An engine makes one answer at a time. What a tool brought is told between two answers, and once nothing asked is
missing, an answer to it is asked for. When the caller has stopped speaking the engine begins to answer by itself.
"""

from collections import deque
from typing import Final

from gateway.voice.engines.base import ToolAsked
from gateway.voice.talk.signals import CancelAnswer, Effect, GiveResult, Respond, RunTool, Tell

BEGINS_WITHIN_MS: Final = 3_000  # an answer that was asked for; after that it counts as not coming
CANCELLED_KEPT: Final = 8


class Answers:
    """The engine's answers, one after the other.

    `spoke`: the answer that is being made, or was made last, has said something.
    """

    def __init__(self) -> None:
        self._active: str | None = None
        self._expected_until_ms: int | None = None
        self._asked_by_us = False
        self._wanted: Respond | None = None
        self._cancelled: deque[str] = deque(maxlen=CANCELLED_KEPT)
        self._seen: set[str] = set()  # tools asked for, by the call's name: none is run twice
        self._running: dict[str, ToolAsked] = {}
        self._of_session: set[str] = set()  # tools that the present session asked for, and waits for
        self._results: list[GiveResult] = []
        self.spoke = False

    # What the engine does.

    def started(self, response_id: str) -> bool:
        """Note that an answer has begun; return whether we asked for it, rather than the caller."""
        asked_by_us, self._asked_by_us = self._asked_by_us, False
        self._active, self._expected_until_ms, self.spoke = response_id, None, False
        if self._wanted is not None and self._wanted.instructions is None:
            self._wanted = None  # whatever was to be answered is being answered
        return asked_by_us

    def ended(self, response_id: str) -> None:
        if self._active == response_id:
            self._active = None

    def expect(self, now_ms: int) -> None:
        """Expect an answer: the caller has stopped speaking."""
        self._expected_until_ms = now_ms + BEGINS_WITHIN_MS

    def lost(self, now_ms: int) -> None:
        """Drop the answer in the making with its session; if one was owed, the next session is asked for it."""
        owed = self.is_busy(now_ms) or bool(self._results)
        self._active, self._expected_until_ms, self._asked_by_us = None, None, False
        self._results.clear()  # the next session knows them from the past
        self._of_session.clear()
        if owed and self._wanted is None:
            self._wanted = Respond()

    # What we want of it.

    def want(self, instructions: str | None = None) -> None:
        """Have an answer made as soon as that is possible."""
        if self._wanted is None or self._wanted.instructions is None:
            self._wanted = Respond(instructions)

    def cut_off(self, *, by_us: bool) -> list[CancelAnswer]:
        """Say nothing more of the answer in the making; `by_us`: the engine does not end it by itself."""
        if self._active is None:
            return []
        self._cancelled.append(self._active)
        return [CancelAnswer()] if by_us else []

    def is_cut_off(self, response_id: str) -> bool:
        return response_id in self._cancelled

    def next_steps(self, now_ms: int, *, may_answer: bool) -> list[Effect]:
        """Return what can be told or asked now. `may_answer`: nobody else is speaking."""
        if self.is_busy(now_ms):
            return []
        effects: list[Effect] = list(self._results)
        self._results.clear()
        if self._wanted is not None and may_answer and not self._running:
            effects.append(self._wanted)
            self._wanted, self._asked_by_us = None, True
            self._expected_until_ms = now_ms + BEGINS_WITHIN_MS
        return effects

    # Tools.

    def tool_asked(self, asked: ToolAsked) -> list[RunTool]:
        """Run a tool, unless this very call was run before."""
        if asked.tool_call_id in self._seen:
            return []
        self._seen.add(asked.tool_call_id)
        self._running[asked.tool_call_id] = asked
        self._of_session.add(asked.tool_call_id)
        return [RunTool(asked)]

    def tool_done(self, tool_call_id: str, result: str, *, answer: bool = True) -> tuple[ToolAsked | None, list[Tell]]:
        """Keep what a tool brought until it can be told; a session that did not ask for it is told in words."""
        asked = self._running.pop(tool_call_id, None)
        if asked is None:
            return None, []
        if answer:
            self.want()
        if tool_call_id in self._of_session:
            self._of_session.discard(tool_call_id)
            self._results.append(GiveResult(tool_call_id, result))
            return asked, []
        return asked, [Tell(f"Result of {asked.name} {asked.arguments}, asked for earlier: {result}")]

    # How things stand.

    @property
    def runs_tools(self) -> bool:
        return bool(self._running)

    @property
    def is_making(self) -> bool:
        """Whether an answer is under way, as far as is known."""
        return self._active is not None or self._expected_until_ms is not None or self.is_wanted or self.runs_tools

    @property
    def is_wanted(self) -> bool:
        return self._wanted is not None

    def is_busy(self, now_ms: int) -> bool:
        """Whether an answer is being made, or about to be."""
        return self._active is not None or (self._expected_until_ms is not None and now_ms < self._expected_until_ms)

    @property
    def look_again_ms(self) -> int | None:
        """Return when an answer that has not begun counts as not coming."""
        return self._expected_until_ms if self._active is None else None
