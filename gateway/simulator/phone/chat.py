"""One customer's chat as the phone shows it: what was written, what came back, and how far each got."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.simulator.customer import Customer
from gateway.simulator.meta_wire import Json
from gateway.simulator.phone import samples

TYPING_S = 25.0  # Meta's own: a typing indicator ends with the reply or after so long
VOICE_NOTE_SECONDS = 4
LATE_S = 25 * 3_600.0
REPEATS = 20


@dataclass(slots=True, kw_only=True)
class Bubble:
    """Something that the customer sent."""

    wamid: str
    kind: str
    text: str
    at_s: float
    taken: bool = False


@dataclass(slots=True)
class Chat:
    """The phone's own memory; the gateway knows nothing of it."""

    customer: Customer
    written: list[Bubble] = field(default_factory=list)
    got_at_s: dict[str, float] = field(default_factory=dict)
    reactions: dict[str, str] = field(default_factory=dict)
    last: Json | None = None

    async def write(self, kind: str, text: str) -> None:
        """Send a text, a button press, a voice note or a picture, as Meta would pass it on."""
        customer = self.customer
        match kind:
            case "voice":
                content = samples.voice_note(VOICE_NOTE_SECONDS, text)
                uploaded = customer.upload(content, "audio/ogg; codecs=opus")
                await self._post("audio", {**uploaded, "voice": True}, kind, text)
            case "image":
                uploaded = customer.upload(samples.picture(), "image/png")
                await self._post("image", {**uploaded, **({"caption": text} if text else {})}, kind, text)
            case _:
                await self._post("text", {"body": text}, "text", text)

    async def write_late(self, text: str) -> None:
        """Send a text whose webhook comes 25 hours after it was written."""
        self.customer.meta.faults.late_s = LATE_S
        try:
            await self._post("text", {"body": text}, "text", text)
        finally:
            self.customer.meta.faults.late_s = 0.0

    async def react(self, wamid: str, emoji: str) -> bool:
        """React to an answer, or take the same reaction back; False if there is no such answer."""
        if all(sent.wamid != wamid for sent in self.customer.received):
            return False
        chosen = "" if self.reactions.get(wamid) == emoji else emoji
        self.reactions[wamid] = chosen
        await self.customer.react(wamid, chosen)
        return True

    async def repeat(self) -> None:
        """Post the last webhook twenty times more; nothing if there was none."""
        if self.last is None:
            return
        value = self.customer.value(self.last)
        meta, business = self.customer.meta, self.customer.business
        await asyncio.gather(*(meta.post(business, [value]) for _ in range(REPEATS)))

    def told(self) -> Mapping[str, Any]:
        """Return the bubbles in the order of time, and whether the other side is typing."""
        meta = self.customer.meta
        self._note_received()
        seen = set(meta.read_and_typing)
        latest_read = max((at for at, one in enumerate(self.written) if one.wamid in seen), default=-1)
        mine: list[dict[str, Any]] = [
            {
                "id": one.wamid,
                "mine": True,
                "kind": one.kind,
                "text": one.text,
                "at": one.at_s,
                "ticks": "read" if at <= latest_read else "delivered" if one.taken else "sent",
            }
            for at, one in enumerate(self.written)
        ]
        theirs: list[dict[str, Any]] = [
            {
                "id": sent.wamid,
                "mine": False,
                "kind": "text",
                "text": sent.text,
                "at": self.got_at_s[sent.wamid],
                "reaction": self.reactions.get(sent.wamid, ""),
            }
            for sent in self.customer.received
        ]
        bubbles = sorted([*mine, *theirs], key=lambda bubble: bubble["at"])
        newest = self.written[-1] if self.written else None
        typing = (
            newest is not None
            and latest_read == len(self.written) - 1
            and bubbles[-1]["mine"] is True
            and self._now_s() - newest.at_s < TYPING_S
        )
        return {"bubbles": bubbles, "typing": typing}

    def _now_s(self) -> float:
        return time.time() + self.customer.meta.clock_offset_s

    def _note_received(self) -> None:
        for sent in self.customer.received:
            self.got_at_s.setdefault(sent.wamid, self._now_s())

    async def _post(self, wire_kind: str, content: Json, kind: str, text: str) -> None:
        await self._send(self.customer.message(wire_kind, content), kind, text)

    async def _send(self, message: Json, kind: str, text: str) -> None:
        self._note_received()
        bubble = Bubble(
            wamid=str(message["id"]), kind=kind, text=text, at_s=self._now_s() - self.customer.meta.faults.late_s
        )
        self.written.append(bubble)
        self.last = message
        await self.customer.meta.post(self.customer.business, [self.customer.value(message)])
        bubble.taken = True
