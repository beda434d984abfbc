"""Twilio and the caller's ear, on virtual time: what is sent is played later, and tells by its marks."""

from collections import deque
from dataclasses import dataclass, field
from random import Random

from gateway.voice.media.playout import PlaceMark, Play, Playout


@dataclass
class FarEnd:
    """Plays what it is sent `playout_ms` later, give or take the jitter of each stretch; frames keep their order.

    `way_ms`: the range of one way through the network. Marks come back `way_ms` after what was before them has been
    played, or after a clear. `lost`, `early` and `late` spoil that: the share of marks that this happens to.
    """

    random: Random
    playout_ms: int = 150
    jitter_ms: int = 20
    way_ms: tuple[int, int] = (3, 15)
    lost: float = 0.0
    early: float = 0.0
    late: float = 0.0
    echoes: deque[tuple[int, str]] = field(default_factory=deque)  # in the order of their arrival here
    _pieces: list[list[int]] = field(default_factory=list)  # start, end, item; end is cut by a clear
    _pending: list[tuple[int, str]] = field(default_factory=list)  # when played, name
    _free_ms: int = 0  # when all that came will have been played
    _echoed_ms: int = 0

    def take(self, sent: list[Play | PlaceMark], now_ms: int) -> None:
        for effect in sent:
            if isinstance(effect, Play):
                self._play(effect.audio, now_ms)
            elif self.random.random() < self.early:
                self._echo(now_ms, effect.name)
            else:
                self._pending.append((max(self._free_ms, now_ms), effect.name))

    def _play(self, audio: bytes, now_ms: int) -> None:
        if now_ms + self.playout_ms > self._free_ms:
            delay = self.playout_ms + self.random.randint(-self.jitter_ms, self.jitter_ms)
            self._free_ms = max(self._free_ms, now_ms + delay)
        real = len(audio.rstrip(b"\xff"))
        if real:
            self._pieces.append([self._free_ms, self._free_ms + real // 8, audio[0]])
        self._free_ms += len(audio) // 8

    def clear(self, now_ms: int) -> int:
        """Drop what is not played when the clear arrives; return when that is."""
        at_ms = now_ms + self.random.randint(*self.way_ms)
        self._return_marks(at_ms)
        for piece in self._pieces:
            piece[1] = max(piece[0], min(piece[1], at_ms))
        for _, name in self._pending:
            self._echo(at_ms, name)
        self._pending.clear()
        self._free_ms = at_ms
        return at_ms

    def heard_ms(self, item: int, until_ms: int) -> int:
        """How much of an item, named by the byte that its audio is made of, has really been played."""
        return sum(min(end, until_ms) - start for start, end, of in self._pieces if of == item and start < until_ms)

    def forget(self) -> None:
        self._pieces.clear()

    def tell(self, playout: Playout, until_ms: int) -> list[tuple[str, bool]]:
        """Let every echo arrive whose time has come; return the names, and whether each counted."""
        self._return_marks(until_ms)
        told = []
        while self.echoes and self.echoes[0][0] <= until_ms:
            at_ms, name = self.echoes.popleft()
            told.append((name, playout.acknowledge(name, at_ms)))
        return told

    def next_echo_ms(self) -> int | None:
        if self.echoes:
            return self.echoes[0][0]
        return self._pending[0][0] if self._pending else None

    def _return_marks(self, until_ms: int) -> None:
        while self._pending and self._pending[0][0] <= until_ms:
            self._echo(*self._pending.pop(0))

    def _echo(self, at_ms: int, name: str) -> None:
        chance = self.random.random()
        if chance < self.lost:
            return
        if chance < self.lost + self.late:
            at_ms += self.random.randint(50, 2_500)
        self._echoed_ms = max(self._echoed_ms, at_ms + self.random.randint(*self.way_ms))
        self.echoes.append((self._echoed_ms, name))
