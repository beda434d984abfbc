"""A dialogue on virtual time: an engine that is told what to say, and a caller who hears it a little later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from gateway.voice.dialogue import Dialogue, Told
from gateway.voice.engines.base import (
    AudioDelta,
    AudioDone,
    HeardText,
    PastItem,
    ResponseEnded,
    ResponseStarted,
    SpeechStarted,
    SpeechStopped,
    SpokenText,
    ToolAsked,
)
from gateway.voice.media.playout import Play, Playout
from gateway.voice.media_stream import Echoed
from gateway.voice.talk.manner import Manner
from gateway.voice.talk.signals import Clear, Effect, EngineReady

OPENING = "Guten Tag, hier ist die KI vom Salon."
TEXTS = {
    "goodbye": "Auf Wiederhören!",
    "idle": "Sind Sie noch da?",
    "filler": "Einen Moment.",
    "filler_again": "Gleich.",
    "connecting": "Ich verbinde.",
    "credits_ended": "Leider muss ich hier enden.",
    "too_long": "Das war lang.",
    "technical": "Ein technisches Problem.",
    "recording_question": "Dürfen wir aufzeichnen?",
}
NOTICE_MS = 1_000
NOTICES: Mapping[str, bytes] = {kind: bytes([number]) * NOTICE_MS * 8 for number, kind in enumerate(TEXTS, start=1)}
NOTICES = {**NOTICES, "ringing": bytes([99]) * NOTICE_MS * 8}
PLAYOUT_MS = 150
STEP_MS = 10
Wanted = TypeVar("Wanted")


@dataclass
class Ear:
    """The carrier's buffer: what is sent is heard `PLAYOUT_MS` later, and marks come back when they are reached."""

    heard: list[tuple[int, int]] = field(default_factory=list)  # from when, first byte of the audio
    _free_ms: int = 0
    _marks: list[tuple[int, str]] = field(default_factory=list)
    echoes: bool = True

    def take(self, playout: Playout, now_ms: int) -> None:
        for step in playout.due(now_ms):
            if isinstance(step, Play):
                self._free_ms = max(self._free_ms, now_ms + PLAYOUT_MS)
                self.heard += [(self._free_ms + at, step.audio[at * 8]) for at in range(0, len(step.audio) // 8, 20)]
                self._free_ms += len(step.audio) // 8
            else:
                self._marks.append((max(self._free_ms, now_ms), step.name))

    def clear(self, now_ms: int) -> None:
        self.heard = [(at_ms, byte) for at_ms, byte in self.heard if at_ms < now_ms]
        self._marks = [(now_ms, name) for _, name in self._marks]
        self._free_ms = now_ms

    def reached(self, now_ms: int) -> list[str]:
        names = [name for at_ms, name in self._marks if at_ms <= now_ms]
        self._marks = [(at_ms, name) for at_ms, name in self._marks if at_ms > now_ms]
        return names if self.echoes else []

    def heard_ms(self, byte: int) -> int:
        """How long audio made of this byte was heard."""
        return 20 * sum(of == byte for _, of in self.heard)


class Scene:
    """One call. `effects` is all that the dialogue wanted so far, each with its time."""

    def __init__(
        self,
        *,
        notices: Mapping[str, bytes] = NOTICES,
        past: Sequence[PastItem] = (),
        ready: bool = True,
        **manner: object,
    ) -> None:
        self.now = 0
        self.playout = Playout()
        chosen: dict[str, object] = {"language": "de", "opening": OPENING, "texts": TEXTS, **manner}
        self.dialogue = Dialogue(Manner(**chosen), self.playout, dict(notices), past)  # type: ignore[arg-type]
        self.ear = Ear()
        self.effects: list[tuple[int, Effect]] = []
        self.received_ms: dict[str, int] = {}
        self._answers = 0
        self._want(self.dialogue.begin(0))
        if ready:
            self.tell(EngineReady())

    def tell(self, *events: Told) -> list[Effect]:
        """Let something happen; return what the dialogue wants because of it."""
        wanted: list[Effect] = []
        for event in events:
            wanted += self._want(self.dialogue.receive(event, self.now))
        self.ear.take(self.playout, self.now)
        return wanted

    def run(self, ms: int) -> list[Effect]:
        """Let time pass."""
        wanted: list[Effect] = []
        until = self.now + ms
        while self.now < until:
            self.now += STEP_MS
            for name in self.ear.reached(self.now):
                wanted += self._want(self.dialogue.receive(Echoed(name), self.now))
            due_ms = self.dialogue.next_due_ms(self.now)
            if due_ms is not None and due_ms <= self.now:
                wanted += self._want(self.dialogue.due(self.now))
                again_ms = self.dialogue.next_due_ms(self.now)
                assert again_ms is None or again_ms > self.now, "it is asked again and again"
            self.ear.take(self.playout, self.now)
        return wanted

    def says(
        self, text: str, ms: int, *, byte: int = 100, response: str = "", item: str = "", ends: bool = True
    ) -> str:
        """Let the engine give an answer at once, and let it be played; return the response's id."""
        self._answers += 1
        response = response or f"response-{self._answers}"
        item = item or f"item-{self._answers}"
        self.received_ms[item] = self.received_ms.get(item, 0) + ms
        self.tell(
            ResponseStarted(response_id=response),
            AudioDelta(response_id=response, item_id=item, content_index=0, audio=bytes([byte]) * ms * 8),
            SpokenText(item_id=item, text=text, is_final=ends),
        )
        if ends:
            self.tell(AudioDone(item_id=item, content_index=0), ResponseEnded(response_id=response, status="completed"))
        return response

    def greets(self, ms: int = 1_000) -> None:
        """Let the greeting be said and heard."""
        self.says(OPENING, ms)
        self.run(ms + 500)

    def caller_says(self, text: str, ms: int = 600) -> None:
        self.tell(SpeechStarted())
        self.run(ms)
        self.tell(SpeechStopped(), HeardText(item_id="caller", text=text))

    def asks(self, name: str, call_id: str = "tool-1") -> list[Effect]:
        """Let the engine ask for a tool in an answer without words."""
        response = f"wordless-{call_id}"
        return self.tell(ResponseStarted(response_id=response)) + self.asks_in(response, name, call_id)

    def asks_in(self, response: str, name: str, call_id: str = "tool-1") -> list[Effect]:
        """Let an answer that has begun ask for a tool, and end."""
        asked = ToolAsked(response_id=response, tool_call_id=call_id, name=name, arguments="{}")
        return self.tell(asked, ResponseEnded(response_id=response, status="completed"))

    def completes(self, item: str) -> None:
        """Let the audio of an item be complete."""
        self.tell(AudioDone(item_id=item, content_index=0))

    def hears(self, text: str) -> list[Effect]:
        """Let the engine have understood the caller."""
        return self.tell(HeardText(item_id="caller", text=text))

    def wanted(self, kind: type[Wanted]) -> list[Wanted]:
        return [effect for _, effect in self.effects if isinstance(effect, kind)]

    def when(self, kind: type[object]) -> list[int]:
        return [at_ms for at_ms, effect in self.effects if isinstance(effect, kind)]

    def heard_notice(self, kind: str) -> int:
        """For how long a notice was heard, in milliseconds."""
        return self.ear.heard_ms(NOTICES[kind][0])

    def _want(self, effects: list[Effect]) -> list[Effect]:
        self.effects += [(self.now, effect) for effect in effects]
        if any(isinstance(effect, Clear) for effect in effects):
            self.ear.clear(self.now)
        return effects
