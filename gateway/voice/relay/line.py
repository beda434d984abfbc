"""The socket of a call by text: Twilio's messages come in as values, ours go out within two seconds or not at all."""

import asyncio
import contextlib
import socket as sockets
from collections.abc import Callable, Iterable
from typing import Final

from aiohttp import ClientConnectionError, WSMsgType, web

from gateway.voice.engines import conversation_relay_wire as wire
from gateway.voice.engines.conversation_relay_wire import Began, RelayEvent
from gateway.voice.relay.signals import Say

SEND_S: Final = 2.0
SETUP_S: Final = 5.0
WAITING_MAX: Final = 200
FULL_S: Final = 0.05
UNHEARD_MS: Final = 6_000  # what we sent and the other side's machine has not even received


class LineLostError(Exception):
    """Twilio takes nothing more."""


class RelayLine:
    """One call's socket."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        _give_up_soon(socket)

    @property
    def is_open(self) -> bool:
        return not self._socket.closed

    async def began(self) -> Began | None:
        """Return what Twilio says first; None if that is something else, or nothing in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETUP_S):
                event = await self.receive()
                return event if isinstance(event, Began) else None
        return None

    async def receive(self) -> RelayEvent | None:
        """Return the next message; None once Twilio has closed the socket."""
        message = await self._socket.receive()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            return wire.read(message.data)
        return None

    async def read(self, tell: Callable[[RelayEvent], None], waiting: Callable[[], int]) -> None:
        """Tell every message, until Twilio has closed the socket; while too many wait, the others wait at Twilio."""
        while (event := await self.receive()) is not None:
            tell(event)
            while waiting() > WAITING_MAX:  # noqa: ASYNC110 - nobody tells when there is room again
                await asyncio.sleep(FULL_S)

    async def say(self, say: Say) -> None:
        """Have something spoken. Raises LineLostError."""
        last = len(say.pieces) - 1
        await self._send(
            wire.text(
                piece,
                last=place == last,
                interruptible=None if say.interruptible else False,
                preemptible=True if say.preemptible else None,
            )
            for place, piece in enumerate(say.pieces)
        )

    async def _send(self, frames: Iterable[str]) -> None:
        try:
            async with asyncio.timeout(SEND_S):
                for frame in frames:
                    await self._socket.send_str(frame)
        except (TimeoutError, ConnectionError, ClientConnectionError, RuntimeError):  # the last: closing already
            raise LineLostError from None


def _give_up_soon(socket: web.WebSocketResponse) -> None:
    """Let the system notice that nobody is there any more: no frame of Twilio's says so while a caller is silent."""
    setsockopt = getattr(socket.get_extra_info("socket"), "setsockopt", None)
    if setsockopt is not None and hasattr(sockets, "TCP_USER_TIMEOUT"):
        setsockopt(sockets.IPPROTO_TCP, sockets.TCP_USER_TIMEOUT, UNHEARD_MS)
