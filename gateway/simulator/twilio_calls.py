"""The simulated Twilio places calls to its numbers, and lets the gateway lead them by REST."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping

from aiohttp import web

from gateway.simulator import twilio_call_wire as wire
from gateway.simulator.twilio_account import TwilioAccount
from gateway.simulator.twilio_answers import hang_up, refusal
from gateway.simulator.twilio_call import PlacedCall
from gateway.simulator.twilio_call_parts import Ending
from gateway.simulator.twilio_call_script import CallerSide
from gateway.simulator.twilio_call_wire import WITHHELD
from gateway.simulator.twilio_exchange import Exchange
from gateway.simulator.twilio_numbers import Number, Numbers
from gateway.simulator.twilio_recordings import Recordings
from gateway.simulator.twilio_twiml import Document, TwimlError, read_document
from gateway.simulator.twilio_wire import Json

REST = Ending(status="completed", reason="rest")
BROKEN = Ending(status="failed", reason="broken")  # a fault of the simulator itself
NOBODY = Ending(status="failed", reason="no number")


class Calls(Exchange):
    """The account's calls. `answers` says how the numbers answer that a call is forwarded to."""

    def __init__(self, account: TwilioAccount, numbers: Numbers) -> None:
        super().__init__(account)
        self.placed: dict[str, PlacedCall] = {}  # by sid, all of them
        self.recordings = Recordings(self, self.live)
        self._numbers = numbers
        self._live: set[asyncio.Task[None]] = set()

    def place(self, caller: str, to: str, *, playout_ms: float = 150.0, keeps_audio: bool = True) -> PlacedCall:
        """Let somebody call one of our numbers; returns at once. `caller` is E.164; empty: it is withheld.

        `keeps_audio`: False for a call of hours, so that what was heard is counted and forgotten.
        """
        call = PlacedCall(
            sid=self.account.new_sid("CA"),
            account_sid=self.account.account_sid,
            caller=caller or WITHHELD,
            to=to,
            placed_at=self.account.now(),
            playout_ms=playout_ms,
            keeps_audio=keeps_audio,
            scale=self.scale,
        )
        self.placed[call.sid] = call
        task = asyncio.create_task(self._lead(call, self._numbers.by_number(to)))
        self._live.add(task)
        task.add_done_callback(self._live.discard)
        return call

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take calls while it runs; at the end all are cut."""
        async with self.connected():
            try:
                yield
            finally:
                for task in tuple(self._live):
                    task.cancel()
                await asyncio.gather(*self._live, return_exceptions=True)

    def routes(self, account_path: str) -> list[web.RouteDef]:
        return [
            web.get(f"{account_path}/Calls/{{sid}}.json", self._show),
            web.post(f"{account_path}/Calls/{{sid}}.json", self._update),
            *self.recordings.routes(account_path),
        ]

    def live(self, sid: str) -> PlacedCall | None:
        """Return a call that has not ended."""
        call = self.placed.get(sid)
        return None if call is None or call.state in wire.OVER else call

    async def _lead(self, call: PlacedCall, number: Number | None) -> None:
        """Follow documents and orders to the end of a call, and report it."""
        ending = BROKEN if number else NOBODY
        try:
            if number is not None:
                ending = await self._through(call, number)
        finally:
            call.end(ending)
            self.recordings.end_of(call)
            if number is not None and number.status_callback:
                form = call.form(wire.ended_fields(call.duration_s or 0, self.account.now()))
                self.post_status(number.status_callback, form)

    async def _through(self, call: PlacedCall, number: Number) -> Ending:
        side = CallerSide(self, call)
        order = await _until_interrupted(call, side.take_call(number.voice_url, number.voice_fallback_url))
        while isinstance(order, Document):
            call.note("updated")
            order = await _until_interrupted(call, side.go_on(order))
        return order

    async def _show(self, request: web.Request) -> web.Response:
        call = self.placed.get(request.match_info["sid"])
        return refusal(20404, 404) if call is None else web.json_response(self._resource(call))

    async def _update(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        faults = self.account.faults
        if faults.call_updates_failed > 0:
            faults.call_updates_failed -= 1
            return refusal(20500, 500)
        call = self.live(request.match_info["sid"])
        if call is None:
            return refusal(20404, 404) if "Status" in form else refusal(21220)
        try:
            await self._obey(call, form)
        except TwimlError:
            return refusal(21218)
        if faults.call_updates_dropped > 0:
            faults.call_updates_dropped -= 1
            return hang_up(request)
        return web.json_response(self._resource(call))

    async def _obey(self, call: PlacedCall, form: Mapping[str, str]) -> None:
        """Do what an update asks for. Raises TwimlError."""
        if "TimeLimit" in form:
            call.limit(int(form["TimeLimit"]))
        if form.get("Status") in ("completed", "canceled"):
            call.order(REST)
        elif "Twiml" in form:
            call.order(read_document(form["Twiml"], self.account.public_url))
        elif "Url" in form:
            call.order(await self.ask(form["Url"], call.form(), fallback_url=form.get("FallbackUrl", "")))

    def _resource(self, call: PlacedCall) -> Json:
        return wire.call_resource(
            sid=call.sid,
            account_sid=call.account_sid,
            caller=call.caller,
            to=call.to,
            status=call.state,
            direction="inbound",
            begun_at=call.placed_at,
            duration_s=call.duration_s,
        )


async def _until_interrupted(call: PlacedCall, work: Coroutine[object, object, Ending]) -> Document | Ending:
    """Let a call go on until it ends or an order comes; whatever ran then is ended first."""
    running, ordered = asyncio.create_task(work), asyncio.create_task(call.orders.get())
    try:
        await asyncio.wait({running, ordered}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            return running.result()
        order = ordered.result()
        if isinstance(order, Ending):
            call.state = order.status
        return order
    finally:
        running.cancel()
        ordered.cancel()
        await asyncio.gather(running, ordered, return_exceptions=True)
