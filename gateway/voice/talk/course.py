"""How a call went, in numbers (pure): kept for whoever runs the gateway."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

ANSWERS_KEPT: Final = 500


@dataclass(slots=True)
class Course:
    """Counts and times of a dialogue. `answer_ms`: from the caller's last word to the first of the answer."""

    first_audio_ms: int | None = None
    answer_ms: list[int] = field(default_factory=list)
    barge_ins: int = 0
    false_interruptions: int = 0
    fillers: int = 0
    idle_prompts: int = 0
    rotations: int = 0
    troubles: Counter[str] = field(default_factory=Counter)
    _stopped_ms: int | None = None

    def caller_stopped(self, now_ms: int) -> None:
        self._stopped_ms = now_ms

    def agent_spoke(self, now_ms: int) -> None:
        """Note audio of the engine: only the first after a silence counts."""
        if self.first_audio_ms is None:
            self.first_audio_ms = now_ms
        if self._stopped_ms is not None:
            self.answer_ms.append(now_ms - self._stopped_ms)
            del self.answer_ms[:-ANSWERS_KEPT]
            self._stopped_ms = None

    def to_json(self) -> dict[str, object]:
        ordered = sorted(self.answer_ms)
        return {
            "first_audio_ms": self.first_audio_ms,
            "answers": len(ordered),
            "answer_ms_p50": ordered[len(ordered) // 2] if ordered else None,
            "answer_ms_max": ordered[-1] if ordered else None,
            "barge_ins": self.barge_ins,
            "false_interruptions": self.false_interruptions,
            "fillers": self.fillers,
            "idle_prompts": self.idle_prompts,
            "rotations": self.rotations,
            "troubles": dict(self.troubles),
        }
