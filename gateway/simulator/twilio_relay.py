"""ConversationRelay as Twilio runs it: what the caller says becomes prompts, what comes back is spoken to them."""

import asyncio
import contextlib
from collections.abc import Sequence

import aiohttp
import orjson

from gateway.simulator import twilio_relay_wire as wire
from gateway.simulator.twilio_call import PlacedCall
from gateway.simulator.twilio_exchange import Exchange
from gateway.simulator.twilio_playout import Heard
from gateway.simulator.twilio_relay_voice import RelayVoice
from gateway.simulator.twilio_relay_wire import InvalidMessageError
from gateway.simulator.twilio_twiml import Relay
from gateway.simulator.twilio_wire import Json

SEND_S = 2.0
EVENTS = {"agentSpeaking": "speaker-events", "clientSpeaking": "speaker-events", "tokensPlayed": "tokens-played"}


async def serve(
    exchange: Exchange, call: PlacedCall, verb: Relay, socket: aiohttp.ClientWebSocketResponse
) -> str | None:
    """Run a session until the gateway ends it or closes the socket; return its handoff data, None if there is none."""
    return await RelayLeg(exchange, call, verb, socket).run()


class RelayLeg:
    """One session. `others`: what the gateway wished besides words, in order."""

    def __init__(
        self, exchange: Exchange, call: PlacedCall, verb: Relay, socket: aiohttp.ClientWebSocketResponse
    ) -> None:
        self.session_id = exchange.account.new_sid("VX")
        self.others: list[Json] = []
        self._exchange = exchange
        self._call = call
        self._verb = verb
        self._socket = socket
        self._events = verb.attributes.get("events", "").split()
        self._interrupts = 0
        self._dead = False
        self._lost = asyncio.Event()
        self._voice = RelayVoice(exchange, now_ms=call.now_ms, tell=self._tell)

    @property
    def takes_audio(self) -> bool:
        return False

    async def run(self) -> str | None:
        call, verb = self._call, self._verb
        await self._send(
            wire.setup_message(
                session_id=self.session_id,
                account_sid=call.account_sid,
                call_sid=call.sid,
                caller=call.caller,
                to=call.to,
                parameters=verb.parameters,
            )
        )
        if verb.attributes.get("welcomeGreeting"):
            self._voice.add(
                wire.Token(text=verb.attributes["welcomeGreeting"], last=True, interruptible=None, preemptible=None)
            )
        call.listener = self
        speaking = asyncio.create_task(self._voice.speak())
        try:
            return await self._read()
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
            self._voice.drop()
            call.hear(self._voice.heard())

    async def hear_words(self, text: str) -> None:
        """Recognise what the caller says: it interrupts, if it may, and is told once they have finished."""
        await self._tell("clientSpeaking", "on")
        told = await self._interrupted("speech")
        await self._tell("clientSpeaking", "off")
        if told:
            await self._send(wire.prompt_message(text, self._language, last=True))

    async def hear_partial(self, text: str) -> None:
        """Recognise words that the caller goes on after."""
        await self._send(wire.prompt_message(text, self._language, last=False))

    async def hear_noise(self) -> None:
        """Take a noise for speech: it interrupts, and no words come of it."""
        await self._interrupted("speech")

    async def hear_key(self, digit: str) -> None:
        if self._verb.attributes.get("dtmfDetection") == "true" and await self._interrupted("dtmf"):
            await self._send({"type": "dtmf", "digit": digit})

    async def send_raw(self, frame: str) -> None:
        """Send what Twilio would never send."""
        await self._socket.send_str(frame)

    def lose_connection(self) -> None:
        self._dead = True
        self._exchange.dead.append(self._socket)
        self._lost.set()

    def heard(self) -> Sequence[Heard]:
        return self._voice.heard()

    def heard_ms(self) -> float:
        return 0.0  # of audio; words are told with the time that they took

    @property
    def _language(self) -> str:
        attributes = self._verb.attributes
        return attributes.get("transcriptionLanguage") or attributes.get("language", "en-US")

    async def _interrupted(self, by: str) -> bool:
        """Cut the voice off if this may do so; return whether the gateway is told what it was."""
        token, attributes = self._voice.speaks, self._verb.attributes
        if token is None or not self._voice.is_speaking:
            return True
        may = wire.allows(attributes.get("interruptible", "any"), by) and token.interruptible is not False
        if may:
            heard, after_ms = self._voice.drop()
            self._interrupts += 1
            await self._send(wire.interrupt_message(heard, after_ms, as_text=self._interrupts % 2 == 0))
        return may or wire.allows(attributes.get("reportInputDuringAgentSpeech", "none"), by)

    async def _read(self) -> str | None:
        reading = asyncio.create_task(self._take_all())
        lost = asyncio.create_task(self._lost.wait())
        try:
            await asyncio.wait({reading, lost}, return_when=asyncio.FIRST_COMPLETED)
            if lost.done():  # the socket stays open, and nobody is there
                await asyncio.Event().wait()
            return reading.result()
        finally:
            for task in (reading, lost):
                task.cancel()
            await asyncio.gather(reading, lost, return_exceptions=True)

    async def _take_all(self) -> str | None:
        async for frame in self._socket:
            if frame.type is not aiohttp.WSMsgType.TEXT:
                self._call.warnings.append(f"{wire.INVALID}: not a text frame")
                continue
            try:
                message = wire.read_message(frame.data)
            except InvalidMessageError as error:
                self._call.warnings.append(str(error))
                await self._send({"type": "error", "description": str(error)})
                continue
            if message["type"] == "end":
                return str(message.get("handoffData", "")) or None
            if message["type"] == "text":
                self._voice.add(wire.read_token(message))
            else:
                self.others.append(message)
        return None

    async def _tell(self, name: str, value: str) -> None:
        if EVENTS[name] in self._events:
            await self._send(wire.info_message(name, value))

    async def _send(self, message: Json) -> None:
        if self._dead:
            return
        with contextlib.suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
            async with asyncio.timeout(SEND_S):
                await self._socket.send_str(orjson.dumps(message).decode())
