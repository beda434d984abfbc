"""How far ahead of the clock audio is sent (pure).

When speech begins, a burst leaves at once, and the lead then grows gently to its whole size: a clear finds no more than
that at Twilio, and a pause of our own that is shorter is not heard. Times are milliseconds.
"""

from dataclasses import dataclass
from typing import Final

from gateway.voice.media.hearing import Hearing
from gateway.voice.media_stream import FRAME_MS

STEP_MS: Final = 100  # what leaves at once while more waits: fewer frames, and still a small part of the lead
UNDERRUN_MS: Final = 120  # less than that ahead in the middle of an item, and the network's jitter may be heard


@dataclass(slots=True)
class Pace:
    """The pace of one call. `underruns` counts how often too little was ahead in the middle of an item."""

    hearing: Hearing
    lead_ms: int
    burst_ms: int
    underruns: int = 0
    was_ahead: bool = False  # far enough, since it last was not

    @property
    def _step_ms(self) -> int:
        return max(FRAME_MS, min(STEP_MS, self.burst_ms // 2))

    def room_ms(self, wanted_ms: int, now_ms: int) -> int:
        """Return how much may be sent now of what waits; nothing if it is not worth a frame yet."""
        ahead_ms = self.hearing.ends_ms - now_ms
        if ahead_ms < 0:
            return self.burst_ms
        room = min(self.lead_ms, self.burst_ms + now_ms - self.hearing.stretch_began_ms) - ahead_ms
        return room if room >= min(wanted_ms, self._step_ms) else 0

    def due_ms(self, wanted_ms: int, now_ms: int) -> int:
        """Return when there is room for some of what waits."""
        ends_ms = self.hearing.ends_ms
        if ends_ms < now_ms:
            return now_ms
        reaches_ms = ends_ms + min(wanted_ms, self._step_ms)
        in_burst = -(-(reaches_ms + self.hearing.stretch_began_ms - self.burst_ms) // 2)
        return max(now_ms, reaches_ms - self.lead_ms, in_burst)

    def send(self, audio_ms: int, now_ms: int, *, goes_on: bool) -> None:
        """Note audio that leaves now; `goes_on`: in the middle of an item."""
        if self.hearing.ends_ms - now_ms < UNDERRUN_MS:
            self.underruns += self.was_ahead and goes_on
            self.was_ahead = False
        self.hearing.send(audio_ms, now_ms)
        self.was_ahead = self.was_ahead or self.hearing.ends_ms - now_ms >= UNDERRUN_MS
