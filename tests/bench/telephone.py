"""The world of the calls' bench: callers at real pace with a buffer that plays, and a speech model that talks a lot.

One lean process for both, so that one clock says how long a frame took from the caller's mouth to the model's ear.
The model talks for four seconds out of eight and is interrupted every other time.
"""

import asyncio
import base64
import contextlib
import heapq
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count

import aiohttp
import orjson
from aiohttp import WSMsgType, web

from tests.bench import call_wire

FRAME_S = 0.02
PHASES = 20  # callers' clocks are not the same: a twentieth of them speaks each millisecond
PLAYOUT_S = 0.15
ANSWER_MS = 4_000
DELTA_MS = 200
FASTER = 5  # than real time, as models are
CYCLE_S = 8.0
SILENT_S = 1.0  # before an answer
INTERRUPTED_AFTER_S = 2.0
_AUDIO = '"audio":"'


@dataclass
class Measured:
    """What callers and model have seen since the last reset."""

    heard_ms: list[float] = field(default_factory=list)  # of each frame: caller to model
    cleared_ms: list[float] = field(default_factory=list)  # speech started to clear
    first_audio_ms: list[float] = field(default_factory=list)  # first delta to first audio at the caller
    truncations_wrong: int = 0
    errors: int = 0

    def reset(self) -> None:
        self.heard_ms.clear()
        self.cleared_ms.clear()
        self.first_audio_ms.clear()


class Caller:
    """One caller: sends a frame each 20 ms, plays what comes, echoes marks when what was before them has played."""

    def __init__(self, call: int, measured: Measured) -> None:
        self.call = call
        self.customer = f"49170{call:07d}"
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


class SpeechModel:
    """The model's side of one call."""

    def __init__(self, socket: web.WebSocketResponse, world: "World") -> None:
        self._socket = socket
        self._world = world
        self._caller: Caller | None = None
        self._items = count(1)
        self._made_ms: dict[str, float] = {}
        self._talking: asyncio.Task[None] | None = None

    async def run(self) -> None:
        expires = int(time.time()) + 3_600
        await self._say({"type": "session.created", "session": {"id": "sess_bench", "expires_at": expires}})
        life = asyncio.create_task(self._converse())
        try:
            async for message in self._socket:
                if message.type is WSMsgType.TEXT:
                    await self._take(message.data, time.perf_counter())
        finally:
            for task in (life, self._talking):
                if task is not None:
                    task.cancel()

    async def _take(self, text: str, now: float) -> None:
        if '"input_audio_buffer.append"' in text:
            at = text.index(_AUDIO) + len(_AUDIO)
            call, number = call_wire.numbers_of(text[at : at + 8])
            caller = self._caller = self._world.callers.get(call)
            sent_at = caller.sent_at.pop(number, None) if caller is not None else None
            if sent_at is not None:
                self._world.measured.heard_ms.append(1000 * (now - sent_at))
            return
        event = orjson.loads(text)
        if event["type"] == "session.update":
            await self._say({"type": "session.updated", "session": event["session"]})
        elif event["type"] == "response.create":
            self._answer()
        elif event["type"] == "conversation.item.truncate":
            if event["audio_end_ms"] > self._made_ms.get(event["item_id"], 0.0):
                self._world.measured.truncations_wrong += 1
            await self._say({**event, "type": "conversation.item.truncated"})

    def _answer(self) -> None:
        if self._talking is None or self._talking.done():
            self._talking = asyncio.create_task(self._talk(f"item_{id(self)}_{next(self._items)}"))

    async def _converse(self) -> None:
        """Let the caller speak at a steady pace, now and then into what is being said."""
        for turn in count():
            interrupts = turn % 2 == 0
            await asyncio.sleep(INTERRUPTED_AFTER_S if interrupts else CYCLE_S - INTERRUPTED_AFTER_S)
            if self._caller is not None and interrupts:
                self._caller.waits_for_clear_since = time.perf_counter()
            await self._say({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": f"in_{turn}"})
            if self._talking is not None:
                self._talking.cancel()
            await asyncio.sleep(SILENT_S)
            await self._say({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 0, "item_id": f"in_{turn}"})
            await self._say({"type": "input_audio_buffer.committed", "item_id": f"in_{turn}"})
            self._answer()

    async def _talk(self, item: str) -> None:
        response = f"resp_{item}"
        body = {"id": response, "status": "in_progress"}
        await self._say({"type": "response.created", "response": body})
        added = {"id": item, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        await self._say(
            {"type": "response.output_item.added", "response_id": response, "output_index": 0, "item": added}
        )
        if self._caller is not None:
            self._caller.waits_for_audio_since = time.perf_counter()
        where = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        for _ in range(ANSWER_MS // DELTA_MS):
            self._made_ms[item] = self._made_ms.get(item, 0.0) + DELTA_MS
            await self._say({"type": "response.output_audio.delta", **where, "delta": self._world.delta})
            await asyncio.sleep(DELTA_MS / FASTER / 1000)
        await self._say({"type": "response.output_audio.done", **where})
        done = {"id": response, "status": "completed", "usage": {"total_tokens": 80}, "output": []}
        await self._say({"type": "response.done", "response": done})

    async def _say(self, event: dict[str, object]) -> None:
        with contextlib.suppress(ConnectionError):
            await self._socket.send_str(orjson.dumps(event).decode())


class World:
    """All callers and what they and the model have measured."""

    def __init__(self) -> None:
        self.measured = Measured()
        self.callers: dict[int, Caller] = {}
        self.numbers = count(1)  # of callers: nobody calls twice
        self.delta = base64.b64encode(b"\x55" * (DELTA_MS * 8)).decode()
        self._tasks: list[asyncio.Task[None]] = []

    @contextlib.asynccontextmanager
    async def model(self) -> AsyncIterator[str]:
        """Serve the speech model and the few things of Twilio's that a call asks for; yields the address."""

        async def realtime(request: web.Request) -> web.WebSocketResponse:
            socket = web.WebSocketResponse(compress=False, max_msg_size=2**20)
            await socket.prepare(request)
            await SpeechModel(socket, self).run()
            return socket

        async def done(request: web.Request) -> web.Response:
            await request.read()
            return web.json_response({"sid": request.match_info.get("sid", "")})

        async def no_speech(_request: web.Request) -> web.Response:
            return web.Response(body=b"\0\0" * 24_000, content_type="audio/pcm")

        app = web.Application()
        app.router.add_get("/v1/realtime", realtime)
        app.router.add_post("/v1/audio/speech", no_speech)
        app.router.add_post("/2010-04-01/Accounts/{account}/Calls/{sid}.json", done)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ticking = asyncio.create_task(self._tick())
        try:
            yield f"127.0.0.1:{runner.addresses[0][1]}"
        finally:
            ticking.cancel()
            await runner.cleanup()

    async def add(self, caller: Caller, connect: Callable[[Caller], Awaitable[None]]) -> None:
        """Let one more caller call; raises what connecting raises."""
        await connect(caller)
        self._tasks.append(asyncio.create_task(caller.listen()))
        self.callers[caller.call] = caller

    async def hang_up(self) -> None:
        await asyncio.gather(*(caller.hang_up() for caller in self.callers.values()))
        self.callers.clear()
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        upcoming = loop.time()
        for phase in count():
            upcoming += FRAME_S / PHASES
            delay = upcoming - loop.time()
            if delay > 0:
                await asyncio.sleep(delay)
            for caller in [one for one in self.callers.values() if one.call % PHASES == phase % PHASES]:
                try:
                    await caller.tick()
                except (ConnectionError, aiohttp.ClientError):
                    self.measured.errors += 1
                    self.callers.pop(caller.call, None)
