"""Silence in a call (pure): what fills it while the caller waits for us, and when we ask whether they are there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Wait = Literal["first_audio", "tool", "engine"]
FILLED_AFTER_MS: Final[Mapping[Wait, int]] = {"first_audio": 1_500, "tool": 1_200, "engine": 1_000}
FILLERS_MAX: Final[Mapping[Wait, int]] = {"first_audio": 1, "tool": 2, "engine": 2}
AGAIN_LATER: Final = 3  # times as long as before the first


@dataclass(slots=True)
class _Waiting:
    since_ms: int
    filled: int = 0


class Fillers:
    """What the caller waits for, and when a word about it is due."""

    def __init__(self) -> None:
        self._waits: dict[Wait, _Waiting] = {}

    def begin(self, what: Wait, now_ms: int) -> None:
        self._waits.setdefault(what, _Waiting(now_ms))

    def end(self, what: Wait) -> None:
        self._waits.pop(what, None)

    def due_ms(self, quiet_since_ms: int) -> int | None:
        """Return when a filler is due if it has been quiet since then; None: nothing is to be filled."""
        return min((at_ms for _, at_ms in self._due(quiet_since_ms)), default=None)

    def fill(self, quiet_since_ms: int, now_ms: int) -> bool:
        """Count a filler for all that it is due for; return whether one was played before."""
        again = False
        for waiting, at_ms in self._due(quiet_since_ms):
            if at_ms <= now_ms:
                again = again or waiting.filled > 0
                waiting.filled += 1
        return again

    def _due(self, quiet_since_ms: int) -> list[tuple[_Waiting, int]]:
        return [
            (
                waiting,
                max(waiting.since_ms, quiet_since_ms) + FILLED_AFTER_MS[what] * (AGAIN_LATER if waiting.filled else 1),
            )
            for what, waiting in self._waits.items()
            if waiting.filled < FILLERS_MAX[what]
        ]


class Idle:
    """A caller who says nothing: asked a few times whether they are there, then given up."""

    def __init__(self, *, prompt_after_ms: int, end_after: int) -> None:
        self._prompt_after_ms = prompt_after_ms
        self._end_after = end_after
        self._prompts = 0

    def due_ms(self, quiet_since_ms: int) -> int:
        return quiet_since_ms + self._prompt_after_ms

    def prompt(self) -> bool:
        """Count a prompt; return whether it is to be said, rather than goodbye."""
        self._prompts += 1
        return self._prompts <= self._end_after

    def is_broken(self) -> None:
        """Begin anew: the caller is there."""
        self._prompts = 0
