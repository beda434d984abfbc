"""One call to a number at the simulated Twilio, as its caller has it: what they say, press and hear.

Times are milliseconds since the call was placed. What the line does with the call is in `twilio_calls`.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gateway.simulator import twilio_call_wire as wire
from gateway.simulator.twilio_call_parts import Ending, Happened, Leg, Listening, Mouth, What
from gateway.simulator.twilio_call_wire import CallStatus
from gateway.simulator.twilio_playout import Heard, MarkEcho
from gateway.simulator.twilio_twiml import Document
from gateway.simulator.twilio_wire import Form

POLL_S = 0.005
FRAME_S = 0.02


@dataclass(eq=False, repr=False, kw_only=True)
class PlacedCall:
    """A call from when it rings to its end. What a gateway got wrong on the wire stands in `warnings`.

    `playout_ms`: how much later than it arrives audio is heard. `scale`: how fast the account's clock goes.
    """

    sid: str
    account_sid: str
    caller: str
    to: str
    placed_at: datetime
    playout_ms: float
    keeps_audio: bool
    scale: float
    state: CallStatus = "ringing"
    answered_at: float | None = None  # on the loop's clock, as is the next
    ended_at: float | None = None
    end_reason: str = ""  # "caller", "rest", "document", "rejected", "time limit", "error"
    duration_s: int | None = None  # as Twilio tells it, once it has ended
    time_limit_s: int | None = None  # as the gateway has set it
    legs: list[Leg] = field(default_factory=list)
    events: list[Happened] = field(default_factory=list)
    marks: list[MarkEcho] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    listener: Listening | None = None
    ear: Callable[[bytes], None] | None = None  # given every 20 ms the audio that was heard meanwhile, if any
    connection_lost: bool = False  # of what listens, without a word
    stream_url: str | None = None  # of the last one
    orders: "asyncio.Queue[Document | Ending]" = field(default_factory=asyncio.Queue)  # interrupt what runs
    keys: "asyncio.Queue[str]" = field(default_factory=asyncio.Queue)  # pressed while nothing listened

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begun_at = self._loop.time()
        self._mouth = Mouth()
        self._over = asyncio.Event()
        self._heard: list[Heard] = []  # of what no longer runs
        self._heard_ms = 0.0
        self._limit: asyncio.TimerHandle | None = None

    # The caller.

    async def speak(self, mulaw: bytes) -> None:
        """Say something, at the pace of speech; it is lost if no stream listens. Returns when it has been said."""
        frames = wire.payloads(mulaw)
        if self.listener is None or not self.listener.takes_audio:
            await asyncio.sleep(len(frames) * FRAME_S)
            return
        await self._mouth.say(frames)

    def fall_silent(self) -> None:
        """Stop in the middle of what is being said."""
        self._mouth.close()

    async def say(self, text: str) -> None:
        """Say words to a relay, which recognises speech at Twilio."""
        if self.listener is None:
            raise RuntimeError("nobody listens")
        await self.listener.hear_words(text)

    async def press(self, digits: str) -> None:
        for digit in digits:
            self.note("key", digit)
            if self.listener is None:
                await self.keys.put(digit)
            else:
                await self.listener.hear_key(digit)

    async def hang_up(self) -> None:
        """Hang up, and wait until the call has ended. One that only rang was canceled."""
        self.order(Ending(status="completed" if self.answered_at is not None else "canceled", reason="caller"))
        await self.wait_for_end()

    def lose_connection(self) -> None:
        """Let the stream's socket go dead without a word: nothing is read or sent any more, and it stays open."""
        if self.listener is None:
            raise RuntimeError("no stream is connected")
        self.connection_lost = True
        self.listener.lose_connection()

    # What was heard.

    @property
    def heard(self) -> Sequence[Heard]:
        """Everything the caller has heard so far, in order: audio as it was played, and what Twilio itself said."""
        return [*self._heard, *(self.listener.heard() if self.listener else ())]

    @property
    def heard_audio(self) -> bytes:
        """The audio that was played so far, without the pauses between."""
        return b"".join(one.audio for one in self.heard)

    @property
    def heard_ms(self) -> float:
        """For how long audio was heard, without pauses and without what Twilio itself said."""
        return self._heard_ms + (self.listener.heard_ms() if self.listener else 0.0)

    @property
    def said(self) -> Sequence[str]:
        """What Twilio itself said to the caller, text by text."""
        return [one.text for one in self.heard if one.text]

    async def wait_for_heard(
        self, enough: float | Callable[["PlacedCall"], bool], *, timeout_s: float = 15.0
    ) -> Sequence[Heard]:
        """Wait until so many milliseconds of audio were heard, or until something is true. Raises TimeoutError."""
        await self.wait_for(enough if callable(enough) else lambda call: call.heard_ms >= enough, timeout_s=timeout_s)
        return self.heard

    async def wait_for(self, happened: Callable[["PlacedCall"], bool], *, timeout_s: float = 15.0) -> None:
        """Wait until something is true of the call. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while not happened(self):  # noqa: ASYNC110 - audio is heard by the clock, which tells nobody
                await asyncio.sleep(POLL_S)

    async def wait_for_connection(self, *, timeout_s: float = 15.0) -> None:
        """Wait until somebody listens, was dialled or said something, or the call has ended. Raises TimeoutError."""
        await self.wait_for(
            lambda call: bool(call.listener or call.legs or call.said or call.is_over), timeout_s=timeout_s
        )

    async def wait_for_end(self, *, timeout_s: float = 15.0) -> CallStatus:
        """Wait until the call has ended, and return its last status. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            await self._over.wait()
        return self.state

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    def happened(self, what: What) -> Sequence[Happened]:
        return [one for one in self.events if one.what == what]

    # The line.

    def now_ms(self) -> float:
        return (self._loop.time() - self._begun_at) * 1000

    def note(self, what: What, detail: str = "") -> None:
        self.events.append(Happened(at_ms=self.now_ms(), what=what, detail=detail))

    def answer(self) -> None:
        """Pick up, if that has not happened yet."""
        if self.answered_at is None:
            self.answered_at, self.state = self._loop.time(), "in-progress"
            self.note("answered")

    def order(self, order: Document | Ending) -> None:
        """Interrupt whatever goes on."""
        if not self.is_over:
            self.orders.put_nowait(order)

    def limit(self, time_limit_s: int) -> None:
        """End the call so many of the account's seconds after it was answered; the last limit counts."""
        self.time_limit_s = time_limit_s
        if self._limit is not None:
            self._limit.cancel()
        begun_at = self._loop.time() if self.answered_at is None else self.answered_at
        self._limit = self._loop.call_at(
            begun_at + time_limit_s / self.scale, self.order, Ending(status="completed", reason="time limit")
        )

    def hear(self, heard: Sequence[Heard], audio_ms: float = 0.0) -> None:
        """Keep what was heard of something that has ended."""
        self._heard += heard
        self._heard_ms += audio_ms

    def take_payload(self) -> str:
        """Return the caller's next 20 ms."""
        return self._mouth.take()

    def end(self, ending: Ending) -> None:
        self.ended_at, self.state, self.end_reason = self._loop.time(), ending.status, ending.reason
        self.duration_s = self.lasted_s(self.answered_at, self.ended_at)
        if self._limit is not None:
            self._limit.cancel()
        self.fall_silent()
        self.note("ended", ending.reason)
        self._over.set()

    def lasted_s(self, answered_at: float | None, ended_at: float | None) -> int:
        """Return a duration as Twilio tells it: started seconds on the account's clock, none for what only rang."""
        return 0 if answered_at is None or ended_at is None else math.ceil((ended_at - answered_at) * self.scale)

    def form(self, more: Form = ()) -> Form:
        """Return a webhook of this call as it stands."""
        return wire.call_form(
            sid=self.sid,
            account_sid=self.account_sid,
            caller=self.caller,
            to=self.to,
            status=self.state,
            direction="inbound",
            more=more,
        )
