"""The world of the calls' bench: callers at real pace, and a speech model that talks a lot.

One lean process for both, so that one clock says how long a frame took from the caller's mouth to the model's ear.
The model talks for four seconds out of eight and is interrupted every other time.
"""

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from itertools import count
from typing import Any

import aiohttp
import orjson
from aiohttp import WSMsgType, web

from tests.bench import call_wire
from tests.bench.caller import FRAME_S, Caller, Measured

PHASES = 20  # callers' clocks are not the same: a twentieth of them speaks each millisecond
ANSWER_MS = 4_000
DELTA_MS = 200
FASTER = 5  # than real time, as models are
CYCLE_S = 8.0
SILENT_S = 1.0  # before an answer
INTERRUPTED_AFTER_S = 2.0
PCMU = "audio/pcmu"
PCM = "audio/pcm"  # what a session speaks that asks for nothing else, at 24 kHz
MILLISECOND = {PCMU: b"\x55" * 8, PCM: (716).to_bytes(2, "little") * 24}  # the same sound
_AUDIO = '"audio":"'


class SpeechModel:
    """The model's side of one call; a bridge may say in the address whose it is."""

    def __init__(self, socket: web.WebSocketResponse, world: "World", call_sid: str) -> None:
        self._socket = socket
        self._world = world
        self._call_sid = call_sid
        self._caller: Caller | None = None
        self._hears = PCM
        self._speaks = PCM
        self._events = count(1)
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
            self._hear(text, now)
            return
        event = orjson.loads(text)
        if event["type"] == "session.update":
            self._hears = audio_format(event["session"], "input") or self._hears
            self._speaks = audio_format(event["session"], "output") or self._speaks
            await self._say({"type": "session.updated", "session": event["session"]})
        elif event["type"] == "response.create":
            self._answer()
        elif event["type"] == "conversation.item.truncate":
            if event["audio_end_ms"] > self._made_ms.get(event["item_id"], 0.0):
                self._world.measured.truncations_wrong += 1
            await self._say({**event, "type": "conversation.item.truncated"})

    def _hear(self, text: str, now: float) -> None:
        """Tell by the number in a frame when it was sent."""
        at = text.index(_AUDIO) + len(_AUDIO)
        call, number = call_wire.numbers_of(text[at : at + 8])
        caller = self._caller = self._world.callers.get(call)
        sent_at = caller.sent_at.pop(number, None) if caller is not None else None
        if sent_at is not None:
            self._world.measured.heard_ms.append(1000 * (now - sent_at))

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
        await self._say({"type": "conversation.item.added", "item": added})
        if self._caller is not None:
            self._caller.waits_for_audio_since = time.perf_counter()
        where = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        for _ in range(ANSWER_MS // DELTA_MS):
            self._made_ms[item] = self._made_ms.get(item, 0.0) + DELTA_MS
            await self._say({"type": "response.output_audio.delta", **where, "delta": self._world.deltas[self._speaks]})
            await asyncio.sleep(DELTA_MS / FASTER / 1000)
        await self._say({"type": "response.output_audio.done", **where})
        done = {"id": response, "status": "completed", "usage": {"total_tokens": 80}, "output": []}
        await self._say({"type": "response.done", "response": done})

    async def _say(self, event: dict[str, object]) -> None:
        with contextlib.suppress(ConnectionError):
            await self._socket.send_str(orjson.dumps({**event, "event_id": f"event_{next(self._events)}"}).decode())


def audio_format(session: Mapping[str, Any], way: str) -> str:
    """Return the format that a session's update asks for one way, empty if it says nothing of it."""
    asked: str = session.get("audio", {}).get(way, {}).get("format", {}).get("type", "")
    return asked


class World:
    """All callers and what they and the model have measured."""

    def __init__(self, model: type[SpeechModel] = SpeechModel) -> None:
        self._model = model
        self.measured = Measured()
        self.callers: dict[int, Caller] = {}
        self.numbers = count(1)  # of callers: nobody calls twice
        self.deltas = {name: base64.b64encode(sound * DELTA_MS).decode() for name, sound in MILLISECOND.items()}
        self._tasks: list[asyncio.Task[None]] = []

    @contextlib.asynccontextmanager
    async def model(self) -> AsyncIterator[str]:
        """Serve the speech model and the few things of Twilio's that a call asks for; yields the address."""

        async def realtime(request: web.Request) -> web.WebSocketResponse:
            socket = web.WebSocketResponse(compress=False, max_msg_size=2**20)
            await socket.prepare(request)
            await self._model(socket, self, request.match_info.get("call_sid", "")).run()
            return socket

        async def done(request: web.Request) -> web.Response:
            await request.read()
            return web.json_response({"sid": request.match_info.get("sid", "")})

        async def no_speech(_request: web.Request) -> web.Response:
            return web.Response(body=b"\0\0" * 24_000, content_type="audio/pcm")

        app = web.Application()
        app.router.add_get("/v1/realtime", realtime)
        app.router.add_get("/v1/realtime/{call_sid}", realtime)
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
        leaving = list(self.callers.values())
        self.callers.clear()
        await asyncio.gather(*(caller.hang_up() for caller in leaving))
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
                    if self.callers.pop(caller.call, None) is not None:  # else it has hung up itself
                        self.measured.errors += 1
