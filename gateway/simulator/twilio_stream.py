"""A media stream as Twilio runs it: the caller's frames go out at their pace, what comes back is played to them."""

import asyncio
import base64
import binascii
import contextlib
from collections.abc import Coroutine, Mapping, Sequence

import aiohttp
import orjson

from gateway.simulator import twilio_call_wire as wire
from gateway.simulator.twilio_call import PlacedCall
from gateway.simulator.twilio_exchange import Exchange
from gateway.simulator.twilio_playout import Heard, MarkEcho, Player
from gateway.simulator.twilio_twiml import Stream

SEND_S = 0.5  # a gateway that does not read for so long has lost the stream; all calls wait for it meanwhile
CLOSE_S = 2.0


async def run_stream(exchange: Exchange, call: PlacedCall, verb: Stream) -> str | None:
    """Connect a call to a stream until the gateway closes it; cancelled, tell it to stop. Return its sid."""
    try:
        socket = await exchange.open_socket(verb.url)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        refused = error.status if isinstance(error, aiohttp.WSServerHandshakeError) else 0
        call.note("stream_refused", str(refused))
        return None
    leg = StreamLeg(exchange, call, verb, socket)
    await leg.run()
    return leg.sid


class StreamLeg:
    """One connected stream."""

    def __init__(
        self, exchange: Exchange, call: PlacedCall, verb: Stream, socket: aiohttp.ClientWebSocketResponse
    ) -> None:
        self.sid = exchange.account.new_sid("MZ")
        self._exchange = exchange
        self._call = call
        self._verb = verb
        self._socket = socket
        self._player = Player(delay_ms=call.playout_ms, keeps_audio=call.keeps_audio)
        self._sequence = 0
        self._chunk = 0
        self._dead = False
        self._open = True
        self._timer: asyncio.TimerHandle | None = None
        self._echoes: set[asyncio.Task[None]] = set()

    @property
    def takes_audio(self) -> bool:
        return self._open and not self._dead

    async def run(self) -> None:
        call = self._call
        call.stream_url = self._verb.url
        self._reading = asyncio.create_task(self._read())
        try:
            await self._begin()
            call.listener = self
            call.note("stream", self.sid)
            self._exchange.ticker.add(self.tick)
            await self._until_closed()
            call.note("stream_ended", "gateway")
        finally:
            await self._end()

    async def tick(self) -> None:
        """Send the caller's next 20 ms."""
        if not self.takes_audio:
            return
        self._let_overhear()
        self._chunk += 1
        payload = self._call.take_payload()
        await self._send(
            wire.media_frame(sequence=self._next(), stream_sid=self.sid, chunk=self._chunk, payload=payload)
        )

    async def hear_key(self, digit: str) -> None:
        if self.takes_audio:
            await self._send(wire.dtmf_frame(sequence=self._next(), stream_sid=self.sid, digit=digit))

    async def hear_words(self, text: str) -> None:
        raise NotImplementedError(f"a stream hears audio, not words: {text}")

    def heard(self) -> Sequence[Heard]:
        return self._player.heard(self._call.now_ms())

    def heard_ms(self) -> float:
        return self._player.heard_ms(self._call.now_ms())

    def lose_connection(self) -> None:
        self._dead = True
        self._call.fall_silent()
        self._exchange.ticker.remove(self.tick)
        self._reading.cancel()

    def _let_overhear(self) -> None:
        if self._call.ear is not None and (audio := self._player.fresh(self._call.now_ms())):
            self._call.ear(audio)

    async def _begin(self) -> None:
        await self._send(wire.CONNECTED)
        await self._send(
            wire.start_frame(
                sequence=self._next(),
                stream_sid=self.sid,
                call_sid=self._call.sid,
                account_sid=self._call.account_sid,
                parameters=self._verb.parameters,
            )
        )
        if self._exchange.account.faults.streams_twice:
            await self._knock_again()

    async def _knock_again(self) -> None:
        try:
            second = await self._exchange.open_socket(self._verb.url)
        except aiohttp.WSServerHandshakeError as error:
            self._call.note("second_stream", str(error.status))
        else:
            self._call.note("second_stream", "accepted")
            await second.close()

    async def _until_closed(self) -> None:
        """Wait until the gateway has closed the socket, for ever if it is dead."""
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading
            return
        if not self._dead:
            raise asyncio.CancelledError
        await asyncio.Event().wait()

    async def _end(self) -> None:
        call, now_ms = self._call, self._call.now_ms()
        self._exchange.ticker.remove(self.tick)
        closed = self._reading.done() and not self._reading.cancelled()  # by the gateway
        if self._timer is not None:
            self._timer.cancel()
        for task in (self._reading, *self._echoes):
            task.cancel()
        self._let_overhear()
        call.listener = None
        call.hear(self._player.heard(now_ms), self._player.heard_ms(now_ms))
        call.fall_silent()
        await asyncio.gather(self._reading, *self._echoes, return_exceptions=True)
        if not self._dead:
            if not closed:
                call.note("stream_ended", "twilio")
                await self._stop()
            await self._close()
        self._open = False

    async def _stop(self) -> None:
        await self._send(
            wire.stop_frame(
                sequence=self._next(),
                stream_sid=self.sid,
                call_sid=self._call.sid,
                account_sid=self._call.account_sid,
            )
        )

    async def _close(self) -> None:
        with contextlib.suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._socket.close()

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.ERROR:
                self._call.warnings.append("31924: no frame of a socket")
                return
            if message.type is not aiohttp.WSMsgType.TEXT:
                self._call.warnings.append("31950: not a text frame")
                continue
            try:
                self._take(orjson.loads(message.data))
            except (orjson.JSONDecodeError, KeyError, TypeError, binascii.Error):
                self._call.warnings.append("31951: a frame that cannot be read")

    def _take(self, frame: Mapping[str, object]) -> None:
        call, now_ms = self._call, self._call.now_ms()
        if frame["streamSid"] != self.sid:
            call.warnings.append("31951: a frame of another stream")
            return
        match frame["event"]:
            case "media":
                self._player.add(base64.b64decode(_inner(frame, "media", "payload"), validate=True), now_ms)
            case "mark":
                self._player.mark(_inner(frame, "mark", "name"), now_ms)
                self._wait_for_mark()
            case "clear":
                names = self._player.clear(now_ms)
                call.note("cleared", str(len(names)))
                self._echo(names, cleared=True)
            case other:
                call.warnings.append(f"31951: {other}")

    def _wait_for_mark(self) -> None:
        """Set the timer to the next mark that will be reached."""
        if self._timer is not None:
            self._timer.cancel()
        due_ms = self._player.next_due_ms()
        if due_ms is None:
            self._timer = None
            return
        delay_s = max(0.0, (due_ms - self._call.now_ms()) / 1000)
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._reached)

    def _reached(self) -> None:
        # A timer may fire a moment before its time as another clock sees it; a millisecond is no mark's distance.
        self._echo(self._player.due(self._call.now_ms() + 1), cleared=False)
        self._wait_for_mark()

    def _echo(self, names: Sequence[str], *, cleared: bool) -> None:
        now_ms, faults = self._call.now_ms(), self._exchange.account.faults
        lost = faults.marks_lost
        if self._call.keeps_audio:
            self._call.marks += [MarkEcho(name=name, at_ms=now_ms, cleared=cleared, lost=lost) for name in names]
        if names and not lost:
            self._spawn(self._send_marks(names, faults.marks_late_s))

    async def _send_marks(self, names: Sequence[str], late_s: float) -> None:
        if late_s:
            await asyncio.sleep(late_s)
        for name in names:
            await self._send(wire.mark_frame(sequence=self._next(), stream_sid=self.sid, name=name))

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._echoes.add(task)
        task.add_done_callback(self._echoes.discard)

    async def _send(self, text: str) -> None:
        """Send a frame; a gateway that takes none any more is one that has closed the socket."""
        if self._dead:
            return
        try:
            async with asyncio.timeout(SEND_S):
                await self._socket.send_str(text)
        except TimeoutError:
            self.lose_connection()
            self._call.warnings.append("31930: the gateway does not read")
        except (ConnectionError, aiohttp.ClientError):
            self._open = False

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence


def _inner(frame: Mapping[str, object], part: str, name: str) -> str:
    """Return a text one level down. Raises KeyError and TypeError."""
    inner = frame[part]
    value = inner[name] if isinstance(inner, dict) else None
    if not isinstance(value, str):
        raise TypeError(part)
    return value
