"""How a call by text ends (pure): with the words that belong to it, and once they have been heard."""

from typing import Final

from agents.parts import VoiceStyle
from gateway.voice.relay.mouth import Mouth
from gateway.voice.relay.signals import RelayEffect, Say
from gateway.voice.talk.leaving import CREDITS_ENDED
from gateway.voice.talk.signals import Forward, HangUp, Move

TECHNICAL: Final = "technical"


class Endings:
    """What the call comes to. Terminal: what is decided first is done; only a failed forwarding opens it again."""

    def __init__(self, style: VoiceStyle, mouth: Mouth, *, ends_ms: int) -> None:
        self.wants_move = False
        self.asked: str | None = None  # by somebody outside: the reason
        self.by_ms: int | None = None  # then it is over, however much is left to be said
        self._style = style
        self._mouth = mouth
        self._ends_ms = ends_ms
        self._outcome: HangUp | Forward | Move | None = None

        self._is_done = False  # the outcome was handed over

    @property
    def is_near(self) -> bool:
        return self._outcome is not None

    @property
    def is_deaf(self) -> bool:
        """Whether nothing is counted any more, so that nothing is taken note of either."""
        return self._reason == CREDITS_ENDED

    @property
    def _reason(self) -> str:
        return self._outcome.reason if isinstance(self._outcome, HangUp | Forward) else ""

    def goodbye(self, now_ms: int, *, said: bool) -> list[RelayEffect]:
        """Hang up once the agent's goodbye has been heard."""
        words = [] if said else self._mouth.say_notice(self._style.goodbye_text, now_ms)
        return self._then(HangUp("agent_hung_up"), words)

    def transfer(self, now_ms: int, *, said: bool) -> list[RelayEffect]:
        words = [] if said else self._mouth.say_notice(self._style.connecting_text, now_ms)
        return self._then(Forward("transfer"), words)

    def idle(self, now_ms: int) -> list[RelayEffect]:
        return self._then(HangUp("idle"), self._mouth.say_notice(self._style.goodbye_text, now_ms))

    def technical(self, now_ms: int) -> list[RelayEffect]:
        """No model answers: a person, if there is one, else a word of regret."""
        if self._style.transfer_to is not None:
            words = self._mouth.say_notice(self._style.connecting_text, now_ms, interruptible=False)
            return self._then(Forward(TECHNICAL), words)
        words = self._mouth.say_notice(self._style.technical_text, now_ms, interruptible=False)
        return self._then(HangUp(TECHNICAL), words)

    def credits(self, by_ms: int | None, now_ms: int) -> list[RelayEffect]:
        """End what is used up: with a notice, which is within what is held, and then as the owner chose."""
        self.by_ms = by_ms
        forwards = self._style.when_credits_end == "forward" and self._style.transfer_to is not None
        outcome = Forward(CREDITS_ENDED) if forwards else HangUp(CREDITS_ENDED)
        words = self._style.connecting_text if forwards else self._style.credits_end_text
        return self._then(outcome, self._mouth.say_notice(words, now_ms, interruptible=False))

    def wanted(self, now_ms: int) -> list[RelayEffect]:
        """Return the end that was asked for from outside, or that the call's length demands."""
        if now_ms >= self._ends_ms:
            words = self._mouth.say_notice(self._style.too_long_text, now_ms, interruptible=False)
            return self._then(HangUp("too_long"), words)
        if self.asked is not None:
            return self._then(HangUp(self.asked), self._mouth.say_notice(self._style.goodbye_text, now_ms))
        return []

    def move(self) -> list[RelayEffect]:
        """Let another process go on, without a word."""
        self.wants_move = False
        return self._then(Move(), [])

    def over(self, reason: str) -> list[RelayEffect]:
        """End at once: the caller is gone."""
        self._outcome, self.by_ms = HangUp(reason), None
        return []

    def not_moved(self) -> None:
        self._outcome, self._is_done = None, False

    def not_forwarded(self, now_ms: int) -> list[RelayEffect]:
        """Nobody is put through: tell so and go on, or hang up if there is nothing to go on with."""
        reason, self._is_done = self._reason, False
        if reason == CREDITS_ENDED:
            self._outcome = HangUp(CREDITS_ENDED)
            return []
        if reason == TECHNICAL:
            words = self._mouth.say_notice(self._style.technical_text, now_ms, interruptible=False)
            return self._then(HangUp(TECHNICAL), words)
        self._outcome = None
        return [*self._mouth.say_notice(self._style.not_reached_text, now_ms)]

    def due(self, now_ms: int) -> list[RelayEffect]:
        """Return the outcome once everything has been heard, or there is no more time for it."""
        at_ms = self.next_due_ms(now_ms)
        if self._outcome is None or at_ms is None or now_ms < at_ms:
            return []
        self._is_done = True
        return [*self._mouth.stop(now_ms), self._outcome]

    def next_due_ms(self, now_ms: int) -> int | None:
        if self._outcome is None:
            return self._ends_ms
        if self._is_done:
            return None
        return self.by_ms if self._mouth.is_playing else now_ms

    def _then(self, outcome: HangUp | Forward | Move, words: list[Say]) -> list[RelayEffect]:
        self._outcome = outcome
        return [*words]
