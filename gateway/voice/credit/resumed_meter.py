"""A meter as it stood, for another process to go on from (pure)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from gateway.voice.credit.metered_minutes import AudioHold
from gateway.voice.credit.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumedMeter:
    """A call's minute, holds and tally.

    `minute_age_ms`: for how long its minute has run; None if that is settled: the stream that goes on begins the next.
    """

    minute: int
    minute_age_ms: int | None
    hold: AudioHold | None
    ahead: AudioHold | None  # held for the next minute
    tally: Tally

    def later(self, gap_ms: int) -> Self:
        """Return it as it stands when the next stream begins, so many milliseconds after it was taken."""
        return self if self.minute_age_ms is None else replace(self, minute_age_ms=self.minute_age_ms + gap_ms)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        return cls(
            minute=stored["minute"],
            minute_age_ms=stored["minute_age_ms"],
            hold=None if stored["hold"] is None else AudioHold(**stored["hold"]),
            ahead=None if stored["ahead"] is None else AudioHold(**stored["ahead"]),
            tally=Tally(**stored["tally"]),
        )
