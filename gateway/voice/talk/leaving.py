"""How a call comes to its end (pure): words first, then one last effect, and not later than a certain moment."""

from dataclasses import replace
from typing import Final, Literal

from gateway.voice.talk.signals import Effect, Forward, HangUp, Move, NotForwarded, NotMoved
from gateway.voice.talk.turn_taking import TurnTaking

WayOut = Literal["exhausted", "ending", "forwarding", "moved", "over"]

CREDITS_ENDED: Final = "credits_ended"
CONNECTING: Final = "connecting"
ANSWER_MS_MAX: Final = 15_000  # for a goodbye that the engine has to make first
DRAIN_MS: Final = 1_500  # beyond the end of the words, for a carrier that does not tell when they were heard


class Leaving:
    """What ends the call, once that is decided.

    Once `is_done` nothing is wanted any more: the call is over, or somebody else has it.
    """

    def __init__(self, turns: TurnTaking) -> None:
        self._turns = turns
        self._final: Forward | HangUp | Move | None = None
        self._words: str | None = None  # to say if the engine says nothing
        self._regret: str | None = None  # for who cannot be put through
        self.by_ms: int | None = None
        self.is_done = False
        self.is_over = False

    @property
    def has_begun(self) -> bool:
        return self._final is not None

    @property
    def state(self) -> WayOut | None:
        if self.is_over:
            return "over"
        if isinstance(self._final, Move):
            return "moved"
        if isinstance(self._final, Forward) and self.is_done:
            return "forwarding"
        if self._final is not None:
            return "exhausted" if self._final.reason == CREDITS_ENDED else "ending"
        return None

    # The ways to begin it.

    def after_answer(self, final: Forward | HangUp, words: str, now_ms: int) -> None:
        """Leave when the answer that is being made was heard; if it has no words, after a notice."""
        self._begin(final, now_ms)
        self._words = words

    def with_goodbye(self, reason: str, now_ms: int) -> list[Effect]:
        """Hang up after a goodbye, which nothing else that we say delays; unless the call ends already."""
        if self.has_begun:
            return []
        effects = self._turns.barge_in(now_ms, by_us=True)
        self._begin(HangUp(reason), now_ms)
        self._say("goodbye", now_ms)
        return effects

    def at_once(self, final: Forward | HangUp, words: str, now_ms: int) -> list[Effect]:
        """Cut off whoever speaks and leave after a notice; the carrier's own voice has it if nobody spoke it before.

        Who is put through is told that: `words` take leave of the caller, and are for one who cannot be.
        """
        self._begin(final, now_ms)
        self._regret = self._turns.text_of(words)
        effects = self._turns.fall_silent(now_ms)
        kind = CONNECTING if isinstance(final, Forward) else words
        if not self._turns.play(kind, now_ms, protected=True):
            if isinstance(final, HangUp):
                self._final = replace(final, say=self._regret)
            return effects + self.finish(now_ms)
        self._drain(now_ms)
        return effects

    def _begin(self, final: Forward | HangUp, now_ms: int) -> None:
        self._final = final
        self.by_ms = now_ms + ANSWER_MS_MAX
        self._turns.may_interrupt = False

    # What happens on the way.

    def answer_ended(self, now_ms: int) -> None:
        """Say what nobody has said yet, for the engine has nothing more to say."""
        words, self._words = self._words, None
        if words is not None and not self._turns.answers.spoke:
            self._say(words, now_ms)
        elif not self._turns.answers.is_wanted:
            self._drain(now_ms)

    def session_gone(self, now_ms: int) -> None:
        """Say no more than what is here: the engine is gone."""
        self._words = None
        self._drain(now_ms)

    def is_due(self, now_ms: int, *, engine_is_ready: bool) -> bool:
        """Whether all is said and heard, or time is up."""
        if self._final is None or self.is_done:
            return False
        if self.by_ms is not None and now_ms >= self.by_ms:
            return True
        if self._turns.speech.is_playing(now_ms) or self._words is not None:
            return False
        return self._turns.is_silenced or not engine_is_ready or not self._turns.is_working(now_ms)

    def finish(self, now_ms: int) -> list[Effect]:
        """Give the last effect."""
        if self._final is None:
            raise AssertionError("nothing ends the call")
        self.is_done = True
        self.is_over = isinstance(self._final, HangUp)
        return [*self._turns.close(now_ms), self._final]

    def move(self, now_ms: int) -> list[Effect]:
        self._final = Move()
        return self.finish(now_ms)

    def caller_gone(self, now_ms: int) -> list[Effect]:
        """Nobody is left to talk to; return what was heard until then."""
        notes = [] if self.is_done else self._turns.close(now_ms)
        self.is_done = self.is_over = True
        return notes

    def come_back(self, refused: NotForwarded | NotMoved, now_ms: int) -> list[Effect]:
        """Go on talking, or hang up if that is no more to be: the last effect was not possible."""
        final = self._final
        if isinstance(final, Forward) and self._turns.is_silenced:
            self._final = HangUp(final.reason, say=self._regret)
            return self.finish(now_ms)
        self._final = self.by_ms = None
        self.is_done = False
        self._turns.may_interrupt = True
        self._turns.quiet_since_ms = now_ms
        if isinstance(refused, NotMoved):
            return []
        self._turns.answers.want()
        return self._turns.tell("not_reached")

    def _say(self, words: str, now_ms: int) -> None:
        self._turns.say(words, now_ms)
        if not self._turns.answers.is_wanted:
            self._drain(now_ms)

    def _drain(self, now_ms: int) -> None:
        """Everything is said; it only has to be heard."""
        self.by_ms = self._turns.speech.playout.playing_until_ms(now_ms) + DRAIN_MS
