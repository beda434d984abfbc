"""What somebody writes in an afternoon: Twilio's stream to a speech model and back, nothing else.

No signature, no token, no metering, no tools, no database. It stands beside the gateway in the calls' bench as the
floor: aiohttp on uvloop with orjson, 20 ms pacing with a lead of 200 ms, a mark every 200 ms, a clear at an
interruption. Run as a program: `python -m tests.bench.naive_bridge PORT MODEL_URL`.
"""

import asyncio
import base64
import sys
from dataclasses import dataclass, field

import aiohttp
import orjson
import uvloop
from aiohttp import web

FRAME = 160
LEAD_S = 0.2
MARK_EVERY = 10  # frames
SESSION = {
    "type": "session.update",
    "session": {
        "type": "realtime",
        "audio": {
            "input": {"format": {"type": "audio/pcmu"}, "turn_detection": {"type": "server_vad"}},
            "output": {"format": {"type": "audio/pcmu"}, "voice": "marin"},
        },
    },
}


@dataclass
class Call:
    caller: web.WebSocketResponse
    model: aiohttp.ClientWebSocketResponse
    stream_sid: str = ""
    queue: bytearray = field(default_factory=bytearray)
    ends_at: float = 0.0
    frames: int = 0

    async def hear(self) -> None:
        async for message in self.caller:
            event = orjson.loads(message.data)
            if event["event"] == "media":
                audio = event["media"]["payload"]
                await self.model.send_str('{"type":"input_audio_buffer.append","audio":"' + audio + '"}')
            elif event["event"] == "start":
                self.stream_sid = event["streamSid"]
                await self.model.send_str('{"type":"response.create"}')
            elif event["event"] == "stop":
                break
        await self.model.close()

    async def speak(self) -> None:
        async for message in self.model:
            event = orjson.loads(message.data)
            if event["type"] == "response.output_audio.delta":
                self.queue += base64.b64decode(event["delta"])
            elif event["type"] == "input_audio_buffer.speech_started" and self.queue:
                self.queue.clear()
                self.ends_at = 0.0
                await self.send({"event": "clear"})

    async def pace(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0.02)
            self.ends_at = max(self.ends_at, loop.time())
            while self.queue and self.ends_at < loop.time() + LEAD_S:
                frame = bytes(self.queue[:FRAME])
                del self.queue[:FRAME]
                await self.send({"event": "media", "media": {"payload": base64.b64encode(frame).decode()}})
                self.ends_at += 0.02
                self.frames += 1
                if self.frames % MARK_EVERY == 0:
                    await self.send({"event": "mark", "mark": {"name": str(self.frames)}})

    async def send(self, event: dict[str, object]) -> None:
        await self.caller.send_str(orjson.dumps({**event, "streamSid": self.stream_sid}).decode())


async def serve(port: int, model_url: str) -> None:
    async with aiohttp.ClientSession() as http:

        async def bridge(request: web.Request) -> web.WebSocketResponse:
            caller = web.WebSocketResponse(compress=False)
            await caller.prepare(request)
            async with http.ws_connect(model_url, compress=0) as model:
                await model.send_str(orjson.dumps(SESSION).decode())
                call = Call(caller, model)
                others = [asyncio.create_task(call.speak()), asyncio.create_task(call.pace())]
                await call.hear()
                for task in others:
                    task.cancel()
            return caller

        app = web.Application()
        app.router.add_get("/bridge", bridge)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2]))
