"""A customer with WhatsApp on the phone: writes to a business and reads what comes back."""

import itertools

from gateway.simulator import meta_wire as wire
from gateway.simulator.meta import FakeMeta, Media, Sent
from gateway.simulator.meta_wire import Business, Json, Person


class Customer:
    """One customer of one business. `write` and its kin return the message's id; the webhook goes out beside it."""

    def __init__(self, meta: FakeMeta, business: Business, person: Person) -> None:
        self.meta = meta
        self.business = business
        self.person = person
        self._read = 0
        self._media_ids = itertools.count(1)

    @property
    def address(self) -> str:
        return self.person.wa_id or self.person.user_id or ""

    @property
    def received(self) -> list[Sent]:
        """Everything that has come from the business, in order."""
        sent = self.meta.sent_to(self.address)
        return [one for one in sent if one.phone_number_id == self.business.phone_number_id]

    async def next_text(self, *, timeout_s: float = 15.0) -> str:
        """Return the next message that was not read yet. Raises TimeoutError."""
        received = await self.meta.wait_for_sent(self.address, self._read + 1, timeout_s=timeout_s)
        self._read += 1
        return received[self._read - 1].text

    async def write(self, text: str, *, context_id: str | None = None) -> str:
        """Write a text and wait until the gateway has taken it."""
        return await self._send("text", {"body": text}, context_id=context_id)

    async def press(self, button_id: str, title: str) -> str:
        return await self._send(
            "interactive", {"type": "button_reply", "button_reply": {"id": button_id, "title": title}}
        )

    async def send_image(self, content: bytes, *, caption: str = "", mime_type: str = "image/jpeg") -> str:
        media = self.upload(content, mime_type)
        return await self._send("image", {**media, **({"caption": caption} if caption else {})})

    async def send_voice_note(self, content: bytes, *, mime_type: str = "audio/ogg; codecs=opus") -> str:
        return await self._send("audio", {**self.upload(content, mime_type), "voice": True})

    async def react(self, wamid: str, emoji: str) -> str:
        return await self._send("reaction", {"message_id": wamid, "emoji": emoji})

    async def edit(self, wamid: str, text: str) -> str:
        edited = {"original_message_id": wamid, "message": {"type": "text", "text": {"body": text}}}
        return await self._send("edit", edited)

    async def revoke(self, wamid: str) -> str:
        return await self._send("revoke", {"original_message_id": wamid})

    def message(self, kind: str, content: Json, *, wamid: str | None = None, context_id: str | None = None) -> Json:
        """Return a message as it stands in a webhook, without posting it."""
        at_s = int(self.meta.now_s() - self.meta.faults.late_s)
        return wire.message(self.person, wamid or self.meta.new_wamid(), at_s, kind, content, context_id=context_id)

    def value(self, *messages: Json) -> Json:
        return wire.message_value(self.business, self.person, messages)

    async def _send(self, kind: str, content: Json, *, context_id: str | None = None) -> str:
        message = self.message(kind, content, context_id=context_id)
        await self.meta.post(self.business, [self.value(message)])
        return str(message["id"])

    def upload(self, content: bytes, mime_type: str) -> Json:
        media_id = f"{self.address.lstrip('+')}{next(self._media_ids):04d}"
        media = self.meta.media[media_id] = Media(mime_type=mime_type, content=content)
        return {"id": media_id, "mime_type": mime_type, "sha256": media.sha256}
