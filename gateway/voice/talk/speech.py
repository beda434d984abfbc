"""What we say in a call, until it is heard or cut off (pure): the engine's answers, and notices spoken beforehand."""

from dataclasses import dataclass
from typing import Final

from gateway.voice.engines.base import AudioDelta, AudioDone
from gateway.voice.media.playout import ItemKey, Playout
from gateway.voice.talk.history import History
from gateway.voice.talk.signals import Clear, NoteAgent, Truncate

LOOK_AGAIN_MS: Final = 50  # whether what should have been heard was heard


@dataclass(frozen=True, slots=True)
class Notice:
    """A fixed text; `audio` is its telephone audio, None if nobody has spoken it beforehand."""

    text: str
    audio: bytes | None


@dataclass(slots=True)
class _Saying:
    """An item that is not heard to its end."""

    of_engine: bool  # of the present session: only that can be told how much was heard
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Interrupted:
    """What follows from cutting ourselves off: in this order, with the engine's cancellation after the first."""

    clear: Clear
    truncations: tuple[Truncate, ...]
    notes: tuple[NoteAgent, ...]


class Speech:
    """The items that are being said, and what the caller has heard of them.

    `is_protected`: what is being said may not be interrupted; it lasts until we fall silent.
    """

    def __init__(self, playout: Playout, history: History, *, full_duplex: bool = False) -> None:
        self.playout = playout
        self._history = history
        self._full_duplex = full_duplex
        self._saying: dict[ItemKey, _Saying] = {}
        self._notices_played = 0
        self.is_protected = False

    def add(self, delta: AudioDelta, now_ms: int, *, protected: bool = False) -> None:
        """Say some of an answer."""
        key = ItemKey(delta.item_id, delta.content_index)
        if key not in self._saying:
            self._saying[key] = _Saying(of_engine=True, is_complete=False)
            self._history.agent_began(delta.item_id)
        self.playout.add(key, delta.audio, now_ms)
        self.is_protected = self.is_protected or protected

    def drop(self, delta: AudioDelta, now_ms: int) -> None:
        """Say nothing of an answer that was cut off; its audio still comes in."""
        key = ItemKey(delta.item_id, delta.content_index)
        self.playout.mute(key)
        self.playout.add(key, delta.audio, now_ms)

    def finish(self, done: AudioDone, now_ms: int) -> None:
        key = ItemKey(done.item_id, done.content_index)
        saying = self._saying.get(key)
        if saying is not None:
            saying.is_complete = True
            self.playout.finish(key, now_ms)

    def play(self, notice: Notice, now_ms: int, *, protected: bool = False, noted: bool = True) -> None:
        """Say a notice, which is charged to nobody. It has audio."""
        self._notices_played += 1
        key = ItemKey(f"notice-{self._notices_played}")
        self._saying[key] = _Saying(of_engine=False, is_complete=True)
        if noted:
            self._history.agent_began(key.item_id)
            self._history.agent_said(key.item_id, notice.text, is_final=True)
        self.playout.add(key, notice.audio or b"", now_ms, billable=False)
        self.playout.finish(key, now_ms)
        self.is_protected = self.is_protected or protected

    def interrupt(self, now_ms: int) -> Interrupted | None:
        """Fall silent; None if nothing was unplayed."""
        unplayed = self.playout.interrupt(now_ms)
        if not unplayed:
            return None
        truncations, notes = [], []
        for heard in unplayed:
            saying = self._saying.pop(heard.key, None)
            if saying is not None and saying.of_engine and not self._full_duplex:
                truncations.append(Truncate(heard.key.item_id, heard.key.content_index, heard.heard_ms))
            notes += self._history.agent_heard(
                heard.key.item_id, heard_ms=heard.heard_ms, received_ms=heard.received_ms, interrupted=True
            )
        self.is_protected = False
        return Interrupted(Clear(), tuple(truncations), tuple(notes))

    def observe(self, now_ms: int) -> list[NoteAgent]:
        """Note what has been heard to its end."""
        is_playing = self.playout.is_playing(now_ms)
        notes: list[NoteAgent] = []
        for key, saying in list(self._saying.items()):
            heard = self.playout.heard_of(key.item_id, now_ms)
            if heard is None or not saying.is_complete or (is_playing and heard.heard_ms < heard.received_ms):
                continue
            del self._saying[key]
            notes += self._history.agent_heard(
                key.item_id, heard_ms=heard.heard_ms, received_ms=heard.received_ms, interrupted=False
            )
        if not is_playing:
            self.is_protected = False
        return notes

    def forget_session(self, now_ms: int) -> None:
        """Go on without the engine's session: what came of it is said, but nobody is told how much was heard."""
        for key, saying in self._saying.items():
            if not saying.is_complete:
                self.playout.finish(key, now_ms)
            saying.is_complete, saying.of_engine = True, False

    @property
    def is_saying(self) -> bool:
        """Whether something is not heard to its end, as far as was observed."""
        return bool(self._saying)

    def is_playing(self, now_ms: int) -> bool:
        return self.playout.is_playing(now_ms)

    def look_again_ms(self, now_ms: int, looked_ms: int) -> int | None:
        """Return when we may have fallen silent, as nobody has looked since `looked_ms`; None: it was seen."""
        if not self._saying and not self.playout.is_playing(now_ms):
            return None
        return max(self.playout.playing_until_ms(now_ms), looked_ms + LOOK_AGAIN_MS)
