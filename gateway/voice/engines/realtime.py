"""OpenAI Realtime over a socket of its own: the one place that imports `websockets`."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from gateway.voice.engines import realtime_reading as reading
from gateway.voice.engines import realtime_wire as wire
from gateway.voice.engines.base import (
    EngineLostError,
    EngineRefusedError,
    Event,
    Setup,
    Traits,
    Trouble,
)

SESSION_S_MAX = 3600.0
_MESSAGE_BYTES_MAX = 1024 * 1024  # a fifth of a second of audio has 2 kB; the session told back to us may have 200
_MESSAGES_WAITING_MAX = 64
_CLOSE_S = 1.0
# At DEBUG, websockets writes down every frame, and frames hold what callers say.
_LOG = logging.getLogger("websockets.client.quiet")
_LOG.setLevel(logging.INFO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a session waits for its server before it counts as lost."""

    send_s: float = 2.0
    heartbeat_s: float = 5.0  # asked so often whether it is there, and given as long to answer


class RealtimeEngine:
    """Sessions with a Realtime server; a server of one's own often wants no key: "" is none."""

    def __init__(
        self,
        url: str,
        api_key: str,
        model: str,
        *,
        now: Callable[[], datetime],
        transcription_model: str = "gpt-4o-mini-transcribe",
        patience: Patience | None = None,
    ) -> None:
        self._url = f"{url}{'&' if '?' in url else '?'}model={quote(model, safe='')}"
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._now = now
        self._transcription_model = transcription_model
        self._patience = patience or Patience()
        # Reading the certificates takes longer than a frame of audio may wait: once, not with every call.
        self._tls = ssl.create_default_context() if url.startswith("wss:") else None

    @property
    def name(self) -> str:
        return "realtime"

    @property
    def traits(self) -> Traits:
        return Traits(counts="audio", session_s_max=SESSION_S_MAX)

    async def connect(self, setup: Setup, *, timeout_s: float) -> "RealtimeSession":
        """Open and configure a session; the past goes along before the server has said that it is ready."""
        try:
            async with asyncio.timeout(timeout_s):
                socket = await self._open()
                try:
                    return await self._configured(socket, setup)
                except BaseException:
                    socket.transport.abort()
                    raise
        except TimeoutError:
            raise EngineLostError("time-out") from None

    async def _open(self) -> ClientConnection:
        try:
            return await connect(
                self._url,
                additional_headers=self._headers,
                ssl=self._tls,
                proxy=None,
                compression=None,
                logger=_LOG,
                open_timeout=None,  # `connect` has one for the whole
                ping_interval=self._patience.heartbeat_s,
                ping_timeout=self._patience.heartbeat_s,
                close_timeout=_CLOSE_S,
                max_size=_MESSAGE_BYTES_MAX,
                max_queue=_MESSAGES_WAITING_MAX,
            )
        except InvalidStatus as error:
            raise _refusal(error.response.status_code, error.response.body) from None
        except (OSError, WebSocketException):
            raise EngineLostError("connection failed") from None

    async def _configured(self, socket: ClientConnection, setup: Setup) -> "RealtimeSession":
        expires_at = self._now() + timedelta(seconds=SESSION_S_MAX)
        try:
            await socket.send(wire.session_update(setup, transcription_model=self._transcription_model))
            for item in wire.past_items(setup.past):
                await socket.send(item)
            while True:
                document = reading.read(await socket.recv(decode=False))
                kind = document.get("type")
                if kind == "error":
                    raise _objection(document)
                if kind == "session.created":
                    at_s = reading.expires_at_s(document)
                    expires_at = datetime.fromtimestamp(at_s, UTC) if at_s else expires_at
                if kind == "session.updated":
                    return RealtimeSession(socket, setup.instructions, expires_at, send_s=self._patience.send_s)
        except ConnectionClosed as error:
            raise _closing(error) from None


class RealtimeSession:
    """One session; whatever a send or the server's silence tells of its end, the socket is gone after it."""

    def __init__(self, socket: ClientConnection, instructions: str, expires_at: datetime, *, send_s: float) -> None:
        self._socket = socket
        self._instructions = instructions
        self._expires_at = expires_at
        self._send_s = send_s
        self._closed = False

    @property
    def expires_at(self) -> datetime | None:
        return self._expires_at

    async def events(self) -> AsyncIterator[Event]:
        while True:
            try:
                message = await self._socket.recv(decode=False)
            except ConnectionClosed as error:
                if self._closed:
                    return
                raise _lost(error) from None
            for event in reading.events_of(reading.read(message)):
                if isinstance(event, Trouble) and reading.is_lost(event):
                    raise EngineLostError(event.code)
                yield event

    async def hear(self, payload: str) -> None:
        message = wire.audio_append(payload)
        if message is not None:
            await self._send(message)

    async def respond(self, instructions: str | None = None) -> None:
        """Ask for an answer. What is said here would replace what the agent is, so both are sent."""
        await self._send(wire.respond(f"{self._instructions}\n\n{instructions}" if instructions else None))

    async def cancel(self) -> None:
        await self._send(wire.cancel())

    async def truncate(self, item_id: str, content_index: int, heard_ms: int) -> None:
        await self._send(wire.truncate(item_id, content_index, heard_ms))

    async def tell(self, text: str) -> None:
        await self._send(wire.note(text))

    async def add_words(self, text: str) -> None:
        await self._send(wire.customer_words(text))

    async def give_result(self, tool_call_id: str, result: str) -> None:
        await self._send(wire.tool_result(tool_call_id, result))

    async def close(self) -> None:
        """End the session. A server that does not take the goodbye is left after a moment."""
        self._closed = True
        try:
            with contextlib.suppress(OSError, TimeoutError, WebSocketException):
                async with asyncio.timeout(_CLOSE_S):
                    await self._socket.close()
        finally:
            self._socket.transport.abort()

    async def _send(self, message: str) -> None:
        try:
            async with asyncio.timeout(self._send_s):
                await self._socket.send(message)
        except TimeoutError:
            self._socket.transport.abort()
            raise EngineLostError("does not take what it is given") from None
        except ConnectionClosed as error:
            raise _lost(error) from None


def _lost(error: ConnectionClosed) -> EngineLostError:
    return EngineLostError(f"closed {error.rcvd.code}" if error.rcvd else "connection lost")


def _closing(error: ConnectionClosed) -> EngineLostError | EngineRefusedError:
    """Sort a close before the session was ready: some refusals come as its reason, such as `….invalid_api_key`."""
    code = error.rcvd.reason.rpartition(".")[2] if error.rcvd else ""
    return EngineRefusedError(code) if reading.is_fatal(code) else _lost(error)


def _refusal(status: int, body: bytes | bytearray | None) -> EngineLostError | EngineRefusedError:
    """Sort an HTTP answer to the handshake: a busy server is lost, an empty account or a wrong key refused."""
    error = reading.error_of(reading.read(bytes(body or b"")))
    code = reading.code_of(error)
    if reading.is_fatal(code):
        return EngineRefusedError(code)
    if status in {408, 409, 425, 429} or status >= 500:
        return EngineLostError(f"HTTP {status}")
    return EngineRefusedError(f"HTTP {status}")


def _objection(document: reading.Document) -> EngineLostError | EngineRefusedError:
    """Sort an error before the session was ready: it is our request that is wrong, unless the vendor says else."""
    error = reading.error_of(document)
    code = reading.code_of(error)
    return EngineLostError(code) if reading.may_be_tried_again(error) else EngineRefusedError(code)
