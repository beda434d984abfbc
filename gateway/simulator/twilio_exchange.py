"""What all calls of a simulated Twilio share: settings, pulse, connections, and how it asks for documents."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

import aiohttp

from gateway.simulator.twilio_account import TwilioAccount
from gateway.simulator.twilio_ticker import Ticker
from gateway.simulator.twilio_twiml import Document, TwimlError, read_document
from gateway.simulator.twilio_wire import Form

SAY_CHAR_MS = 60.0  # a text of a thousand characters takes a minute


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a number answers when it is dialled.

    "rings" lets it ring until the dialling ends; "no-answer" gives up before. `presses` is what is pressed when a
    question is asked first: an answering machine presses nothing. `talks_s`: after how long they hang up, None: never.
    """

    kind: Literal["answer", "busy", "no-answer", "rings", "failed"] = "answer"
    after_s: float = 0.05
    presses: str = "1"
    talks_s: float | None = None


MACHINE = Answer(presses="")
BUSY = Answer(kind="busy")
NO_ANSWER = Answer(kind="no-answer")


class Exchange:
    """The settings may be changed at any time; those of time count for calls that are placed afterwards."""

    def __init__(self, account: TwilioAccount) -> None:
        self.account = account
        self.answers: dict[str, Answer] = {}  # by number; nobody is there at any other
        self.scale = 1.0  # so many of Twilio's seconds pass in one of ours, but for audio
        self.say_char_ms = SAY_CHAR_MS  # how long Twilio itself takes to say a character
        self.ticker = Ticker()
        self.dead: list[aiohttp.ClientWebSocketResponse] = []  # sockets that nobody closes, until the end

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Keep the pulse and the sockets; what is still open at the end is dropped."""
        pulse = asyncio.create_task(self.ticker.run())
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as self.http:
            try:
                yield
            finally:
                pulse.cancel()
                await asyncio.gather(pulse, *(socket.close() for socket in self.dead), return_exceptions=True)

    async def sleep(self, seconds: float) -> None:
        """Let so many of Twilio's seconds pass."""
        await asyncio.sleep(seconds / self.scale)

    async def ask(self, url: str, form: Form, *, fallback_url: str = "") -> Document:
        """Ask an address what to do. Raises TwimlError, also if nothing came of it."""
        text = await self.account.postman.ask(url, form, fallback_url=fallback_url)
        if text is None:
            raise TwimlError("11200: no document")
        return read_document(text or "<Response/>", url)

    def post_status(self, url: str, form: Form) -> None:
        """Post a status callback in the background, as often as the faults say."""
        for _ in range(self.account.faults.copies):
            self.account.spawn(self._post(url, form))

    async def _post(self, url: str, form: Form) -> None:
        await self.account.postman.deliver(url, form)

    async def open_socket(self, url: str) -> aiohttp.ClientWebSocketResponse:
        """Connect to a stream's address, signed. Raises aiohttp.ClientError, TimeoutError and OSError."""
        faults, postman = self.account.faults, self.account.postman
        signed = postman.signed(_as_http(url) if faults.streams_signed_as_https else url, ())
        if faults.stream_signatures_wrong > 0:
            faults.stream_signatures_wrong -= 1
            signed = {**signed, "X-Twilio-Signature": "d3Jvbmc="}
        return await self.http.ws_connect(
            self.account.reach(_as_http(url)),
            headers=signed,
            timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            max_msg_size=1024 * 1024,
        )


def _as_http(url: str) -> str:
    return "http" + url.removeprefix("ws")
