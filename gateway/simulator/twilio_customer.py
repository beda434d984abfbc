"""A customer whom a business reaches through Twilio: by SMS, or by WhatsApp. Writes, and reads what comes back."""

from gateway.channels.base import ChannelName
from gateway.simulator import twilio_wire as wire
from gateway.simulator.twilio import FakeTwilio
from gateway.simulator.twilio_wire import WHATSAPP, Form, Message


class TwilioCustomer:
    """One customer of one business. `write` and its kin return the message's sid once the webhook has ended."""

    def __init__(
        self,
        twilio: FakeTwilio,
        *,
        business: str,
        number: str,
        channel: ChannelName = "sms",
        name: str = "Kim",
        user_id: str | None = None,
    ) -> None:
        """Numbers are E.164. On WhatsApp, a customer with an empty `number` is known by Meta's `user_id` alone."""
        self.twilio = twilio
        self.name = name
        self.number = number
        self.user_id = user_id
        self.channel = channel
        prefix = WHATSAPP if channel == "whatsapp" else ""
        self.address = prefix + (number or user_id or "")
        self.business_address = prefix + business
        self.status: int | None = None  # what the last webhook was answered with; None: it was lost
        self._read = 0

    @property
    def received(self) -> list[Message]:
        """Everything that has come from the business, in order, with its segments."""
        return [one for one in self.twilio.sent_to(self.address) if one.sender == self.business_address]

    async def next_message(self, *, timeout_s: float = 15.0) -> Message:
        """Return the next message that was not read yet. Raises TimeoutError."""
        await self.twilio.wait_for(lambda: len(self.received) > self._read, timeout_s=timeout_s)
        self._read += 1
        return self.received[self._read - 1]

    async def next_text(self, *, timeout_s: float = 15.0) -> str:
        return (await self.next_message(timeout_s=timeout_s)).body

    async def write(self, text: str, *, more: Form = ()) -> str:
        """Write a text, or a keyword, and wait until the gateway has taken it; `more`: further fields of the form."""
        return await self.send(self.message(text), more=more or self._kind("text"))

    async def send_file(self, content: bytes, mime_type: str, *, caption: str = "") -> str:
        """Send a file, as MMS where it is not WhatsApp."""
        message = self.message(caption, prefix="MM")
        message.media = [(self.twilio.media.add(message.sid, content, mime_type), mime_type)]
        kind = mime_type.partition("/")[0]
        return await self.send(message, more=self._kind(kind if kind in ("image", "audio", "video") else "document"))

    async def press(self, payload: str, title: str) -> str:
        """Press the button of an earlier message."""
        return await self.write(title, more=[*self._kind("button"), ("ButtonText", title), ("ButtonPayload", payload)])

    async def send_place(self, latitude: float, longitude: float, *, label: str = "") -> str:
        place = [("Latitude", str(latitude)), ("Longitude", str(longitude)), ("Label", label)]
        return await self.write("", more=[*self._kind("location"), *place])

    async def send(self, message: Message, *, more: Form = ()) -> str:
        """Send a message; the same one again is the same to the gateway."""
        self.status = await self.twilio.receive(message, more=[*self._own_fields(), *more])
        return message.sid

    def message(self, text: str, *, prefix: str = "SM") -> Message:
        """Return a message that is not sent yet."""
        return Message(
            sid=self.twilio.new_sid(prefix),
            account_sid=self.twilio.account_sid,
            sender=self.address,
            to=self.business_address,
            body=text,
            direction="inbound",
            created_at=self.twilio.now(),
            status="received",
            segments=wire.sms_segments(text) if self.channel == "sms" else 1,
        )

    def _kind(self, kind: str) -> Form:
        return [("MessageType", kind)] if self.channel == "whatsapp" else []

    def _own_fields(self) -> Form:
        """Return what WhatsApp says of who writes."""
        if self.channel != "whatsapp":
            return []
        return [
            ("ProfileName", self.name),
            *([("WaId", self.number.lstrip("+"))] if self.number else []),
            *([("ExternalUserId", WHATSAPP + self.user_id)] if self.user_id else []),
            ("ChannelMetadata", '{"type":"whatsapp","data":{}}'),
        ]
