"""What a simulated Twilio keeps of one account: messages, who opted out, open windows, and its clock."""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta

from gateway.simulator import twilio_wire as wire
from gateway.simulator.faults import TwilioFaults
from gateway.simulator.twilio_posting import Postman
from gateway.simulator.twilio_wire import Message

WINDOW = timedelta(hours=24)
MESSAGES_PATH = "/webhooks/twilio/messages#rc=3&rp=all"
VOICE_PATH = "/webhooks/twilio/voice"
VOICE_STATUS_PATH = "/webhooks/twilio/voice/status"
SID_DIGITS = 32


class TwilioAccount:
    """The account's memory; `faults` may be changed at any time."""

    def __init__(
        self, *, account_sid: str, auth_token: str, public_url: str, gateway_url: str | Callable[[], str] | None
    ) -> None:
        self.account_sid = account_sid
        self.auth_token = auth_token
        self.public_url = public_url.rstrip("/")
        self.messages_url = self.public_url + MESSAGES_PATH
        self.voice_url = self.public_url + VOICE_PATH
        self.voice_status_url = self.public_url + VOICE_STATUS_PATH
        self.postman = Postman(auth_token, reach=self.reach)
        self.faults = TwilioFaults()
        self.messages: dict[str, Message] = {}  # by sid, in both directions
        self.opted_out: set[tuple[str, str]] = set()  # of SMS: our number and the customer's
        self.own_replies: list[tuple[str, str]] = []  # what Twilio itself tells customers: number and text
        self.read_and_typing: list[str] = []  # the messages that were marked read, in order
        self.advanced_opt_out = False  # says OptOutType
        self.fallback_queue = False  # the account's fallback address is a queue that never gives a webhook up
        self.clock_offset_s = 0.0
        self.url = ""  # of the REST interface, once it is running
        self.gateway_url = gateway_url or self.public_url
        self._last_inbound_at: dict[tuple[str, str], datetime] = {}  # of WhatsApp: sender and customer
        self._arrived = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def now(self) -> datetime:
        """Return the time as Twilio tells it: in whole seconds."""
        return datetime.fromtimestamp(int(time.time() + self.clock_offset_s), UTC)

    def new_sid(self, prefix: str) -> str:
        return f"{prefix}{random.getrandbits(4 * SID_DIGITS):0{SID_DIGITS}x}"

    @property
    def sent(self) -> list[Message]:
        """Everything that was taken from the gateway, in order."""
        return [message for message in self.messages.values() if message.direction == "outbound-api"]

    def sent_to(self, address: str) -> list[Message]:
        """Return what has gone to a customer; on WhatsApp the address begins with "whatsapp:"."""
        return [message for message in self.sent if message.to == address]

    async def wait_for_sent(self, address: str, count: int, *, timeout_s: float = 15.0) -> list[Message]:
        """Wait until so many messages have gone to a customer. Raises TimeoutError."""
        await self.wait_for(lambda: len(self.sent_to(address)) >= count, timeout_s=timeout_s)
        return self.sent_to(address)

    async def wait_for(self, happened: Callable[[], bool], *, timeout_s: float = 15.0) -> None:
        """Wait until something is true of the messages. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self._arrived:
            await self._arrived.wait_for(happened)

    async def keep(self, message: Message) -> None:
        """Remember a message, and wake who waits for one."""
        self.messages[message.sid] = message
        if message.direction == "inbound" and message.is_whatsapp:
            self._last_inbound_at[message.to, message.sender] = self.now()
        async with self._arrived:
            self._arrived.notify_all()

    def window_is_open(self, message: Message) -> bool:
        """Return whether free text may go to a customer: always by SMS."""
        if not message.is_whatsapp:
            return True
        last = self._last_inbound_at.get((message.sender, message.to))
        return last is not None and self.now() - last < WINDOW

    def obey(self, message: Message) -> str | None:
        """Do what a customer's keyword asks for, and answer it as Twilio does; return what it was."""
        word, pair = message.body.strip().upper(), (message.to, message.sender)
        if word in wire.STOP_WORDS:
            self.opted_out.add(pair)
            self.own_replies.append((message.sender, wire.STOP_REPLY))
            return "STOP"
        if word in wire.START_WORDS:
            if pair in self.opted_out:
                self.opted_out.discard(pair)
                self.own_replies.append((message.sender, wire.START_REPLY))
            return "START"
        if word in wire.HELP_WORDS:
            self.own_replies.append((message.sender, wire.HELP_REPLY))
            return "HELP"
        return None

    async def settled(self) -> None:
        """Wait until every callback has been answered or given up."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def spawn(self, work: Coroutine[object, object, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def reach(self, url: str) -> str:
        """Return where a public address really leads."""
        if not url.startswith(self.public_url):
            return url
        base = self.gateway_url if isinstance(self.gateway_url, str) else self.gateway_url()
        return base.rstrip("/") + url.removeprefix(self.public_url)
