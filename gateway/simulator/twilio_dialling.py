"""How Twilio dials somebody for a call: rings, asks them first, joins the two, and reports on the leg."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from gateway.simulator import twilio_call_wire as wire
from gateway.simulator.twilio_call import PlacedCall
from gateway.simulator.twilio_call_parts import Leg
from gateway.simulator.twilio_call_wire import CallStatus
from gateway.simulator.twilio_exchange import NO_ANSWER, Answer, Exchange
from gateway.simulator.twilio_twiml import Dial, Document, Number
from gateway.simulator.twilio_wire import Form

LegEvent = Literal["initiated", "ringing", "answered", "completed"]
# Follows a document at the leg, and says whether they stayed on the line.
Whisper = Callable[["Dialling", Leg, Document], Awaitable[bool]]

_ENDS: dict[str, CallStatus] = {"busy": "busy", "failed": "failed", "no-answer": "no-answer", "rings": "no-answer"}


class Dialling:
    """One `<Dial>`. Several numbers ring one after another here, not at once."""

    def __init__(self, exchange: Exchange, call: PlacedCall, dial: Dial, whisper: Whisper) -> None:
        self._exchange = exchange
        self._call = call
        self._dial = dial
        self._whisper = whisper

    async def run(self) -> Form:
        """Dial until it is over; return what the action is told. Cancelled, the leg ends as well."""
        if not self._dial.answers_on_bridge:
            self._call.answer()
        outcome: Form = []
        for number in self._dial.numbers:
            leg = self._new_leg(number)
            try:
                await self._try(leg, number)
            finally:
                self._end(leg, number)
            outcome = self.outcome(leg)
            if leg.bridged:
                break
        return outcome

    def outcome(self, leg: Leg) -> Form:
        """Return what the action is told of a leg."""
        more = [("DialCallDuration", str(self._lasted_s(leg)))] if leg.answered_at is not None else []
        return [
            ("DialCallSid", leg.sid),
            ("DialCallStatus", leg.state),
            ("DialBridged", "true" if leg.bridged else "false"),
            *more,
        ]

    def _new_leg(self, number: Number) -> Leg:
        caller_id = self._dial.caller_id or self._call.caller
        leg = Leg(sid=self._exchange.account.new_sid("CA"), number=number.number, caller_id=caller_id)
        self._call.legs.append(leg)
        self._call.note("dialled", number.number)
        return leg

    async def _try(self, leg: Leg, number: Number) -> None:
        answer = self._exchange.answers.get(number.number, NO_ANSWER)
        self._report(leg, number, "initiated")
        leg.state = "ringing"
        self._report(leg, number, "ringing")
        timeout_s = self._dial.timeout_s / self._exchange.scale
        await asyncio.sleep(timeout_s if answer.kind == "rings" else min(answer.after_s, timeout_s))
        if answer.kind != "answer" or answer.after_s > timeout_s:
            leg.state = _ENDS.get(answer.kind, "no-answer")
            return
        leg.state, leg.answered_at = "in-progress", asyncio.get_running_loop().time()
        self._report(leg, number, "answered")
        if await self._is_taken(leg, number, answer):
            self._call.answer()
            leg.bridged = True
            await self._talk(answer)

    async def _is_taken(self, leg: Leg, number: Number, answer: Answer) -> bool:
        if number.whisper is None:
            return True
        for digit in answer.presses:
            await leg.keys.put(digit)
        document = await self._exchange.ask(number.whisper, self.leg_form(leg))
        return await self._whisper(self, leg, document)

    async def _talk(self, answer: Answer) -> None:
        """Let the two talk until the other one hangs up, or the time that was given is over."""
        limit_s = self._dial.time_limit_s / self._exchange.scale
        await asyncio.sleep(limit_s if answer.talks_s is None else min(answer.talks_s, limit_s))

    def _end(self, leg: Leg, number: Number) -> None:
        leg.ended_at = asyncio.get_running_loop().time()
        if leg.state not in wire.OVER:
            leg.state = "canceled" if leg.answered_at is None else "completed"
        self._report(leg, number, "completed")

    def leg_form(self, leg: Leg, more: Form = ()) -> Form:
        return wire.call_form(
            sid=leg.sid,
            account_sid=self._call.account_sid,
            caller=leg.caller_id,
            to=leg.number,
            status=leg.state,
            direction="outbound-dial",
            more=[("ParentCallSid", self._call.sid), *more],
        )

    def _report(self, leg: Leg, number: Number, event: LegEvent) -> None:
        """Post a status callback of a leg, in the background."""
        if number.status_callback is None or event not in number.status_events:
            return
        ended = event == "completed"
        more = wire.ended_fields(self._lasted_s(leg), self._exchange.account.now()) if ended else []
        self._exchange.post_status(number.status_callback, self.leg_form(leg, more))

    def _lasted_s(self, leg: Leg) -> int:
        return self._call.lasted_s(leg.answered_at, leg.ended_at)
