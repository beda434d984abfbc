"""What a caller hears of the audio that a stream is sent (pure): when each piece plays, and which marks are reached.

Audio that comes while nothing plays begins after the playout delay; what follows joins without a gap. A clear drops
what has not played yet. Times are milliseconds on the call's clock, mu-law audio has eight bytes in each.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

BYTES_PER_MS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A stretch that the caller heard: audio, or words that Twilio itself said or recognised as being said."""

    begins_ms: float
    ms: float
    audio: bytes = b""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkEcho:
    """A mark as it was reached, and whether that was because of a clear. A lost one never went back."""

    name: str
    at_ms: float
    cleared: bool
    lost: bool = False


@dataclass(frozen=True, slots=True)
class _Piece:
    begins_ms: float
    audio: bytes

    @property
    def ends_ms(self) -> float:
        return self.begins_ms + len(self.audio) / BYTES_PER_MS


class Player:
    """One stream's buffer. With `keeps_audio=False` it counts what is heard and forgets it."""

    def __init__(self, *, delay_ms: float, keeps_audio: bool = True) -> None:
        self.delay_ms = delay_ms
        self._keeps_audio = keeps_audio
        self._pieces: deque[_Piece] = deque()  # not fully played yet
        self._marks: deque[tuple[float, str]] = deque()  # when each is reached
        self._until_ms = 0.0
        self._heard: list[Heard] = []
        self._heard_bytes = 0
        self._overheard = False
        self._unasked = bytearray()  # of pieces that have fully played
        self._asked_bytes = 0  # of the first piece that has not

    def add(self, audio: bytes, now_ms: float) -> None:
        self._settle(now_ms)
        begins_ms = self._until_ms if self._until_ms > now_ms else now_ms + self.delay_ms
        self._pieces.append(_Piece(begins_ms, audio))
        self._until_ms = begins_ms + len(audio) / BYTES_PER_MS

    def mark(self, name: str, now_ms: float) -> None:
        """Place a mark behind what was added so far; with nothing left to play it is reached at once."""
        self._marks.append((max(self._until_ms, now_ms), name))

    def clear(self, now_ms: float) -> Sequence[str]:
        """Drop what has not played yet and return all pending marks, in order."""
        self._settle(now_ms)
        for piece in self._pieces:
            self._note(piece, now_ms)
        self._pieces.clear()
        pending = [name for _, name in self._marks]
        self._marks.clear()
        self._until_ms = min(self._until_ms, now_ms)
        return pending

    def due(self, now_ms: float) -> Sequence[str]:
        """Return the marks that have been reached, each once."""
        reached = []
        while self._marks and self._marks[0][0] <= now_ms:
            reached.append(self._marks.popleft()[1])
        return reached

    def next_due_ms(self) -> float | None:
        return self._marks[0][0] if self._marks else None

    def is_playing(self, now_ms: float) -> bool:
        return self._until_ms > now_ms

    def heard(self, now_ms: float) -> Sequence[Heard]:
        """Return what was heard so far, in order; the last piece may be cut short."""
        self._settle(now_ms)
        partly = [] if not self._pieces else _cut(self._pieces[0], now_ms)
        return [*self._heard, *partly]

    def fresh(self, now_ms: float) -> bytes:
        """Return the audio that was heard since this was asked last, for who listens along from the first time on."""
        self._overheard = True
        self._settle(now_ms)
        partly = b"".join(one.audio for one in _cut(self._pieces[0], now_ms)) if self._pieces else b""
        fresh = bytes(self._unasked) + partly[self._asked_bytes :]
        self._unasked.clear()
        self._asked_bytes = len(partly)
        return fresh

    def heard_ms(self, now_ms: float) -> float:
        self._settle(now_ms)
        partly = max(0.0, now_ms - self._pieces[0].begins_ms) if self._pieces else 0.0
        return self._heard_bytes / BYTES_PER_MS + partly

    def _settle(self, now_ms: float) -> None:
        while self._pieces and self._pieces[0].ends_ms <= now_ms:
            self._note(self._pieces.popleft(), now_ms)

    def _note(self, piece: _Piece, now_ms: float) -> None:
        for heard in _cut(piece, now_ms):
            self._heard_bytes += len(heard.audio)
            if self._keeps_audio:
                self._heard.append(heard)
            if self._overheard:
                self._unasked += heard.audio[self._asked_bytes :]
        self._asked_bytes = 0


def _cut(piece: _Piece, now_ms: float) -> list[Heard]:
    """Return what of a piece was heard by now."""
    audio = piece.audio[: max(0, int((now_ms - piece.begins_ms) * BYTES_PER_MS))]
    return [Heard(begins_ms=piece.begins_ms, ms=len(audio) / BYTES_PER_MS, audio=audio)] if audio else []
