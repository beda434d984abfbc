"""The caller's end of a media stream, as Twilio speaks it: real frames on a real socket, heard a little later."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import aiohttp

from gateway.simulator.twilio_wire import signature
from gateway.twilio.signature import HEADER
from gateway.voice.webhooks import socket_url
from tests.gateway.voice.telephone import PUBLIC, Telephone

MEDIA = "/twilio/media/"
FRAME = base64.b64encode(b"\xff" * 160).decode()
PLAYOUT_S = 0.05


@dataclass
class Caller:
    """One stream. `heard` is the audio that came and was not cleared before it was played."""

    socket: aiohttp.ClientWebSocketResponse
    call_sid: str
    heard: bytearray = field(default_factory=bytearray)
    clears: int = 0
    echoes: bool = True
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _sequence: int = 1
    _chunk: int = 0
    _buffer: "list[tuple[float, bytes | str]]" = field(default_factory=list)
    _free_at: float = 0.0

    async def start(self) -> None:
        await self.socket.send_json({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        await self._send(
            "start",
            start={
                "streamSid": "MZ1",
                "accountSid": "AC1",
                "callSid": self.call_sid,
                "tracks": ["inbound"],
                "customParameters": {},
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            },
        )

    async def speak(self, frames: int = 1) -> None:
        """Send frames at once, as after a pause of the network."""
        for _ in range(frames):
            self._chunk += 1
            media = {"track": "inbound", "chunk": str(self._chunk), "timestamp": str(self._chunk * 20)}
            await self._send("media", media={**media, "payload": FRAME})

    async def press(self, key: str) -> None:
        await self._send("dtmf", dtmf={"track": "inbound_track", "digit": key})

    async def hang_up(self) -> None:
        await self._send("stop", stop={"accountSid": "AC1", "callSid": self.call_sid})
        await self.socket.close()

    async def until_heard(self, ms: int, byte: int = 100) -> None:
        """Wait until so much audio that is made of this byte was heard."""
        async with asyncio.timeout(20):
            while self.heard_ms(byte) < ms:
                self._changed.clear()
                await self._changed.wait()

    def heard_ms(self, byte: int = 100) -> int:
        return self.heard.count(byte) // 8

    async def listen(self) -> None:
        """Take what comes, play it and echo marks, until the other side closes."""
        playing = asyncio.create_task(self._play())
        try:
            async for message in self.socket:
                self._take(json.loads(message.data))
        finally:
            playing.cancel()
            self.ended.set()

    def _take(self, frame: dict[str, dict[str, str]]) -> None:
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now + PLAYOUT_S)
        match str(frame["event"]):
            case "media":
                audio = base64.b64decode(frame["media"]["payload"])
                for at in range(0, len(audio), 160):
                    self._buffer.append((self._free_at, audio[at : at + 160]))
                    self._free_at += 0.02
            case "mark":
                self._buffer.append((self._free_at, frame["mark"]["name"]))
            case "clear":
                self.clears += 1
                self._buffer = [(now, piece) for _, piece in self._buffer if isinstance(piece, str)]
                self._free_at = now
            case other:
                raise AssertionError(other)
        self._changed.set()

    async def _play(self) -> None:
        while True:
            now = asyncio.get_running_loop().time()
            while self._buffer and self._buffer[0][0] <= now:
                _, piece = self._buffer.pop(0)
                if isinstance(piece, bytes):
                    self.heard += piece
                elif self.echoes:
                    await self._send("mark", mark={"name": piece})
            self._changed.set()
            await asyncio.sleep(0.005)

    async def _send(self, event: str, **fields: object) -> None:
        frame = {"event": event, "sequenceNumber": str(self._sequence), "streamSid": "MZ1", **fields}
        self._sequence += 1
        with contextlib.suppress(ConnectionError):
            await self.socket.send_str(json.dumps(frame))


@contextlib.asynccontextmanager
async def calling(telephone: Telephone, call_sid: str = "CA1", *, address: str | None = None) -> AsyncIterator[Caller]:
    """Call, and have the stream that the gateway asks for; or another one, at an address that it gave later."""
    if address is None:
        document = await telephone.ring(call_sid)
        address = str(document[0][0].get("url"))
    async with dialling(telephone, address, call_sid) as caller:
        await caller.start()
        yield caller


@contextlib.asynccontextmanager
async def dialling(telephone: Telephone, address: str, call_sid: str) -> AsyncIterator[Caller]:
    path = address.removeprefix(socket_url(PUBLIC, ""))
    headers = {HEADER: signature(address, [], "an auth token")}
    async with telephone.http.ws_connect(path, headers=headers) as socket:
        caller = Caller(socket, call_sid)
        listening = asyncio.create_task(caller.listen())
        try:
            yield caller
        finally:
            await socket.close()
            await asyncio.gather(listening, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - several things may make it true
            await asyncio.sleep(0.005)
