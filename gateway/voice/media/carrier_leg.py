"""A call's socket at Twilio: frames in as they come, audio out at the pace at which it is heard.

Twilio counts as gone when it takes nothing for two seconds, or sends nothing for ten: it streams silence too.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from aiohttp import ClientConnectionError, WSMsgType, web

from gateway.voice.media.alarm import Alarm
from gateway.voice.media.playout import Play, Playout
from gateway.voice.media_stream import Digit, Echoed, Media, MediaStream, Started, Stopped

SEND_S: Final = 2.0
START_S: Final = 10.0


class CarrierLostError(Exception):
    """Twilio takes nothing more."""


class CarrierLeg:
    """One call's media stream, both ways.

    `frames` counts what came in. The call's clock, in milliseconds, begins with the stream.
    """

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.playout = Playout()
        self.frames = 0
        self._stream = MediaStream()
        self._socket = socket
        self._clock = asyncio.get_running_loop().time
        self._began_at = self._clock()
        self._clear_us: list[int] = []  # how long clears waited until they were sent
        self._alarm = Alarm()
        self._outbox: deque[str] = deque()
        self._clear_asked_at: float | None = None

    async def started(self) -> Started | None:
        """Return Twilio's first word about the stream; None if it does not come in time."""
        try:
            async with asyncio.timeout(START_S):
                while (message := await self._socket.receive()).type is WSMsgType.TEXT:
                    event = self._stream.receive(message.data)
                    if isinstance(event, Started):
                        self._began_at = self._clock()
                        return event
        except TimeoutError:
            pass
        return None

    def now_ms(self) -> int:
        return round((self._clock() - self._began_at) * 1000)

    async def read(self, hear: Callable[[str, int], None], tell: Callable[[Digit | Echoed], None]) -> bool:
        """Pass on what comes in, until the stream ends; return whether Twilio said that it does."""
        receive, understand = self._socket.receive, self._stream.receive
        while (message := await receive()).type is WSMsgType.TEXT:
            event = understand(message.data)
            if type(event) is Media:
                self.frames += 1
                hear(event.payload, event.duration_ms)
            elif isinstance(event, Digit | Echoed):
                tell(event)
            elif isinstance(event, Stopped):
                return True
        return False

    async def write(self) -> None:
        """Send audio when it is due, for good. Raises CarrierLostError."""
        while True:
            for step in self.playout.due(self.now_ms()):
                self._outbox.append(
                    self._stream.media(step.audio) if isinstance(step, Play) else self._stream.mark(step.name)
                )
            while self._outbox:
                await self._send(self._outbox.popleft())
            now_ms = self.now_ms()
            due_ms = self.playout.next_due_ms(now_ms)
            await self._alarm.wait(None if due_ms is None else max(0, due_ms - now_ms) / 1000)

    def look(self) -> None:
        """Look for audio that has come to be played."""
        self._alarm.ring()

    def clear(self) -> None:
        """Have Twilio drop what it has not played; what was on its way to it is dropped here."""
        self._outbox.clear()
        self._outbox.append(self._stream.clear())
        self._clear_asked_at = self._clock()
        self._alarm.ring()

    def figures(self) -> dict[str, object]:
        """Return how it went."""
        playout = self.playout
        return {
            "frames": self.frames,
            "gaps": self._stream.gaps,
            "underruns": playout.underruns,
            "late_deltas": playout.late_deltas,
            "stale_marks": playout.stale_marks,
            "unacknowledged_marks": playout.unacknowledged,
            "mark_rtt_ms": playout.mark_rtt_ms,
            "clear_us_max": max(self._clear_us, default=None),
        }

    async def _send(self, frame: str) -> None:
        try:
            async with asyncio.timeout(SEND_S):
                await self._socket.send_str(frame)
        except (TimeoutError, ConnectionError, ClientConnectionError, RuntimeError):  # the last: it is closing
            raise CarrierLostError from None
        if self._clear_asked_at is not None:
            self._clear_us.append(round((self._clock() - self._clear_asked_at) * 1_000_000))
            self._clear_asked_at = None
