"""The same customer's chat by SMS: plain texts, each with its segments and what they cost the business."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.channels.sms.segments import count_segments
from gateway.simulator import twilio_wire as wire
from gateway.simulator.phone.chat import REPEATS
from gateway.simulator.twilio_customer import TwilioCustomer
from gateway.simulator.twilio_wire import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsRates:
    """What a segment costs the business, in millicredits."""

    sent_millicredits: int
    received_millicredits: int


@dataclass(slots=True)
class SmsChat:
    """The phone's own memory of texts; the gateway knows nothing of it."""

    customer: TwilioCustomer
    rates: SmsRates
    written: list[Message] = field(default_factory=list)
    at_s: dict[str, float] = field(default_factory=dict)  # by a bubble's id

    async def write(self, _kind: str, text: str) -> None:
        """Send a text, or a keyword, as Twilio would pass it on: an SMS is of no other kind."""
        self._note_received()
        message = self.customer.message(text)
        self.written.append(message)
        self.at_s[message.sid] = self._now_s()
        await self.customer.send(message)

    async def repeat(self) -> None:
        """Post the last webhook twenty times more; nothing if there was none."""
        if not self.written:
            return
        twilio, form = self.customer.twilio, wire.inbound_form(self.written[-1])
        await asyncio.gather(*(twilio.postman.deliver(twilio.messages_url, form) for _ in range(REPEATS)))

    def told(self) -> Mapping[str, Any]:
        """Return the bubbles in the order of time. Nobody is seen typing by SMS."""
        self._note_received()
        mine = [self._bubble(one, self.rates.received_millicredits, mine=True) for one in self.written]
        theirs = [self._bubble(one, self.rates.sent_millicredits, mine=False) for one in self.customer.received]
        carrier = [
            {"id": name, "mine": False, "kind": "carrier", "text": text, "at": self.at_s[name]}
            for name, text in self._own_replies()
        ]
        bubbles = sorted([*mine, *theirs, *carrier], key=lambda bubble: bubble["at"])
        return {"bubbles": bubbles, "typing": False}

    def _bubble(self, message: Message, unit_millicredits: int, *, mine: bool) -> dict[str, Any]:
        return {
            "id": message.sid,
            "mine": mine,
            "kind": "sms",
            "text": message.body,
            "at": self.at_s[message.sid],
            "segments": message.segments,
            "price_millicredits": message.segments * unit_millicredits,
        }

    def _own_replies(self) -> list[tuple[str, str]]:
        """Return what Twilio itself has told this customer, with an id for each."""
        told = [text for number, text in self.customer.twilio.own_replies if number == self.customer.number]
        return [(f"{self.customer.number}-{at}", text) for at, text in enumerate(told)]

    def _now_s(self) -> float:
        return time.time() + self.customer.twilio.clock_offset_s

    def _note_received(self) -> None:
        for name in (*(name for name, _ in self._own_replies()), *(one.sid for one in self.customer.received)):
            self.at_s.setdefault(name, self._now_s())


def counted(text: str, rates: SmsRates) -> Mapping[str, Any]:
    """Return what a customer's text would be sent as, and what it would cost the business."""
    found = count_segments(text)
    return {
        "characters": len(text),
        "encoding": found.encoding,
        "units": found.units,
        "segments": found.segments,
        "price_millicredits": found.segments * rates.received_millicredits,
    }
