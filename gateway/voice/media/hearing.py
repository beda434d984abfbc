"""How far the caller has heard what was sent (pure).

Audio is played in the order in which it was sent, each piece when it arrives or when the one before has ended. A
mark's echo says that a position has been played; between echoes, the clock goes on from the last one. Where no mark
comes back, the clock alone must do.

A position is a number of milliseconds in all the audio that was sent in the call. Times are milliseconds.
"""

from typing import Final

from gateway.voice.marks import Marks

ASSUMED_DELAY_MS: Final = 150  # from our sending to the caller's ear, until a mark has told
STRETCHES_MAX: Final = 8  # what was played before the last of them has long been heard


class Hearing:
    """What was sent, as stretches without a pause, and how much of it has been heard.

    `delay_ms`: from sending to the echo, beyond the audio in between; None until a mark has come back.
    """

    def __init__(self, marks: Marks, *, ack_grace_ms: int) -> None:
        self.sent = 0
        self.ends_ms = -1  # when what was sent ends, if it was played as it left us; long ago if nothing is
        self.delay_ms: int | None = None
        self._marks = marks
        self._ack_grace_ms = ack_grace_ms
        self._stretches: list[tuple[int, int]] = []  # position and time at which each began
        self._acknowledged = 0
        self._deaf = False  # marks do not come back

    @property
    def stretch_began_ms(self) -> int:
        """When the last stretch without a pause began."""
        return self._stretches[-1][1] if self._stretches else 0

    def send(self, audio_ms: int, now_ms: int) -> None:
        """Note audio that leaves now."""
        if now_ms > self.ends_ms:
            self._stretches.append((self.sent, now_ms))
            del self._stretches[:-STRETCHES_MAX]
            self.ends_ms = now_ms
        self.sent += audio_ms
        self.ends_ms += audio_ms

    def acknowledge(self, position: int, now_ms: int) -> None:
        """Note that a mark at this position has come back."""
        self._acknowledged = max(self._acknowledged, position)
        self._deaf = False
        for began, began_ms in reversed(self._stretches):
            if position > began:
                self.delay_ms = max(0, now_ms - began_ms - (position - began))
                break

    def clear(self) -> None:
        """Note that nothing of what was sent and not heard will be heard any more."""
        self._acknowledged = self.sent
        self._stretches.clear()
        self.ends_ms = -1

    def heard(self, now_ms: int) -> int:
        """Return the position up to which the caller has heard; at most what was sent."""
        if self._acknowledged == self.sent:
            return self.sent  # the usual case between two answers
        self._stop_waiting(now_ms)
        waits_for = self._marks.first_position
        if waits_for is None or self._deaf or self._acknowledged > self._stretches[-1][0]:
            return max(self._acknowledged, self._played(now_ms - self._delay_ms))
        # Nothing tells yet when the caller began to hear this stretch: surely not its first mark.
        return max(self._acknowledged, min(self._played(now_ms - ASSUMED_DELAY_MS), waits_for))

    def surely_heard(self, now_ms: int) -> int:
        """Return the position up to which nothing is waited for: its marks came back, or long should have."""
        heard, waits_for = self.heard(now_ms), self._marks.first_position
        return heard if waits_for is None or self._deaf else min(heard, waits_for - 1)

    def heard_all(self, now_ms: int) -> bool:
        """Tell whether nothing is left to be heard, surely."""
        return self.surely_heard(now_ms) == self.sent

    def all_heard_ms(self) -> int:
        """Return when the last of what was sent will have been heard."""
        return self.ends_ms + self._delay_ms

    @property
    def _delay_ms(self) -> int:
        return ASSUMED_DELAY_MS if self.delay_ms is None else self.delay_ms

    def _stop_waiting(self, now_ms: int) -> None:
        """Give marks up that are overdue, and go by the clock until one comes back."""
        overdue_since = now_ms - self._delay_ms - self._ack_grace_ms
        first = self._marks.first_position
        if first is not None and first <= (played := self._played(overdue_since)):
            self._marks.give_up(played)
            self._deaf = True

    def _played(self, at_ms: int) -> int:
        """Return the position reached at a time if every piece is played as it leaves us."""
        ends = self.sent
        for began, began_ms in reversed(self._stretches):
            if at_ms >= began_ms:
                return min(began + at_ms - began_ms, ends)
            ends = began
        return ends
