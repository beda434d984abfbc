"""How Twilio follows documents: verb by verb, and on to the next document where one leads there."""

import asyncio
from typing import Protocol

from gateway.simulator.twilio_call_parts import Ending
from gateway.simulator.twilio_exchange import Exchange
from gateway.simulator.twilio_twiml import (
    Dial,
    Document,
    Gather,
    Hangup,
    Pause,
    Play,
    Redirect,
    Reject,
    Relay,
    Say,
    Stream,
    Verb,
)
from gateway.simulator.twilio_wire import Form

PLAY_S = 1.0  # how long a file plays, whatever is in it
DIGITS_MAX = 32
HUNG_UP = Ending(status="completed", reason="document")

Next = Document | Ending | None  # None: the next verb


class Side(Protocol):
    """Who follows documents: a caller, or somebody who was dialled."""

    @property
    def keys(self) -> "asyncio.Queue[str]":
        """Return what they press."""

    def begin(self, verb: Verb) -> None:
        """Note that a verb begins."""

    def hear(self, text: str, ms: float) -> None:
        """Note that something is being said to them."""

    def form(self, more: Form = ()) -> Form:
        """Return a webhook of this side as it stands."""

    async def connect(self, verb: Reject | Dial | Stream | Relay) -> Next:
        """Do what only a caller's documents may ask for. Raises TwimlError."""


class Script:
    """What the documents of either side of a call have in common."""

    def __init__(self, exchange: Exchange, side: Side) -> None:
        self._exchange = exchange
        self._side = side

    async def follow(self, document: Document) -> Ending | None:
        """Follow a document, and those it leads to; None if nothing is left to do. Raises TwimlError."""
        following: Next = document
        while isinstance(following, Document):
            following = await self._through(following)
        return following

    async def _through(self, document: Document) -> Next:
        for verb in document.verbs:
            self._side.begin(verb)
            following = await self._perform(verb)
            if following is not None:
                return following
        return None

    async def _perform(self, verb: Verb) -> Next:
        match verb:
            case Say() | Play() | Pause():
                await self._tell(verb)
            case Gather():
                return await self._gather(verb)
            case Redirect():
                return await self._exchange.ask(verb.url, self._side.form())
            case Hangup():
                return HUNG_UP
            case Reject() | Dial() | Stream() | Relay():
                return await self._side.connect(verb)
        return None

    async def _tell(self, verb: Say | Play | Pause) -> None:
        match verb:
            case Say():
                ms = len(verb.text) * self._exchange.say_char_ms
                self._side.hear(verb.text, ms)
                await self._exchange.sleep(ms / 1000)
            case Play():
                self._side.hear(verb.url, PLAY_S * 1000)
                await self._exchange.sleep(PLAY_S)
            case Pause():
                await self._exchange.sleep(verb.length_s)

    async def _gather(self, verb: Gather) -> Next:
        digits = await self._digits(verb)
        if not digits and not verb.tells_empty:
            return None
        return await self._exchange.ask(verb.action, self._side.form([("Digits", digits), ("FinishedOnKey", "")]))

    async def _digits(self, verb: Gather) -> str:
        """Ask, and wait for keys; the first one cuts the question short."""
        asking = asyncio.create_task(self._prompt(verb))
        digits = ""
        try:
            while len(digits) < (verb.digits or DIGITS_MAX):
                key = await self._next_key(asking, verb.timeout_s)
                asking.cancel()
                if not key or key == verb.finish_on_key:
                    break
                digits += key
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        return digits

    async def _prompt(self, verb: Gather) -> None:
        for prompt in verb.prompts:
            if isinstance(prompt, Say | Play | Pause):
                await self._tell(prompt)

    async def _next_key(self, asking: "asyncio.Task[None]", timeout_s: float) -> str:
        """Return a key, or nothing if none was pressed for some time after the question."""
        pressed = asyncio.create_task(self._side.keys.get())
        try:
            await asyncio.wait({pressed, asking}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({pressed}, timeout=timeout_s / self._exchange.scale)
            return pressed.result() if pressed.done() else ""
        finally:
            pressed.cancel()
