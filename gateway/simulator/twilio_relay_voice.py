"""Twilio's voice in a ConversationRelay session: speaks what it is given word by word, and can be cut off."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from gateway.simulator.twilio_exchange import Exchange
from gateway.simulator.twilio_playout import Heard
from gateway.simulator.twilio_relay_wire import Token

Tell = Callable[[str, str], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class _Cycle:
    """What belongs together, up to its last token."""

    begins_ms: float = 0.0
    ms: float = 0.0
    spoken: str = ""
    tokens: "deque[Token]" = field(default_factory=deque)
    complete: bool = False
    cut: bool = False


class RelayVoice:
    """One session's voice. `tell` sends what Twilio tells of it: who speaks, what was played."""

    def __init__(self, exchange: Exchange, *, now_ms: Callable[[], float], tell: Tell) -> None:
        self._exchange = exchange
        self._now_ms = now_ms
        self._tell = tell
        self._cycles: deque[_Cycle] = deque()
        self._over: list[_Cycle] = []
        self._wakes = asyncio.Event()

    @property
    def is_speaking(self) -> bool:
        return bool(self._cycles)

    @property
    def speaks(self) -> Token | None:
        """The token that is being spoken, or comes next."""
        return self._cycles[0].tokens[0] if self._cycles and self._cycles[0].tokens else None

    def add(self, token: Token) -> None:
        """Speak something after what waits already, or instead of it if that may be preempted."""
        if not self._cycles or self._cycles[-1].complete:
            if self.speaks is not None and self.speaks.preemptible:
                self.drop()
            self._cycles.append(_Cycle())
        cycle = self._cycles[-1]
        if token.text:
            cycle.tokens.append(token)
        cycle.complete = token.last
        self._wakes.set()

    def drop(self) -> tuple[str, int]:
        """Fall silent; return the words of the cycle that was being spoken, and for how long they were."""
        cut = self._cycles[0] if self._cycles else _Cycle()
        cut.cut = True
        if cut.spoken:
            self._over.append(cut)
        self._cycles.clear()
        self._wakes.set()
        return cut.spoken.strip(), round(cut.ms)

    def heard(self) -> Sequence[Heard]:
        running = [cycle for cycle in list(self._cycles)[:1] if cycle.spoken]
        return [
            Heard(begins_ms=cycle.begins_ms, ms=cycle.ms, text=cycle.spoken.strip())
            for cycle in (*self._over, *running)
        ]

    async def speak(self) -> None:
        """Speak for good."""
        while True:
            self._wakes.clear()
            if not (self._cycles and (self._cycles[0].tokens or self._cycles[0].complete)):
                await self._wakes.wait()
                continue
            await self._speak_one(self._cycles[0])

    async def _speak_one(self, cycle: _Cycle) -> None:
        cycle.begins_ms = self._now_ms()
        await self._tell("agentSpeaking", "on")
        while not cycle.cut and not (cycle.complete and not cycle.tokens):
            if cycle.tokens:
                await self._speak_token(cycle, cycle.tokens[0])
            else:
                self._wakes.clear()
                await self._wakes.wait()
        if not cycle.cut:
            self._over.append(self._cycles.popleft())
        await self._tell("agentSpeaking", "off")

    async def _speak_token(self, cycle: _Cycle, token: Token) -> None:
        played = ""
        for word in _words(token.text):
            ms = len(word) * self._exchange.say_char_ms
            await self._exchange.sleep(ms / 1000)
            if cycle.cut:
                break
            cycle.spoken += word
            cycle.ms += ms
            played += word
        if played:
            await self._tell("tokensPlayed", played)
        if not cycle.cut:
            cycle.tokens.popleft()


def _words(text: str) -> list[str]:
    """Return a text word by word, each with the space behind it."""
    words: list[str] = []
    for piece in text.split(" "):
        if words:
            words[-1] += " "
        words.append(piece)
    return [word for word in words if word]
