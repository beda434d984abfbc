"""Whose turn it is in a call by text (pure): what the caller says, what the agent answers, how it all ends.

Twilio listens and speaks; we are told words and give words. Every time is in milliseconds on the session's clock.
"""

from collections.abc import Callable
from typing import Final, assert_never

from agents.agent import AgentConfiguration
from agents.disclosure import names_a_machine
from gateway.voice.call_meter import Continued, CutOff, WrapUp
from gateway.voice.engines import conversation_relay_wire as wire
from gateway.voice.engines.base import PastItem
from gateway.voice.relay.drafts import Drafts
from gateway.voice.relay.endings import Endings
from gateway.voice.relay.keys import Keys
from gateway.voice.relay.mouth import Mouth
from gateway.voice.relay.past import RelayPast
from gateway.voice.relay.patience import Patience
from gateway.voice.relay.signals import Answered, NotAnswered, RelayEffect, RelayTold, Wrote
from gateway.voice.relay.speech import Heard
from gateway.voice.relay.text import cut_to, spoken
from gateway.voice.talk.manner import disclosure_reminder, keys_pressed
from gateway.voice.talk.signals import CallerGone, EndAsked, MoveAsked, NoteCaller, NotForwarded, NotMoved, RecordCall
from gateway.voice.yes import is_yes

ANSWER_TOKENS_MAX: Final = 300  # a minute of speech; nobody listens to more at once

Sign = wire.Prompted | wire.Pressed | wire.Interrupted | wire.Speaking | wire.Played


class RelayDialogue:
    """One call. `room_tokens` is how many of the agent's words the running minute still pays.

    `past`: the call goes on after a gap. `ends_ms`: when it has lasted as long as the owner allows.
    """

    def __init__(
        self,
        configuration: AgentConfiguration,
        *,
        count_tokens: Callable[[str], int],
        room_tokens: Callable[[], int],
        ends_ms: int,
        past: tuple[PastItem, ...] = (),
        asks_recording: bool = False,
    ) -> None:
        self._words = configuration.voice
        self._language = configuration.language
        self._count_tokens = count_tokens
        self._past = RelayPast(past)
        self._mouth = Mouth(self._past, count_tokens=count_tokens, room_tokens=room_tokens)
        self._drafts = Drafts(self._past, self._mouth, configuration.voice.filler_texts, self._language)
        self._patience = Patience(configuration.voice)
        self._endings = Endings(configuration.voice, self._mouth, ends_ms=ends_ms)
        self._asks_recording = asks_recording
        self._ready: Answered | NotAnswered | None = None
        self._opening = ""
        self._keys = Keys()

    @property
    def past(self) -> tuple[PastItem, ...]:
        """What was said, as far as it was heard, for a stream that goes on."""
        return self._past.items

    @property
    def state(self) -> str:
        """What happens right now, in a word for the owner's live view."""
        if self._endings.is_near:
            return "ending"
        if self._drafts.is_running:
            return "thinking"
        return "speaking" if self._mouth.is_playing else "listening"

    @property
    def _may_end(self) -> bool:
        """Whether the call may end by itself: not before the caller has heard what is being said, or was changed."""
        return not self._drafts.must_be_said and not self._mouth.is_playing

    def begin(self, opening: str, now_ms: int) -> list[RelayEffect]:
        """Say the first words, and ask what is to be asked first; without an opening, go on where the call was."""
        self._patience.heard(now_ms)
        self._opening = opening
        effects: list[RelayEffect] = []
        if opening:
            effects += self._mouth.say(opening, now_ms, interruptible=self._words.interruptible_greeting)
        if self._asks_recording:
            effects += [RecordCall(agreed=None), *self._mouth.say_notice(self._words.recording_text, now_ms)]
        return effects + self._drafts.answer(now_ms)

    def receive(self, told: RelayTold, now_ms: int) -> list[RelayEffect]:
        """Return what is to be done about something that was told."""
        if self._mouth.is_playing or self._drafts.is_running:
            self._patience.busy(now_ms)
        match told:
            case wire.Prompted() | wire.Pressed() | wire.Interrupted() | wire.Speaking() | wire.Played():
                effects = self._hear(told, now_ms)
            case wire.Began() | wire.Refused() | wire.Ignored() | wire.Malformed():
                effects = []
            case Answered() | NotAnswered() | Wrote():
                self._note_draft(told)
                effects = []
            case WrapUp() | Continued() | CutOff():
                effects = self._note_credits(told, now_ms)
            case NotForwarded() | NotMoved() | MoveAsked() | EndAsked() | CallerGone():
                effects = self._note_ending(told, now_ms)
            case _:
                assert_never(told)
        return self._with_reminder(effects + self.due(now_ms))

    def due(self, now_ms: int) -> list[RelayEffect]:
        """Return what is to be done because of the time."""
        if self._mouth.is_playing or self._drafts.is_running:
            self._patience.busy(now_ms)
        effects: list[RelayEffect] = [*self._mouth.due(now_ms)]
        if not self._endings.is_near:
            effects += self._due_answer(now_ms)
            effects += self._due_keys(now_ms)
            effects += self._drafts.due(now_ms)
            effects += self._due_ending(now_ms)
            effects += self._due_patience(now_ms)
        return effects + self._endings.due(now_ms)

    def next_due_ms(self, now_ms: int) -> int | None:
        """Return when to call `due` again; None: once something is told."""
        times = [self._mouth.next_due_ms()]
        if self._endings.is_near or self._may_end:
            times.append(self._endings.next_due_ms(now_ms))
        if not self._endings.is_near:
            times.append(self._drafts.next_due_ms())
            times.append(self._keys.next_due_ms)
            if not (self._mouth.is_playing or self._drafts.is_running):
                times.append(self._patience.next_due_ms())
        return min((time for time in times if time is not None), default=None)

    def _with_reminder(self, effects: list[RelayEffect]) -> list[RelayEffect]:
        """Have the agent say that it is an AI, if the caller cut the greeting off before that was heard."""
        for effect in effects:
            if isinstance(effect, Heard) and effect.text == self._opening and not names_a_machine(effect.heard):
                self._drafts.reminder = disclosure_reminder(self._opening, self._language)
        return effects

    def _hear(self, told: Sign, now_ms: int) -> list[RelayEffect]:
        effects: list[RelayEffect]
        match told:
            case wire.Prompted(text=text, is_final=True):
                effects = self._hear_words(text, now_ms)
            case wire.Prompted():
                self._patience.heard(now_ms)
                effects = self._drafts.pause(now_ms)
            case wire.Pressed(digit=digit):
                effects = self._hear_key(digit, now_ms)
            case wire.Interrupted(heard=heard, after_ms=after_ms):
                self._patience.heard(now_ms)
                effects = [*self._mouth.interrupt(heard, after_ms, now_ms), *self._drafts.pause(now_ms)]
            case wire.Speaking(who="caller", begun=begun):
                self._patience.caller_speaks(begun, now_ms)
                effects = []
            case wire.Speaking(begun=begun):
                effects = [*self._mouth.note_speaking(begun, now_ms)]
            case wire.Played(text=text):
                effects = [*self._mouth.note_played(text, now_ms)]
            case _:
                assert_never(told)
        return effects

    def _hear_words(self, text: str, now_ms: int) -> list[RelayEffect]:
        self._patience.caller_speaks(False, now_ms)
        if not text or self._endings.is_deaf:
            return []
        effects: list[RelayEffect] = [NoteCaller(text), *self._answer_to_recording(text)]
        return effects + self._take_up(text, now_ms)

    def _hear_key(self, digit: str, now_ms: int) -> list[RelayEffect]:
        """Collect keys until no more come; a hash ends a number."""
        self._patience.heard(now_ms)
        if self._endings.is_near:
            return []
        effects = self._answer_to_recording(digit)
        if effects:  # the key was an answer, which needs another one
            return [*effects, *self._take_up(keys_pressed(digit, self._language), now_ms)]
        self._keys.press(digit, now_ms)
        return []

    def _due_keys(self, now_ms: int) -> list[RelayEffect]:
        pressed = self._keys.take(now_ms)
        return self._take_up(keys_pressed(pressed, self._language), now_ms) if pressed else []

    def _take_up(self, text: str, now_ms: int) -> list[RelayEffect]:
        """Let the agent answer, together with what it has not answered yet."""
        if self._endings.is_near:
            return []
        self._past.caller_said(text)
        return self._drafts.answer(now_ms)

    def _answer_to_recording(self, text: str) -> list[RelayEffect]:
        asked, self._asks_recording = self._asks_recording, False
        return [RecordCall(agreed=is_yes(text, self._language))] if asked else []

    def _note_draft(self, told: Answered | NotAnswered | Wrote) -> None:
        if told.draft != self._drafts.number:
            return
        if isinstance(told, Wrote):
            self._drafts.keep()
        else:
            self._ready = told

    def _due_answer(self, now_ms: int) -> list[RelayEffect]:
        """Say what the agent has answered, but not into the middle of an answer before."""
        ready = self._ready
        if ready is None or self._mouth.would_be_cut:
            return []
        self._ready = None
        if ready.draft != self._drafts.number:
            return []
        if isinstance(ready, NotAnswered):
            self._drafts.drop()
            return self._endings.technical(now_ms)
        self._drafts.done()
        text = cut_to(spoken(ready.text), ANSWER_TOKENS_MAX, self._count_tokens)
        if self._mouth.paid(text) != text:
            return [*self._mouth.say(text, now_ms), *self._endings.credits(None, now_ms)]
        return self._say_answer(text, ready.ending, now_ms)

    def _say_answer(self, text: str, ending: str | None, now_ms: int) -> list[RelayEffect]:
        said = self._mouth.say(text, now_ms, preemptible=True)
        match ending:
            case "end_call":
                return [*said, *self._endings.goodbye(now_ms, said=bool(said))]
            case "transfer_call":
                return [*said, *self._endings.transfer(now_ms, said=bool(said))]
            case _:
                return [*said, *self._drafts.answer(now_ms)]

    def _note_credits(self, told: WrapUp | Continued | CutOff, now_ms: int) -> list[RelayEffect]:
        if isinstance(told, CutOff):
            return self._end_credits(told.by_ms, now_ms)
        self._drafts.notes["wrap_up"] = isinstance(told, WrapUp)
        return []

    def _note_ending(
        self, told: NotForwarded | NotMoved | MoveAsked | EndAsked | CallerGone, now_ms: int
    ) -> list[RelayEffect]:
        match told:
            case NotForwarded():
                said = self._endings.not_forwarded(now_ms)
                self._drafts.notes["not_reached"] = not self._endings.is_near
                return said
            case NotMoved():
                self._endings.not_moved()
            case MoveAsked():
                self._endings.wants_move = True
            case EndAsked(reason):
                self._endings.asked = reason
            case CallerGone(reason):
                return [*self._drafts.abandon(), *self._mouth.stop(now_ms), *self._endings.over(reason)]
            case _:
                assert_never(told)
        return []

    def _end_credits(self, by_ms: int, now_ms: int) -> list[RelayEffect]:
        """Say no more that is counted. A call that ends already says what it is saying, if there is time."""
        if self._endings.is_near:
            self._endings.by_ms = by_ms
            return []
        return [*self._drafts.abandon(), *self._mouth.stop(now_ms), *self._endings.credits(by_ms, now_ms)]

    def _due_ending(self, now_ms: int) -> list[RelayEffect]:
        """End what was asked to be ended, or has lasted too long."""
        if not self._may_end:
            return []
        ending = self._endings.wanted(now_ms)
        return [*self._drafts.abandon(), *ending] if ending else []

    def _due_patience(self, now_ms: int) -> list[RelayEffect]:
        if self._endings.is_near or self._mouth.is_playing or self._drafts.is_running or self._keys.next_due_ms:
            return []
        if self._patience.is_still and self._endings.wants_move:
            return self._endings.move()
        match self._patience.due(now_ms):
            case "ask":
                return [*self._mouth.say_notice(self._words.idle_text, now_ms)]
            case "end":
                return self._endings.idle(now_ms)
            case _:
                return []
