"""The answer that is being made in a call by text (pure): begun, abandoned for newer words, accompanied by fillers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agents.texts import Language
from agents.voice_prompt import Note, note_text
from gateway.voice.relay.mouth import Mouth
from gateway.voice.relay.past import RelayPast
from gateway.voice.relay.signals import Abandon, Draft, RelayEffect

FILLER_MS: Final = 1_200
FILLER_AGAIN_MS: Final = 6_000
SILENCE_MS: Final = 2_500  # after an interruption without words: then the caller waits for the answer after all


@dataclass(slots=True, kw_only=True)
class _Running:
    words: int  # it answers so many of the caller's
    filler_ms: int  # when the next one is due
    fillers: int = 0
    must_be_said: bool = False  # a tool changes something in it


class Drafts:
    """One draft at a time. `notes` is what the agent is told besides, as long as it is true."""

    def __init__(self, past: RelayPast, mouth: Mouth, fillers: Sequence[str], language: Language) -> None:
        self.notes: dict[Note, bool] = {}
        self.reminder = ""  # what the next answer must say
        self.number = 0  # of the draft that counts
        self._past = past
        self._mouth = mouth
        self._fillers = fillers
        self._language = language
        self._running: _Running | None = None
        self._resumes_ms: int | None = None

    @property
    def is_running(self) -> bool:
        return self._running is not None

    @property
    def must_be_said(self) -> bool:
        return self._running is not None and self._running.must_be_said

    def answer(self, now_ms: int) -> list[RelayEffect]:
        """Answer what the caller said and has no answer yet, instead of the draft that knows less."""
        words = self._past.unanswered
        if not words or self.must_be_said:
            return []
        abandoned = self.abandon()
        self.number += 1
        self._running = _Running(words=len(words), filler_ms=now_ms + FILLER_MS)
        notes = [note_text(note, self._language) for note, holds in self.notes.items() if holds]
        notes += [self.reminder] if self.reminder else []
        return [*abandoned, Draft(draft=self.number, past=self._past.answered, words=words, notes=tuple(notes))]

    def keep(self) -> None:
        """Note that a tool has begun to change something."""
        if self._running is not None:
            self._running.must_be_said = True

    def done(self) -> None:
        """Note that the answer is there: the caller's words have it."""
        if self._running is not None:
            self._past.answer(self._running.words)
        self.reminder = ""
        self.drop()

    def drop(self) -> None:
        """Note that the draft is over; what is told of it later is of no interest."""
        self._running = self._resumes_ms = None
        self.number += 1

    def abandon(self) -> list[RelayEffect]:
        """Drop a draft that is still being made, whatever it does."""
        if self._running is None:
            self._resumes_ms = None
            return []
        self.drop()
        return [Abandon()]

    def pause(self, now_ms: int) -> list[RelayEffect]:
        """Drop the draft, for the caller goes on speaking; if no words come, it is made again."""
        waits = self._running is not None or self._resumes_ms is not None
        if self.must_be_said or not waits:
            return []
        abandoned = self.abandon()
        self._resumes_ms = now_ms + SILENCE_MS
        return abandoned

    def due(self, now_ms: int) -> list[RelayEffect]:
        if self._resumes_ms is not None and now_ms >= self._resumes_ms:
            return self.answer(now_ms)
        running = self._running
        if running is None or now_ms < running.filler_ms or self._mouth.is_playing:
            return []
        if running.fillers >= len(self._fillers):
            return []
        filler = self._fillers[running.fillers]
        running.fillers += 1
        running.filler_ms = now_ms + FILLER_AGAIN_MS
        return [*self._mouth.say_notice(filler, now_ms, remembered=False)]

    def next_due_ms(self) -> int | None:
        if self._resumes_ms is not None:
            return self._resumes_ms
        running = self._running
        waits = running is not None and running.fillers < len(self._fillers) and not self._mouth.is_playing
        return running.filler_ms if running is not None and waits else None
