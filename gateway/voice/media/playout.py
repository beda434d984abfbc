"""What the agent says on its way to the caller (pure): queue, pacing, and how much of it was heard.

Audio comes from the engine faster than it is spoken, in pieces of any size. It leaves in whole frames, at most
`lead_ms` ahead of the clock, so that an interruption finds little that cannot be taken back; every `mark_every_ms` of
an item, and at its end, a mark follows that comes back when all before it has been played.

Items are played one after the other, in the order in which they came; the next one's first audio completes the one
before. All times are milliseconds on the call's clock.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from gateway.voice.marks import Marks
from gateway.voice.media.audio_item import AudioItem, HeardItem, ItemKey, together
from gateway.voice.media.hearing import Hearing
from gateway.voice.media.pacing import Pace
from gateway.voice.media_stream import FRAME_MS

__all__ = ["HeardItem", "ItemKey", "PlaceMark", "Play", "Playout"]

ITEMS_KEPT: Final = 50
WAITING_MS_MAX: Final = 300_000  # longer than any answer; an engine that goes on and on is not listened to


@dataclass(frozen=True, slots=True)
class Play:
    """Send this audio: whole frames."""

    audio: bytes


@dataclass(frozen=True, slots=True)
class PlaceMark:
    """Send this mark, behind the audio before it."""

    name: str


class Playout:
    """The queue of one call.

    After `add`, `finish`, or at the time that `next_due_ms` names, `due` says what is to be sent. `underruns` counts
    how often speech nearly or really stopped in the middle of an item, `late_deltas` pieces that were
    dropped, `stale_marks` echoes without a meaning, `unacknowledged` marks that did not come back,
    `mark_rtt_ms` how long the last one took beyond the audio before it.
    """

    def __init__(
        self, *, lead_ms: int = 400, burst_ms: int = 200, mark_every_ms: int = 200, ack_grace_ms: int = 2000
    ) -> None:
        self.late_deltas = 0
        self._mark_every_ms = mark_every_ms
        self._marks = Marks()
        self._hearing = Hearing(self._marks, ack_grace_ms=ack_grace_ms)
        self._pace = Pace(self._hearing, lead_ms, burst_ms)
        self._items: dict[ItemKey, AudioItem] = {}
        self._numbers = 0
        self._queue: deque[AudioItem] = deque()  # not yet sent in full
        self._unheard: deque[AudioItem] = deque()  # not yet heard in full: the queue, and what was sent before
        self._billed_ms = 0  # of items whose heard time is final
        self._billable_heard_ms = 0

    @property
    def underruns(self) -> int:
        return self._pace.underruns

    @property
    def stale_marks(self) -> int:
        return self._marks.stale

    @property
    def unacknowledged(self) -> int:
        return self._marks.missing

    @property
    def mark_rtt_ms(self) -> int | None:
        return self._hearing.delay_ms

    def add(self, key: ItemKey, audio: bytes, now_ms: int, *, billable: bool = True) -> None:
        """Queue audio of an item; if that is muted or complete, or too much waits, it is dropped and counted."""
        item = self._items.get(key)
        if item is None:
            item = self._begin(key, now_ms, billable=billable)
        if item.finished or self._waiting_ms() >= WAITING_MS_MAX:
            self.late_deltas += 1
        else:
            item.take(audio)

    def finish(self, key: ItemKey, now_ms: int) -> None:
        """Note that an item is complete: its last frame is filled up with silence."""
        del now_ms  # as everything that happens to a machine, it happens at a time
        item = self._items.get(key)
        if item is not None and not item.finished:
            item.finish()

    def due(self, now_ms: int) -> list[Play | PlaceMark]:
        """Return what is to be sent now, in this order."""
        out: list[Play | PlaceMark] = []
        while self._queue:
            item = self._queue[0]
            sendable = item.sendable_ms
            if sendable:
                room = self._pace.room_ms(sendable, now_ms) // FRAME_MS * FRAME_MS
                if not room:
                    break
                self._send(item, min(sendable, room), now_ms, out)
            elif item.finished:
                self._mark(item, out)
                self._queue.popleft()
            else:
                break
        return out

    def next_due_ms(self, now_ms: int) -> int | None:
        """Return when `due` has something to send; None: not before something is added or finished."""
        if not self._queue:
            return None
        sendable = self._queue[0].sendable_ms
        if not sendable:
            return now_ms if self._queue[0].finished else None
        return self._pace.due_ms(sendable, now_ms)

    def acknowledge(self, name: str, now_ms: int) -> bool:
        """Take a mark that came back; False for one from before an interruption, or none of ours."""
        position = self._marks.acknowledge(name)
        if position is None:
            return False
        self._hearing.acknowledge(position, now_ms)
        return True

    def interrupt(self, now_ms: int) -> tuple[HeardItem, ...]:
        """Drop all that waits and disown what is under way; what still comes of these items is muted.

        Return the items that were not heard to their end, in order: the audible one at what was heard of it, later ones
        at 0. Whoever interrupts has Twilio clear its buffer. () if there was nothing to interrupt.
        """
        if not self._unheard or (self._unheard[-1].finished and not self.is_playing(now_ms)):
            return ()
        position = self._advance(now_ms)
        cut = tuple(self._unheard)
        for item in cut:
            item.heard_ms = item.heard_at(position)
            item.drop()
            self._billed_ms += item.heard_ms if item.billable else 0
        self._queue.clear()
        self._unheard.clear()
        self._marks.begin_generation()
        self._hearing.clear()
        return tuple(item.told(position) for item in cut)

    def heard_of(self, item_id: str, now_ms: int) -> HeardItem | None:
        """Return how much was heard of an item, all its parts together; None for one of long ago, or never seen."""
        position = self._hearing.heard(now_ms)
        parts = [item.told(position) for key, item in self._items.items() if key.item_id == item_id]
        return together(parts) if parts else None

    def billable_heard_ms(self, now_ms: int) -> int:
        """Return how much agent audio the caller has heard in the call; it never falls and is never more than sent."""
        position = self._advance(now_ms)
        running = sum(item.heard_at(position) for item in self._unheard if item.billable)
        self._billable_heard_ms = max(self._billable_heard_ms, self._billed_ms + running)
        return self._billable_heard_ms

    def is_playing(self, now_ms: int) -> bool:
        """Tell whether anything waits to be sent or to be heard."""
        return self._waiting_ms() > 0 or not self._hearing.heard_all(now_ms)

    def playing_until_ms(self, now_ms: int) -> int:
        """Return when all that is here will have been heard; now, if nothing is."""
        if not self.is_playing(now_ms):
            return now_ms
        return max(self._hearing.all_heard_ms(), now_ms + FRAME_MS) + self._waiting_ms()

    def mute(self, key: ItemKey) -> None:
        """Send no more of an item, whether it is here or yet to come; what was sent of it is played."""
        item = self._items.get(key)
        if item is None:
            item = self._remember(key, billable=False)
            item.heard_ms = 0
        item.drop()

    def _begin(self, key: ItemKey, now_ms: int, *, billable: bool) -> AudioItem:
        if self._queue:
            self._queue[-1].finish()
        self._advance(now_ms)
        item = self._remember(key, billable=billable)
        self._queue.append(item)
        self._unheard.append(item)
        return item

    def _remember(self, key: ItemKey, *, billable: bool) -> AudioItem:
        """Return a new item, and forget the oldest of those that are done with."""
        if len(self._items) >= ITEMS_KEPT:
            done = (key for key, old in self._items.items() if old.heard_ms is not None)
            self._items.pop(next(done, key), None)
        self._numbers += 1
        item = self._items[key] = AudioItem(key, self._numbers, billable)
        return item

    def _send(self, item: AudioItem, audio_ms: int, now_ms: int, out: list[Play | PlaceMark]) -> None:
        """Send some of an item, at most up to the next place for a mark."""
        to_mark = self._mark_every_ms - item.sent_ms % self._mark_every_ms
        if self._hearing.ends_ms < now_ms:
            to_mark = FRAME_MS  # an early mark tells when the caller begins to hear
        audio_ms = min(audio_ms, to_mark)
        goes_on = item.sent_ms > 0
        out.append(Play(item.send(audio_ms, self._hearing.sent)))
        self._pace.send(audio_ms, now_ms, goes_on=goes_on)
        if audio_ms == to_mark:
            self._mark(item, out)

    def _mark(self, item: AudioItem, out: list[Play | PlaceMark]) -> None:
        if item.sent_ms > item.marked_ms:
            item.marked_ms = item.sent_ms
            out.append(PlaceMark(self._marks.place(item.number, item.sent_ms, self._hearing.sent)))

    def _waiting_ms(self) -> int:
        return sum(item.sendable_ms for item in self._queue)

    def _advance(self, now_ms: int) -> int:
        """Close the items that were heard to their end; return the position up to which the caller has heard."""
        surely = self._hearing.surely_heard(now_ms)
        while self._unheard and self._unheard[0].is_over(surely):
            item = self._unheard.popleft()
            item.heard_ms = item.heard_at(surely)
            self._billed_ms += item.heard_ms if item.billable else 0
        return self._hearing.heard(now_ms)
