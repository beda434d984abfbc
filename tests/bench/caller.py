"""One caller of the calls' bench: frames at real pace, and a buffer that plays what comes and echoes its marks."""

import contextlib
import heapq
import time
from dataclasses import dataclass, field
from itertools import count

import aiohttp
import orjson
from aiohttp import WSMsgType

from tests.bench import call_wire

FRAME_S = 0.02
PLAYOUT_S = 0.15
CALL_DIGITS = 7  # of a caller's number


@dataclass
class Measured:
    """What callers and model have seen since it was last forgotten."""

    heard_ms: list[float] = field(default_factory=list)  # of each frame: caller to model
    cleared_ms: list[float] = field(default_factory=list)  # speech started to clear
    first_audio_ms: list[float] = field(default_factory=list)  # first delta to first audio at the caller
    truncations_wrong: int = 0
    lost: int = 0  # frames, where a model can tell
    errors: int = 0

    @property
    def wrong(self) -> int:
        return self.truncations_wrong + self.lost + self.errors

    def forget_times(self) -> None:
        self.heard_ms.clear()
        self.cleared_ms.clear()
        self.first_audio_ms.clear()

    def forget_faults(self) -> None:
        self.truncations_wrong = self.lost = self.errors = 0


class Caller:
    """Sends a frame each 20 ms, plays what comes, echoes marks when what was before them has played."""

    def __init__(self, call: int, measured: Measured) -> None:
        self.call = call
        self.customer = f"49170{call:0{CALL_DIGITS}d}"
        self.stream_sid = f"MZ{call:032d}"
        self.measured = measured
        self.sent_at: dict[int, float] = {}
        self.waits_for_clear_since: float | None = None
        self.waits_for_audio_since: float | None = None
        self._number = 0
        self._plays_until = 0.0
        self._marks: list[tuple[float, int, str]] = []
        self._order = count()

    async def connect(self, http: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> None:
        self._socket = await http.ws_connect(url, headers=headers, compress=0, max_msg_size=2**20)
        await self._socket.send_str('{"event":"connected","protocol":"Call","version":"1.0.0"}')
        await self._socket.send_str(call_wire.start(self.customer, self.stream_sid))

    async def tick(self) -> None:
        now = time.perf_counter()
        self.sent_at[self._number] = now
        frame = call_wire.media(self.stream_sid, self._number, self.call)
        self._number += 1
        await self._socket.send_str(frame)
        while self._marks and self._marks[0][0] <= now:
            await self._echo(heapq.heappop(self._marks)[2])

    async def listen(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                continue
            now = time.perf_counter()
            event = orjson.loads(message.data)
            if event["event"] == "media":
                self._play(event["media"]["payload"], now)
            elif event["event"] == "mark":
                due = max(self._plays_until, now) + PLAYOUT_S
                heapq.heappush(self._marks, (due, next(self._order), event["mark"]["name"]))
            elif event["event"] == "clear":
                await self._clear(now)

    def _play(self, payload: str, now: float) -> None:
        if self.waits_for_audio_since is not None:
            self.measured.first_audio_ms.append(1000 * (now - self.waits_for_audio_since))
            self.waits_for_audio_since = None
        self._plays_until = max(self._plays_until, now) + len(payload) * 3 / 4 / 8_000

    async def _clear(self, now: float) -> None:
        if self.waits_for_clear_since is not None:
            self.measured.cleared_ms.append(1000 * (now - self.waits_for_clear_since))
            self.waits_for_clear_since = None
        self._plays_until = now
        while self._marks:
            await self._echo(heapq.heappop(self._marks)[2])

    async def _echo(self, name: str) -> None:
        await self._socket.send_str(
            f'{{"event":"mark","sequenceNumber":"1","streamSid":"{self.stream_sid}","mark":{{"name":"{name}"}}}}'
        )

    async def hang_up(self) -> None:
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):
            await self._socket.send_str(
                f'{{"event":"stop","sequenceNumber":"9","streamSid":"{self.stream_sid}","stop":{{}}}}'
            )
            await self._socket.close()
