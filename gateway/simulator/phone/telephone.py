"""The customer's telephone: one call at a time, between a browser's microphone and the simulated Twilio.

The browser sends and gets telephone audio (mu-law, 8 kHz) in pieces of 20 ms. What somebody picks to say is spoken by
the simulators' own voice, and its words are told to the offline model, which has no ear of its own.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Final

import orjson
from aiohttp import WSMsgType, web

from gateway.simulator import twilio_call_wire as wire
from gateway.simulator.openai_realtime import FakeRealtime
from gateway.simulator.phone.chat import REPEATS
from gateway.simulator.speech import spoken
from gateway.simulator.twilio import FakeTwilio
from gateway.simulator.twilio_call import PlacedCall
from gateway.simulator.understanding import language_of
from gateway.voice.audio import SILENCE

FRAME_BYTES: Final = 160
FRAMES_WAITING_MAX: Final = 10  # what a microphone is ahead of the line; more would only be delay
HEARD_WAITING_MAX: Final = 500
PAUSE: Final = bytes([SILENCE]) * FRAME_BYTES * 30  # after each sentence, so that the next one is heard as another
KEYS: Final = frozenset("0123456789*#")


class Telephone:
    """One customer's telephone. `realtime` is the offline model, None where a real one listens."""

    def __init__(
        self, twilio: FakeTwilio, *, number: str, business: str, realtime: FakeRealtime | None, has_ear: bool
    ) -> None:
        self._twilio = twilio
        self._number = number
        self._business = business
        self._realtime = realtime
        self._has_ear = has_ear
        self._call: PlacedCall | None = None
        self._mouth = asyncio.Lock()  # one sentence after the other
        self._frames_waiting = 0
        self._speaking: set[asyncio.Task[None]] = set()

    @property
    def is_in_call(self) -> bool:
        return self._call is not None and not self._call.is_over

    def told(self) -> Mapping[str, Any]:
        """Return what the page shows of the call: its state, and what Twilio itself has said in it."""
        call = self._call
        return {
            "bubbles": [],
            "typing": False,
            "call": {
                "sid": call.sid if call else None,
                "state": call.state if call else "idle",
                "reason": call.end_reason if call else "",
                "said": list(call.said) if call else [],
                "listens": self._has_ear,
            },
        }

    async def write(self, kind: str, text: str) -> None:
        """Say a text, or press keys; nothing while there is no call."""
        call = self._call
        if call is None or call.is_over:
            return
        if kind == "keys":
            await call.press("".join(key for key in text if key in KEYS))
            return
        audio = await asyncio.to_thread(spoken, text, language_of([text], "de"))
        async with self._mouth:
            if call.listener is None:
                return  # nobody hears it: its words would be taken for the next ones
            if self._realtime is not None:
                self._realtime.caller_says(None, text)
            call.fall_silent()
            await call.speak(audio + PAUSE)

    async def hang_up(self) -> None:
        """Hang up; nothing while there is no call."""
        if self._call is not None and not self._call.is_over:
            await self._call.hang_up()

    async def repeat(self) -> None:
        """Post the last call's final report twenty times more; nothing while it goes on or if there was none."""
        call, number = self._call, self._twilio.numbers.by_number(self._business)
        if call is None or not call.is_over or number is None:
            return
        form = call.form(wire.ended_fields(call.duration_s or 0, self._twilio.now()))
        for _ in range(REPEATS):
            self._twilio.calls.post_status(number.status_callback, form)

    async def talk(self, request: web.Request) -> web.WebSocketResponse:
        """Call the business for a browser, for as long as it stays. Raises HTTPConflict while a call goes on."""
        if self.is_in_call:
            raise web.HTTPConflict
        socket = web.WebSocketResponse(compress=False, max_msg_size=4_096)
        await socket.prepare(request)
        heard: asyncio.Queue[bytes | None] = asyncio.Queue(HEARD_WAITING_MAX)
        call = self._call = self._twilio.calls.place(self._number, self._business, keeps_audio=False)
        call.ear = lambda audio: _offer(heard, audio)
        listening = asyncio.create_task(_pass_on(heard, call, socket))
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    self._hear(call, message.data)
                elif message.type is WSMsgType.TEXT and message.data == "hang up":
                    break
        finally:
            with contextlib.suppress(TimeoutError):
                await call.hang_up()
            call.ear = None
            await asyncio.gather(listening, *self._speaking, return_exceptions=True)
            await socket.close()
        return socket

    def _hear(self, call: PlacedCall, audio: bytes) -> None:
        """Take the microphone's next piece, unless something else is being said or too many wait already."""
        if self._mouth.locked() or self._frames_waiting >= FRAMES_WAITING_MAX or len(audio) != FRAME_BYTES:
            return
        task = asyncio.create_task(self._speak(call, audio))
        self._speaking.add(task)
        task.add_done_callback(self._speaking.discard)

    async def _speak(self, call: PlacedCall, audio: bytes) -> None:
        self._frames_waiting += 1
        try:
            await call.speak(audio)
        finally:
            self._frames_waiting -= 1


def _offer(heard: "asyncio.Queue[bytes | None]", audio: bytes) -> None:
    if not heard.full():
        heard.put_nowait(audio)


async def _pass_on(heard: "asyncio.Queue[bytes | None]", call: PlacedCall, socket: web.WebSocketResponse) -> None:
    """Pass on what is heard until the call has ended, and then say why it did."""
    over = asyncio.create_task(_end_with(heard, call))
    try:
        with contextlib.suppress(ConnectionError):
            while (audio := await heard.get()) is not None:
                await socket.send_bytes(audio)
            await socket.send_str(orjson.dumps({"ended": call.end_reason}).decode())
            await socket.close()
    finally:
        over.cancel()


async def _end_with(heard: "asyncio.Queue[bytes | None]", call: PlacedCall) -> None:
    await call.wait_for_end(timeout_s=24 * 3_600)
    await heard.put(None)
