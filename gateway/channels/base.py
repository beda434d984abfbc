"""What every message channel speaks: plain values in, plain values out, one Protocol.

A provider's words stay in its own folder; these are ours. Adding a channel: docs/adding-a-channel.md.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol
from uuid import UUID

AddressKind = Literal["phone", "bsuid", "parent_bsuid"]
MessageKind = Literal[
    "text",
    "image",
    "voice_note",
    "audio",
    "video",
    "document",
    "sticker",
    "location",
    "contacts",
    "button_reply",
    "order",
    "unsupported",
]
ChannelName = Literal["whatsapp", "sms"]
OptOutWord = Literal["stop", "start", "help"]
MediaKind = Literal["image", "voice_note", "audio", "video", "document", "sticker"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One way to reach a contact. `phone` is E.164 with a plus sign."""

    kind: AddressKind
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who wrote: every address the provider vouches for, and the name they go by.

    `reply_to` is the identifier that came in: answers go there.
    """

    addresses: tuple[Address, ...]
    reply_to: Address
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaReference:
    """Media at the provider, not fetched yet."""

    kind: MediaKind
    mime_type: str
    provider_media_id: str | None = None
    url: str | None = None
    sha256_base64: str | None = None
    filename: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """A customer's message that asks for an answer."""

    provider_id: str
    sender: Sender
    kind: MessageKind
    text: str  # what the agent reads; captions, button titles and descriptions included
    provider_at: datetime | None  # the provider's clock; None where it sends none
    media: tuple[MediaReference, ...] = ()
    reply_to_provider_id: str | None = None
    segments: int = 0  # what the provider bills it as, where it bills by segment; 0: it does not
    opt_out: OptOutWord | None = None  # the provider has obeyed the customer's keyword already
    content: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """An emoji on a message; an empty one takes it back. Starts no turn."""

    sender: Sender
    target_provider_id: str
    emoji: str
    provider_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A customer changed an earlier message. Starts no turn."""

    sender: Sender
    target_provider_id: str
    text: str
    provider_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoke:
    """A customer deleted an earlier message. Starts no turn."""

    sender: Sender
    target_provider_id: str
    provider_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressChange:
    """A contact has a new number or id; the old one leads to the same person."""

    old: Address
    new: tuple[Address, ...]
    provider_at: datetime | None
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """The owner wrote from the Business app: a person has taken over."""

    provider_id: str
    to: Address
    kind: MessageKind
    text: str
    provider_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """A contact told the provider whether it wants proactive messages."""

    sender: Sender
    wants_messages: bool
    provider_at: datetime | None


class DeliveryStatus(StrEnum):
    """Later news about a message, in the only direction it may move (`failed` may follow `sent`)."""

    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"  # it never left the provider
    UNDELIVERED = "undelivered"  # it left, the network did not deliver it: nothing comes back
    UNKNOWN = "unknown"  # a word the provider added: stored, changes nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """What the provider says has become of a message of ours."""

    provider_id: str
    status: DeliveryStatus
    provider_status: str  # the provider's own word
    our_message_id: UUID | None  # travelled with the message and came back
    provider_at: datetime | None
    pricing: Mapping[str, object] | None = None
    errors: tuple[Mapping[str, object], ...] = ()
    window_closed: bool = False  # the provider says that the service window is closed
    payment_problem: bool = False  # the business's account at the provider cannot pay
    segments: int | None = None  # what the provider bills; None: it does not say (yet)
    opted_out: bool = False  # the contact has told the provider to let nothing through from this line


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Anything else a provider sends about a line: stored, and starts nothing."""

    name: str
    content: Mapping[str, object]


ChannelEvent = Inbound | Reaction | Edit | Revoke | AddressChange | Echo | Preference | DeliveryReport | Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class LineAddress:
    """How a webhook names one of our lines."""

    kind: Literal["number", "whatsapp_phone_number_id"]
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineEvent:
    """One event on one of our lines."""

    line: LineAddress
    event: ChannelEvent
    channel: ChannelName = "whatsapp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """A part of a signed payload that could not be read; the rest goes on."""

    reason: str
    fragment: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LineCredentials:
    """What a send needs to know of our line."""

    line_id: UUID
    number: str
    provider_line_id: str | None  # Meta's phone_number_id
    access_token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """One text to one contact; `message_id` travels with it and comes back in reports."""

    message_id: UUID
    to: Address
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """The provider took the message and calls it this."""

    provider_id: str
    segments: int | None = None  # what the provider bills; None: it does not say (yet)


class MessageChannel(Protocol):
    """A text channel at a provider.

    `send` raises a `gateway.errors.SendError`: `SendThrottledError` and `SendNotConnectedError` (nothing was
    taken: try again), `SendOutcomeUnknownError` (it may have been taken: wait for the report),
    `SendRefusedError` (final; carries the provider's code, `window_closed`, `opted_out`, `channel_down`,
    `payment_problem`).
    """

    async def send(self, line: LineCredentials, outbound: Outbound) -> Acknowledgement: ...

    looks_up: bool  # whether the provider can be asked what became of a send

    async def find_sent(
        self, line: LineCredentials, outbound: Outbound, *, since: datetime, known: Collection[str] = ()
    ) -> Acknowledgement | None:
        """Look up a send whose outcome nobody learned; None: the provider never took it.

        `since` is when that send began by our clock; that clocks differ, the channel allows for. Raises
        SendOutcomeUnknownError if the provider cannot be asked; SendRefusedError or SendThrottledError if it took the
        message and failed to send it. Only where `looks_up`; elsewhere LookupError.

        `known` are the provider's ids of other messages of ours.
        """
        ...

    async def show_typing(self, line: LineCredentials, *, provider_id: str) -> None:
        """Mark read and show that an answer is being written; best effort, never raises a SendError."""
        ...

    async def fetch_media(self, line: LineCredentials, media: MediaReference, *, max_bytes: int) -> "FetchedMedia":
        """Fetch within the size limit, hash checked; raises `gateway.errors.MediaError`."""
        ...

    def compose(self, text: str, style: "TextStyle") -> tuple[str, ...]:
        """Turn the agent's Markdown into the parts to send: the channel's markup, split, shortened (pure)."""
        ...

    def fits(self, text: str, style: "TextStyle") -> bool:
        """Return whether the text is short enough not to be asked for again; where parts are free it is (pure)."""
        ...

    def billed_units(self, text: str) -> int:
        """Return what a sent text is priced as: 1 for a message, its segments on SMS (pure)."""
        ...

    def shorten(
        self, parts: tuple[str, ...], *, max_tokens: int, count_tokens: Callable[[str], int]
    ) -> tuple[str, ...]:
        """Cut from the end until all parts together have at most so many tokens (pure)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TextStyle:
    """How an owner wants texts written that are priced by segment; other channels take no notice."""

    segments_max: int = 4
    allow_unicode: bool = False  # emoji and typographic signs, which make segments of 70 characters


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedMedia:
    """Media as it came, its hash checked against what the message promised."""

    mime_type: str
    content: bytes = field(repr=False)
    sha256: bytes
