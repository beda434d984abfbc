"""One thing that the agent says: its audio on the way, and how much of it was heard (pure).

A position is a number of milliseconds in all the audio that was sent in the call.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.voice.media_stream import BYTES_PER_MS, FRAME_BYTES, FRAME_MS

SILENCE: Final = b"\xff"  # mu-law


@dataclass(frozen=True, slots=True)
class ItemKey:
    """An audio item, as the engine names it; a notice of ours has a new name each time that it is given."""

    item_id: str
    content_index: int = 0


@dataclass(frozen=True, slots=True)
class HeardItem:
    """How much of an item the caller heard, of what was sent to him, of what the engine gave: each at most the next."""

    key: ItemKey
    heard_ms: int
    sent_ms: int
    received_ms: int
    billable: bool


@dataclass(slots=True)
class AudioItem:
    """An item: what waits of it, and what became of the rest. Whole frames are sent, the last one filled up."""

    key: ItemKey
    number: int
    billable: bool
    waiting: bytearray = field(default_factory=bytearray)
    received_bytes: int = 0
    sent_ms: int = 0  # with what fills the last frame
    marked_ms: int = 0
    begins_at: int = 0  # its position, once some of it was sent
    finished: bool = False
    heard_ms: int | None = None  # once that is final

    @property
    def sendable_ms(self) -> int:
        return len(self.waiting) // FRAME_BYTES * FRAME_MS

    def take(self, audio: bytes) -> None:
        self.waiting += audio
        self.received_bytes += len(audio)

    def finish(self) -> None:
        """Fill the last frame up with silence."""
        self.finished = True
        self.waiting += SILENCE * (-len(self.waiting) % FRAME_BYTES)

    def drop(self) -> None:
        """Send no more of it."""
        self.finished = True
        self.waiting.clear()

    def send(self, audio_ms: int, position: int) -> bytes:
        """Return the next audio, which leaves at a position."""
        if not self.sent_ms:
            self.begins_at = position
        self.sent_ms += audio_ms
        audio = bytes(self.waiting[: audio_ms * BYTES_PER_MS])
        del self.waiting[: audio_ms * BYTES_PER_MS]
        return audio

    def heard_at(self, position: int) -> int:
        """Return what was heard of it when the caller has heard up to a position."""
        if self.heard_ms is not None:
            return self.heard_ms
        real_ms = min(self.sent_ms, self.received_bytes // BYTES_PER_MS)
        return max(0, min(position - self.begins_at, real_ms))

    def is_over(self, position: int) -> bool:
        return self.finished and not self.waiting and position >= self.begins_at + self.sent_ms

    def told(self, position: int) -> HeardItem:
        received_ms = self.received_bytes // BYTES_PER_MS
        return HeardItem(self.key, self.heard_at(position), min(self.sent_ms, received_ms), received_ms, self.billable)


def together(parts: Sequence[HeardItem]) -> HeardItem:
    """Return the parts of one item as one; there is at least one."""
    return HeardItem(
        parts[0].key,
        sum(part.heard_ms for part in parts),
        sum(part.sent_ms for part in parts),
        sum(part.received_ms for part in parts),
        any(part.billable for part in parts),
    )
