"""What a call by text says (pure): counted words as far as they are paid, notices in any case."""

from collections import deque
from collections.abc import Callable

from gateway.voice.relay.past import RelayPast
from gateway.voice.relay.signals import Say
from gateway.voice.relay.speech import Heard, Speech
from gateway.voice.relay.text import cut_to, sentences


class Mouth:
    """Gives words to Twilio and learns what was heard of them; the past knows no more than that."""

    def __init__(self, past: RelayPast, *, count_tokens: Callable[[str], int], room_tokens: Callable[[], int]) -> None:
        self._past = past
        self._count_tokens = count_tokens
        self._room_tokens = room_tokens
        self._speech = Speech(count_tokens)
        self._preemptible: deque[bool] = deque()  # of what is being spoken, in order

    @property
    def is_playing(self) -> bool:
        return self._speech.is_playing

    @property
    def would_be_cut(self) -> bool:
        """Whether what is said next cuts off what is being spoken."""
        return any(self._preemptible)

    def next_due_ms(self) -> int | None:
        return self._speech.next_due_ms()

    def paid(self, text: str) -> str:
        """Return what of a text the minute still pays, beside what waits to be heard."""
        room = self._room_tokens() - self._speech.waiting_tokens
        return cut_to(text, room, self._count_tokens)

    def say(self, text: str, now_ms: int, *, interruptible: bool = True, preemptible: bool = False) -> list[Say]:
        """Say what is counted, cut to what is paid; nothing at all if that is nothing."""
        paid = self.paid(text)
        return self._say(paid, now_ms, billable=True, interruptible=interruptible, preemptible=preemptible)

    def say_notice(self, text: str, now_ms: int, *, interruptible: bool = True, remembered: bool = True) -> list[Say]:
        """Say a fixed text; it costs nothing."""
        return self._say(text, now_ms, billable=False, interruptible=interruptible, remembered=remembered)

    def due(self, now_ms: int) -> list[Heard]:
        return self._noted(self._speech.due(now_ms))

    def note_played(self, text: str, now_ms: int) -> list[Heard]:
        return self._noted(self._speech.note_played(text, now_ms))

    def note_speaking(self, begun: bool, now_ms: int) -> list[Heard]:
        return self._noted(self._speech.note_speaking(begun, now_ms))

    def interrupt(self, heard: str, after_ms: int | None, now_ms: int) -> list[Heard]:
        return self._noted(self._speech.interrupt(heard, after_ms, now_ms))

    def stop(self, now_ms: int) -> list[Heard]:
        """Note that what is being said is heard no further."""
        return self._noted(self._speech.stop(now_ms))

    def _say(
        self,
        text: str,
        now_ms: int,
        *,
        billable: bool,
        interruptible: bool,
        remembered: bool = True,
        preemptible: bool = False,
    ) -> list[Say]:
        if not text:
            return []
        self._speech.say(text, now_ms, billable=billable)
        self._past.agent_says(text, remembered=remembered)
        self._preemptible.append(preemptible)
        return [Say(pieces=sentences(text), interruptible=interruptible, preemptible=preemptible)]

    def _noted(self, over: list[Heard]) -> list[Heard]:
        self._past.agent_heard(one.heard for one in over)
        for _ in over:
            self._preemptible.popleft()
        return over
