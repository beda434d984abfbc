"""A Realtime server that runs here: OpenAI's wire format, a voice of its own, and a mind that one gives it.

It hears when the caller speaks. What the caller says it is told by `caller_says`, unless it has an ear.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from uuid import uuid4

from aiohttp import web

from gateway.simulator.faults import RealtimeFaults
from gateway.simulator.openai_realtime_wire import SESSION_S, Document
from gateway.simulator.realtime_mind import RealtimeMind
from gateway.simulator.realtime_session import Ear, RealtimeSession

_MESSAGE_BYTES_MAX = 16 * 1024 * 1024


class FakeRealtime:
    """The simulated vendor; everything but `name` may be changed at any time.

    `speed` is how much faster audio comes than it is heard. `sessions` are all there were, oldest first.
    """

    def __init__(
        self,
        mind: RealtimeMind,
        *,
        name: str = "simulated",
        api_key: str | None = None,
        ear: Ear | None = None,
        speed: float = 5.0,
        session_s: float = SESSION_S,
    ) -> None:
        """`api_key` is the only one that is let in; None lets everybody in."""
        self.mind = mind
        self.name = name
        self.api_key = api_key
        self.ear = ear
        self.speed = speed
        self.session_s = session_s
        self.keeps_audio = False
        self.faults = RealtimeFaults()
        self.sessions: list[RealtimeSession] = []
        self.connections = 0  # that are open, whatever became of their sessions
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def running(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Serve; yields what OPENAI_REALTIME_URL is set to."""
        app = web.Application()
        app.router.add_get("/v1/realtime", self._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, host, port)
        await site.start()
        try:
            yield f"ws://{host}:{runner.addresses[0][1]}/v1/realtime"
        finally:
            for session in self.open_sessions:
                session.drop()
            await runner.cleanup()

    @property
    def open_sessions(self) -> list[RealtimeSession]:
        return [session for session in self.sessions if session.is_open]

    async def session(self, number: int = 1) -> RealtimeSession:
        """Wait until so many sessions have been opened, ever, and return that one."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.sessions) >= number)
        return self.sessions[number - 1]

    async def abandoned(self) -> None:
        """Wait until nobody is connected."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.connections == 0)

    def caller_says(self, session: RealtimeSession | None, text: str) -> bool:
        """Tell what the next utterance in a session, or in the newest, will mean; False if there is no session.

        The caller must then be heard to speak: it is the audio that begins and ends an utterance.
        """
        if session is None:
            session = next(reversed(self.open_sessions), None)
        if session is None or not session.is_open:
            return False
        session.words.append(text)
        return True

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(self.faults.connect_delay_s)
        refused = self._refused(request)
        if refused is not None:
            return refused
        socket = web.WebSocketResponse(compress=False, max_msg_size=_MESSAGE_BYTES_MAX)
        await socket.prepare(request)
        self.connections += 1
        try:
            await self._talk(request, socket)
        finally:
            self.connections -= 1
            await self._tell_of_change()
        return socket

    async def _talk(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        if self.faults.connects_silent > 0:
            self.faults.connects_silent -= 1
            async for _ in socket:
                continue
            return
        session = self._session(request, socket)
        await session.send(self._created())
        self.sessions.append(session)
        await self._tell_of_change()
        if self.faults.session_closes:
            code, reason = self.faults.session_closes.pop(0)
            await session.end(code=code, reason=reason)
            return
        limit = asyncio.create_task(self._limit(session))
        try:
            await session.run()
        finally:
            limit.cancel()

    async def _tell_of_change(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _session(self, request: web.Request, socket: web.WebSocketResponse) -> RealtimeSession:
        return RealtimeSession(
            socket,
            request.transport,
            self.mind,
            self.faults,
            model=request.query["model"],
            speed=self.speed,
            ear=self.ear,
            keeps_audio=self.keeps_audio,
        )

    def _created(self) -> Document:
        session = {"id": f"sess_{uuid4().hex}", "object": "realtime.session", "type": "realtime", "model": self.name}
        expires_at = None if self.faults.expiry_unsaid else int(time.time() + self.session_s)
        return {"type": "session.created", "session": {**session, "expires_at": expires_at}}

    def _refused(self, request: web.Request) -> web.Response | None:
        faults = self.faults
        if faults.connects_dropped > 0:
            faults.connects_dropped -= 1
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        if faults.refused_statuses:
            return _error(faults.refused_statuses.pop(0), faults.refusal_code or None)
        if not request.query.get("model"):
            return _error(400, "missing_model")
        if self.api_key is not None and request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return _error(401, "invalid_api_key")
        return None

    async def _limit(self, session: RealtimeSession) -> None:
        await asyncio.sleep(self.session_s)
        reason = f"Your session hit the maximum duration of {round(self.session_s / 60)} minutes."
        await session.object_to("session_expired")
        await session.end(code=1001, reason=reason)


def _error(status: int, code: str | None) -> web.Response:
    words = {"message": "The server refuses.", "type": "invalid_request_error", "code": code, "param": None}
    return web.json_response({"error": words}, status=status)
