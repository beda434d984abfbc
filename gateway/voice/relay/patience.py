"""How long a silent caller is waited for (pure): asked whether somebody is there, then taken leave of."""

from typing import Final, Literal

from agents.parts import VoiceStyle

SPEECH_MS_MAX: Final = 30_000  # somebody who speaks for longer without a word has been forgotten by Twilio


class Patience:
    """Who was last to speak, and when."""

    def __init__(self, style: VoiceStyle) -> None:
        self._wait_ms = style.idle_prompt_s * 1_000
        self._questions_max = style.idle_end_after
        self._questions = 0
        self._quiet_ms = 0  # since when
        self._speaking_since_ms: int | None = None

    @property
    def is_still(self) -> bool:
        """Whether the caller is not in the middle of a word, as far as Twilio tells."""
        return self._speaking_since_ms is None

    def heard(self, now_ms: int) -> None:
        """Note a sign of life."""
        self._quiet_ms = now_ms
        self._questions = 0

    def caller_speaks(self, begun: bool, now_ms: int) -> None:
        self.heard(now_ms)
        self._speaking_since_ms = now_ms if begun else None

    def busy(self, now_ms: int) -> None:
        """Note that we speak or think: nobody is waited for."""
        self._quiet_ms = now_ms

    def next_due_ms(self) -> int:
        if self._speaking_since_ms is not None:
            return self._speaking_since_ms + SPEECH_MS_MAX
        return self._quiet_ms + self._wait_ms

    def due(self, now_ms: int) -> Literal["ask", "end"] | None:
        """Return what is to be done about a silence that lasts too long."""
        if now_ms < self.next_due_ms():
            return None
        if self._speaking_since_ms is not None:
            self.caller_speaks(False, now_ms)
            return None
        self._quiet_ms = now_ms
        self._questions += 1
        return "ask" if self._questions <= self._questions_max else "end"
