"""When somebody speaks, by how loud mu-law audio is (pure); as a server's voice activity detection tells it.

Time is the audio's own: 8 bytes are a millisecond, however fast they come.
"""

from dataclasses import dataclass

FRAME_BYTES = 160
FRAME_MS = 20
LOUD = 44  # mean of the 7 bits of loudness of a frame; a quiet room has some 20, speech 60 and more
# A byte of mu-law is a sign and, inverted, the logarithm of the loudness.
_LOUDNESS = bytes(~byte & 0x7F for byte in range(256))


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Speech has begun, and been noticed only now."""

    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """Speech has ended, and the silence after it has lasted; `audio` is all of it, if it was to be kept."""

    at_ms: int
    audio: bytes


def loudness(audio: bytes) -> float:
    """Return how loud mu-law audio is on average: 0 silence, 127 the loudest."""
    return sum(audio.translate(_LOUDNESS)) / len(audio) if audio else 0.0


class SpeechDetector:
    """Feed audio, get what begins and ends in it."""

    def __init__(self, *, silence_ms: int = 500, onset_ms: int = 60, prefix_ms: int = 300, keep: bool = False) -> None:
        self.silence_ms = silence_ms
        self.onset_ms = onset_ms
        self.prefix_ms = prefix_ms
        self.keep = keep
        self.speaking = False
        self.heard_ms = 0
        self._rest = b""
        self._loud_ms = 0
        self._quiet_ms = 0
        self._kept = bytearray()

    def hear(self, audio: bytes) -> list[Started | Stopped]:
        """Take audio of any length; what is less than a frame waits for the rest."""
        audio = self._rest + audio
        whole = len(audio) - len(audio) % FRAME_BYTES
        self._rest = audio[whole:]
        found = (self._frame(audio[at : at + FRAME_BYTES]) for at in range(0, whole, FRAME_BYTES))
        return [event for event in found if event is not None]

    def _frame(self, frame: bytes) -> Started | Stopped | None:
        self.heard_ms += FRAME_MS
        is_loud = loudness(frame) >= LOUD
        self._loud_ms = self._loud_ms + FRAME_MS if is_loud else 0
        self._quiet_ms = 0 if is_loud else self._quiet_ms + FRAME_MS
        if self.keep:
            self._kept += frame
        if not self.speaking:
            return self._maybe_started()
        if self._quiet_ms < self.silence_ms:
            return None
        self.speaking = False
        audio = bytes(self._kept)
        self._kept.clear()
        return Stopped(at_ms=self.heard_ms, audio=audio)

    def _maybe_started(self) -> Started | None:
        before = (self.prefix_ms + self.onset_ms) // FRAME_MS * FRAME_BYTES
        del self._kept[: max(0, len(self._kept) - before)]
        if self._loud_ms < self.onset_ms:
            return None
        self.speaking = True
        return Started(at_ms=max(0, self.heard_ms - self._loud_ms - self.prefix_ms))
