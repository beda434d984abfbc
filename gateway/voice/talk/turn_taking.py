"""Who speaks in a call (pure): the caller, we, or nobody; and what happens when one cuts the other off."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, assert_never

from agents.disclosure import names_a_machine
from agents.voice_prompt import Note, note_text, say_exactly
from gateway.voice.engines import base
from gateway.voice.media.playout import Playout
from gateway.voice.media_stream import Digit, Echoed
from gateway.voice.talk.answers import Answers
from gateway.voice.talk.course import Course
from gateway.voice.talk.history import History
from gateway.voice.talk.manner import Manner, disclosure_reminder, keys_pressed, recording_asked
from gateway.voice.talk.recording_question import RecordingQuestion
from gateway.voice.talk.signals import AddWords, Effect, NoteAgent, Tell
from gateway.voice.talk.speech import Notice, Speech

CallerEvent = base.SpeechStarted | base.SpeechStopped | base.HeardText | Digit
WordsEvent = base.AudioDelta | base.AudioDone | base.SpokenText | Echoed

KEYS_QUIET_MS: Final = 1_200  # after the last key of several
LAST_KEY: Final = "#"


class TurnTaking:
    """Both sides of the conversation.

    `may_interrupt`, `is_silenced`: what the caller, and what the engine may still say; a call that ends narrows both.
    `quiet_since_ms` is when the last of both fell silent; it means something while nobody speaks.
    """

    def __init__(
        self, manner: Manner, playout: Playout, notices: Mapping[str, bytes], history: History, course: Course
    ) -> None:
        self.history = history
        self.speech = Speech(playout, history, full_duplex=manner.full_duplex)
        self.answers = Answers()
        self.recording = RecordingQuestion(manner.language, is_to_be_asked=manner.asks_recording)
        self.may_interrupt = True
        self.is_silenced = False
        self.greeted = manner.greeted  # something of us was heard
        self.caller_speaks = False
        self.caller_answered = False  # since that was last looked at
        self.quiet_since_ms = 0
        self.interrupts_ms: int | None = None  # when the caller will have spoken long enough to interrupt
        self._disclosed = manner.greeted
        self._manner = manner
        self._playout = playout
        self._notices = notices
        self._course = course
        self._was_playing = False
        self._keys = ""
        self._keys_ms = 0

    def receive(self, event: CallerEvent | WordsEvent, now_ms: int) -> list[Effect]:
        match event:
            case base.SpeechStarted() | base.SpeechStopped() | base.HeardText() | Digit():
                return self._on_caller(event, now_ms)
            case base.AudioDelta() | base.AudioDone() | base.SpokenText() | Echoed():
                return self._on_words(event, now_ms)
        assert_never(event)

    # The caller.

    def _on_caller(self, event: CallerEvent, now_ms: int) -> list[Effect]:
        match event:
            case base.SpeechStarted():
                return self._caller_began(now_ms)
            case base.SpeechStopped():
                self._caller_stopped(now_ms)
                return []
            case base.HeardText():
                self.caller_answered = self.caller_answered or bool(event.text.strip())
                return [*self.history.caller_said(event.text, now_ms), *self.recording.hear(event.text)]
            case Digit():
                return self._press(event.digit, now_ms)
        assert_never(event)

    def _caller_began(self, now_ms: int) -> list[Effect]:
        self.caller_speaks = True
        self.history.caller_began(now_ms)
        self.recording.caller_began()
        if self._manner.min_interrupt_ms:
            self.interrupts_ms = now_ms + self._manner.min_interrupt_ms
            return []
        return self.barge_in(now_ms)

    def _caller_stopped(self, now_ms: int) -> None:
        self.caller_speaks = False
        self.quiet_since_ms = now_ms
        if self.may_interrupt:
            self._course.caller_stopped(now_ms)
            self.answers.expect(now_ms)
        if self.interrupts_ms is not None:
            self.interrupts_ms = None
            self._course.false_interruptions += 1

    def barge_in(self, now_ms: int, *, by_us: bool = False) -> list[Effect]:
        """Give the caller the word; `by_us`: the engine does not know of the interruption."""
        self.interrupts_ms = None
        if self.speech.is_protected or not self.may_interrupt:
            return []
        by_us = by_us or not self._manner.interrupts_itself
        cancel = [] if self._manner.full_duplex else self.answers.cut_off(by_us=by_us)
        interrupted = self.speech.interrupt(now_ms)
        if interrupted is None:
            return [*cancel]
        self._course.barge_ins += 1
        return [interrupted.clear, *cancel, *interrupted.truncations, *self._noted(interrupted.notes)]

    def _press(self, key: str, now_ms: int) -> list[Effect]:
        """Collect a key; several in a row are one."""
        self.caller_answered = True
        if self.recording.is_open:
            return [*self.recording.press(key)]
        if not self.may_interrupt:
            return []
        self._keys += key
        self._keys_ms = now_ms if key == LAST_KEY else now_ms + KEYS_QUIET_MS
        return self.barge_in(now_ms, by_us=True)

    @property
    def keys_due_ms(self) -> int | None:
        return self._keys_ms if self._keys else None

    def pass_keys_on(self, now_ms: int) -> list[Effect]:
        """Let the model know the keys as words, and answer them."""
        self.quiet_since_ms = now_ms
        text, self._keys = keys_pressed(self._keys, self._manner.language), ""
        self.answers.want()
        self.history.caller_began(now_ms)
        return [AddWords(text), *self.history.caller_said(text, now_ms)]

    # We.

    def _on_words(self, event: WordsEvent, now_ms: int) -> list[Effect]:
        match event:
            case base.AudioDelta():
                self._hear_engine(event, now_ms)
            case base.AudioDone():
                self.speech.finish(event, now_ms)
            case base.SpokenText():
                self.history.agent_said(event.item_id, event.text, is_final=event.is_final)
            case Echoed():
                self._playout.acknowledge(event.mark, now_ms)
            case _:
                assert_never(event)
        return self.observe(now_ms)

    def _hear_engine(self, delta: base.AudioDelta, now_ms: int) -> None:
        if self.is_silenced or self.answers.is_cut_off(delta.response_id):
            self.speech.drop(delta, now_ms)
            return
        self._course.agent_spoke(now_ms)
        self.answers.spoke = True
        self.speech.add(delta, now_ms, protected=not self.greeted and not self._manner.interruptible_greeting)

    def play(self, kind: str, now_ms: int, *, protected: bool = False, noted: bool = True) -> bool:
        """Say a notice; False if it was not spoken beforehand."""
        audio = self._notices.get(kind)
        if not audio:
            return False
        self.speech.play(Notice(self.text_of(kind), audio), now_ms, protected=protected, noted=noted)
        return True

    def say(self, kind: str, now_ms: int) -> None:
        """Say a notice, or have the engine say its words."""
        if not self.play(kind, now_ms) and self.text_of(kind):
            self.answers.want(say_exactly(self.text_of(kind), self._manner.language))

    def text_of(self, kind: str) -> str:
        return self._manner.texts.get(kind, "")

    def tell(self, note: Note) -> list[Effect]:
        """Let the model know something that it does not say."""
        return [Tell(note_text(note, self._manner.language))]

    def ask_recording(self, now_ms: int) -> list[Effect]:
        """Ask whether the call may be recorded."""
        self.say("recording_question", now_ms)
        told = recording_asked(self.text_of("recording_question"), self._manner.language)
        return [self.recording.ask(), Tell(told)]

    def fall_silent(self, now_ms: int) -> list[Effect]:
        """Say no more, in the middle of a word if need be, and let the engine say nothing more either."""
        self.is_silenced, self.may_interrupt = True, False
        cancel = self.answers.cut_off(by_us=True)
        interrupted = self.speech.interrupt(now_ms)
        return [*cancel] if interrupted is None else [interrupted.clear, *cancel, *interrupted.notes]

    def close(self, now_ms: int) -> list[Effect]:
        """Say no more, to nobody; return what was heard until now."""
        interrupted = self.speech.interrupt(now_ms)
        return [] if interrupted is None else [*interrupted.notes]

    # Both.

    @property
    def state(self) -> Literal["greeting", "listening", "thinking", "speaking"]:
        if not self.greeted:
            return "greeting"
        if self.speech.is_saying:
            return "speaking"
        return "thinking" if self.answers.is_making else "listening"

    def observe(self, now_ms: int) -> list[Effect]:
        """Notice what has been heard, and when we fell silent."""
        notes = self.speech.observe(now_ms)
        is_playing = self.speech.is_playing(now_ms)
        if self._was_playing and not is_playing:
            self.quiet_since_ms = now_ms
        self._was_playing = is_playing
        return self._noted(notes)

    def _noted(self, notes: Sequence[NoteAgent]) -> list[Effect]:
        """Return the notes; while the caller has not heard that a machine speaks, the model is reminded of it."""
        if not notes:
            return []
        self.greeted = True
        self._disclosed = self._disclosed or any(names_a_machine(note.text_heard) for note in notes)
        if self._disclosed or self.is_silenced:
            return [*notes]
        return [*notes, Tell(disclosure_reminder(self._manner.opening, self._manner.language))]

    def nobody_speaks(self, now_ms: int) -> bool:
        return not self.caller_speaks and not self.speech.is_playing(now_ms)

    def is_at_rest(self, now_ms: int) -> bool:
        """Whether nobody speaks, and nothing is on its way to be said."""
        return self.nobody_speaks(now_ms) and not self.is_working(now_ms)

    def is_working(self, now_ms: int) -> bool:
        """Whether an answer is being made or wanted, a tool runs for one, or keys are being pressed."""
        answers = self.answers
        return answers.is_busy(now_ms) or answers.is_wanted or answers.runs_tools or bool(self._keys)

    def forget_session(self, now_ms: int) -> None:
        """Go on without the engine's session: what it gave is still said, what it owed is owed."""
        self.speech.forget_session(now_ms)
        self.history.forget_session()
        self.answers.lost(now_ms)
        self.caller_speaks = False
        self.interrupts_ms = None
        self.quiet_since_ms = now_ms
