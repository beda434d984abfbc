"""A simulated call in which the agent is interrupted again and again, on virtual time."""

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

from gateway.voice.media.playout import HeardItem, ItemKey, Play, Playout
from tests.gateway.voice.far_end import FarEnd

Piece = tuple[int, ItemKey, bytes | None]  # when it comes from the engine; None: the item is complete


@dataclass
class Interrupted:
    """One barge-in: what the machine said, and what was true."""

    told: tuple[HeardItem, ...]
    really_heard: list[int]  # of the told items, until the clear came through
    left_out: list[tuple[int, int]]  # of the items that were not told: really heard, received


@dataclass
class SimulatedCall:
    """The engine, our machine and the far end. Items are made of their own number as bytes."""

    random: Random
    far: FarEnd
    playout: Playout = field(default_factory=Playout)
    now: int = 0
    received: defaultdict[ItemKey, int] = field(default_factory=lambda: defaultdict(int))  # bytes that were taken
    sent_ms: int = 0
    billable_ms: int = 0
    really_heard_ms: int = 0
    interruptions: int = 0
    clears: int = 0
    _items: int = 0

    def answer(self) -> list[ItemKey]:
        """Let the engine speak several items, be interrupted at any time, and not notice at once."""
        pieces, keys = self._script()
        spoken = sum(len(audio or b"") for _, _, audio in pieces) // 8
        interrupted_at = self.now + self.random.randint(0, spoken + 600)
        while pieces and pieces[0][0] <= interrupted_at:
            self._run_until(pieces[0][0])
            self._take(*pieces.pop(0))
        self._run_until(interrupted_at)
        self._late = pieces[: self.random.randint(0, 6)]
        return keys

    def interrupt(self, keys: list[ItemKey]) -> Interrupted:
        told = self.playout.interrupt(self.now)
        cleared_at = self.now
        if told:
            self.clears += 1
            cleared_at = self.far.clear(self.now)
        else:
            self._run_until(self.now + 3_000)
            cleared_at = self.now
        heard = {key: self.far.heard_ms(int(key.item_id), cleared_at) for key in keys}
        self.really_heard_ms += sum(heard.values())
        named = {item.key for item in told}
        self.interruptions += 1
        result = Interrupted(
            told=told,
            really_heard=[heard[item.key] for item in told],
            left_out=[
                (heard[key], self.received[key] // 8) for key in keys if key not in named and key in self.received
            ],
        )
        self.far.forget()
        self._say_too_late()
        self.now += self.random.choice([1, 5, 30, 300, 1_500])
        self._look()
        return result

    def _say_too_late(self) -> None:
        before = self.playout.late_deltas
        for _, key, audio in self._late:
            if audio is not None and key in self.received:
                self.playout.add(key, audio, self.now)
                before += 1
                assert self.playout.late_deltas == before
            elif key in self.received:
                self.playout.finish(key, self.now)
            assert not self.playout.due(self.now)
            assert self.playout.next_due_ms(self.now) is None

    def _script(self) -> tuple[list[Piece], list[ItemKey]]:
        pieces: list[Piece] = []
        keys = []
        at, speed = float(self.now + self.random.randint(0, 50)), self.random.choice([1.5, 3, 5, 8])
        for _ in range(self.random.choice([1, 1, 1, 2, 3])):
            self._items = self._items % 200 + 1
            key = ItemKey(str(self._items), 0)
            keys.append(key)
            left = self.random.randint(1, 24_000)
            while left:
                size = min(left, self.random.choice([1, 159, 777, 1_601, 3_200, 3_201]))
                pieces.append((int(at), key, bytes([self._items]) * size))
                at += size / 8 / speed
                left -= size
            if self.random.random() < 0.9:
                pieces.append((int(at), key, None))
        return pieces, keys

    def _take(self, at: int, key: ItemKey, audio: bytes | None) -> None:
        if audio is None:
            self.playout.finish(key, at)
        else:
            self.playout.add(key, audio, at)
            self.received[key] += len(audio)
        self._send()

    def _run_until(self, until: int) -> None:
        while True:
            times = (self.playout.next_due_ms(self.now), self.far.next_echo_ms())
            at = min((time for time in times if time is not None), default=until)
            if at >= until:
                break
            self.now = max(self.now, at)
            self._look()
            self._send()
        self.now = max(self.now, until)
        self._look()
        self._send()

    def _look(self) -> None:
        generation = f"g{self.clears}."
        for name, counted in self.far.tell(self.playout, self.now):
            assert name.startswith(generation) or not counted
        billable = self.playout.billable_heard_ms(self.now)
        assert self.billable_ms <= billable <= self.sent_ms
        self.billable_ms = billable

    def _send(self) -> None:
        effects = self.playout.due(self.now)
        self.sent_ms += sum(len(effect.audio.rstrip(b"\xff")) // 8 for effect in effects if isinstance(effect, Play))
        self.far.take(effects, self.now)


def later_items_are_unheard(told: tuple[HeardItem, ...]) -> bool:
    return all(not after.heard_ms for item, after in pairwise(told) if item.heard_ms < item.received_ms)
