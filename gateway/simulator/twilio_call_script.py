"""What Twilio does with a call as its documents say: connects it, forwards it, declines it."""

import asyncio

import aiohttp

from gateway.simulator import twilio_relay
from gateway.simulator.twilio_call import PlacedCall
from gateway.simulator.twilio_call_parts import Ending, Leg
from gateway.simulator.twilio_dialling import Dialling
from gateway.simulator.twilio_exchange import Exchange
from gateway.simulator.twilio_playout import Heard
from gateway.simulator.twilio_script import HUNG_UP, Next, Script
from gateway.simulator.twilio_stream import run_stream
from gateway.simulator.twilio_twiml import Dial, Document, Redirect, Reject, Relay, Stream, TwimlError, Verb
from gateway.simulator.twilio_wire import Form

BROKEN = Ending(status="completed", reason="error")
APPLICATION_ERROR = "We are sorry, an application error has occurred. Goodbye."


class CallerSide:
    """The documents of a caller. Cancelled in the middle, what runs is ended as Twilio ends it."""

    def __init__(self, exchange: Exchange, call: PlacedCall) -> None:
        self._exchange = exchange
        self._call = call
        self._script = Script(exchange, self)

    @property
    def keys(self) -> "asyncio.Queue[str]":
        return self._call.keys

    async def take_call(self, url: str, fallback_url: str) -> Ending:
        """Ask what to do with a call that rings, and do it to its end."""
        try:
            document = await self._exchange.ask(url, self.form(), fallback_url=fallback_url)
        except TwimlError as error:
            return await self._break_down(error)
        return await self.go_on(document)

    async def go_on(self, document: Document) -> Ending:
        """Follow a document to the call's end."""
        try:
            return await self._script.follow(document) or HUNG_UP
        except TwimlError as error:
            return await self._break_down(error)

    async def _break_down(self, error: TwimlError) -> Ending:
        """Apologise and hang up, as Twilio does for a gateway that answers nothing it understands."""
        self._call.note("error", str(error))
        self._call.warnings.append(str(error))
        self._call.answer()
        self.hear(APPLICATION_ERROR, 0.0)
        return BROKEN

    def begin(self, verb: Verb) -> None:
        """Pick up, unless the verb declines the call, or leaves it ringing."""
        if not isinstance(verb, Reject | Redirect | Dial):
            self._call.answer()

    async def connect(self, verb: Reject | Dial | Stream | Relay) -> Next:
        match verb:
            case Reject():
                return self._reject(verb)
            case Dial():
                return await self._dial(verb)
            case Stream():
                await run_stream(self._exchange, self._call, verb)
                return await self._then(verb.action)
            case Relay():
                return await self._then(verb.action, await self._relay(verb))

    def form(self, more: Form = ()) -> Form:
        return self._call.form(more)

    def hear(self, text: str, ms: float) -> None:
        self._call.hear([Heard(begins_ms=self._call.now_ms(), ms=ms, text=text)])
        self._call.note("said", text)

    def _reject(self, verb: Reject) -> Ending:
        if self._call.answered_at is not None:
            return HUNG_UP
        return Ending(status="busy" if verb.busy else "no-answer", reason="rejected")

    async def _dial(self, verb: Dial) -> Next:
        dialling = Dialling(self._exchange, self._call, verb, whisper=self._whisper)
        try:
            outcome = await dialling.run()
        except asyncio.CancelledError:
            if verb.action is not None and self._call.state != "in-progress" and self._call.legs:
                # The action is told even then; what it answers, nobody follows.
                self._exchange.post_status(verb.action, self.form(dialling.outcome(self._call.legs[-1])))
            raise
        return await self._then(verb.action, outcome)

    async def _whisper(self, dialling: Dialling, leg: Leg, document: Document) -> bool:
        try:
            return await Script(self._exchange, LegSide(leg, dialling)).follow(document) is None
        except TwimlError as error:
            self._call.warnings.append(str(error))
            return False

    async def _relay(self, verb: Relay) -> Form:
        call = self._call
        try:
            socket = await self._exchange.open_socket(verb.url)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            refused = error.status if isinstance(error, aiohttp.WSServerHandshakeError) else 0
            call.note("stream_refused", str(refused))
            return [("SessionStatus", "failed")]
        call.stream_url, call.connection_lost = verb.url, False
        call.note("relay")
        try:
            handoff = await twilio_relay.serve(self._exchange, call, verb, socket)
        finally:
            call.listener = None
            call.note("relay_ended")
            if not call.connection_lost:
                await socket.close()
        more = [("HandoffData", handoff)] if handoff else []
        return [("SessionStatus", "ended" if handoff else "completed"), *more]

    async def _then(self, action: str | None, more: Form = ()) -> Next:
        """Return what follows a verb that has ended: what its action says, else the next verb."""
        return None if action is None else await self._exchange.ask(action, self.form(more))


class LegSide:
    """What somebody hears who was dialled, before they are joined to the caller."""

    def __init__(self, leg: Leg, dialling: Dialling) -> None:
        self._leg = leg
        self._dialling = dialling

    @property
    def keys(self) -> "asyncio.Queue[str]":
        return self._leg.keys

    def begin(self, verb: Verb) -> None:
        """Do nothing: they have answered."""

    def hear(self, text: str, _ms: float) -> None:
        self._leg.said.append(text)

    def form(self, more: Form = ()) -> Form:
        return self._dialling.leg_form(self._leg, more)

    async def connect(self, verb: Reject | Dial | Stream | Relay) -> Next:
        raise TwimlError(f"13221: {type(verb).__name__} before two people are joined")
