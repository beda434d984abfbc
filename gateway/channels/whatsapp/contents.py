"""What a message says (pure): each of Meta's message types as the text that the agent reads, and its media.

What has no words becomes a hint in brackets, neutral and short, because the prompt is counted and paid for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.channels.base import MediaKind, MediaReference, MessageKind
from gateway.channels.whatsapp.fields import Json, as_object, as_text, objects

SHARED_CONTACTS_MAX = 10  # shown to the agent; all are kept
ORDER_ITEMS_MAX = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message's kind, the text that the agent reads, and what came with it."""

    kind: MessageKind
    text: str
    media: tuple[MediaReference, ...] = ()


def read_content(message: Json) -> Said:
    """Return what a message says; a type that Meta added yesterday is `unsupported`, never an error."""
    return READERS.get(as_text(message.get("type")), _unsupported)(message)


def _text(message: Json) -> Said:
    return Said(kind="text", text=as_text(as_object(message.get("text")).get("body")))


def _media(message: Json) -> Said:
    word = as_text(message.get("type"))
    details = as_object(message.get(word))
    kind: MediaKind = "voice_note" if word == "audio" and details.get("voice") is True else MEDIA_KINDS[word]
    filename = as_text(details.get("filename"))
    reference = MediaReference(
        kind=kind,
        mime_type=as_text(details.get("mime_type")),
        provider_media_id=as_text(details.get("id")) or None,
        url=as_text(details.get("url")) or None,
        sha256_base64=as_text(details.get("sha256")) or None,
        filename=filename or None,
    )
    hint = f"[{MEDIA_WORDS[kind]}: {_one_line(filename)}]" if filename else f"[{MEDIA_WORDS[kind]}]"
    return Said(kind=kind, text=_joined(" ", hint, as_text(details.get("caption"))), media=(reference,))


def _location(message: Json) -> Said:
    place = as_object(message.get("location"))
    coordinates = [str(place[name]) for name in ("latitude", "longitude") if isinstance(place.get(name), int | float)]
    described = _joined(", ", as_text(place.get("name")), as_text(place.get("address")))
    position = f"({', '.join(coordinates)})" if coordinates else ""
    return Said(kind="location", text=_joined(" ", "[location]", described, position))


def _contacts(message: Json) -> Said:
    shared = list(objects(message.get("contacts")))
    lines = [_joined(" ", "[contact]", _described_contact(contact)) for contact in shared[:SHARED_CONTACTS_MAX]]
    return Said(kind="contacts", text="\n".join(lines) or "[contact]")


def _described_contact(contact: Json) -> str:
    """Return a shared contact's name and numbers; names may be missing, and any part of them."""
    name = as_object(contact.get("name"))
    full = as_text(name.get("formatted_name")) or _joined(
        " ", as_text(name.get("first_name")), as_text(name.get("last_name"))
    )
    organization = as_text(as_object(contact.get("org")).get("company"))
    phones = [as_text(phone.get("phone")) or as_text(phone.get("wa_id")) for phone in objects(contact.get("phones"))]
    emails = [as_text(email.get("email")) for email in objects(contact.get("emails"))]
    return _joined(", ", full, organization, *phones, *emails)


def _interactive(message: Json) -> Said:
    interactive = as_object(message.get("interactive"))
    word = as_text(interactive.get("type"))
    reply = as_object(interactive.get(word))
    match word:
        case "button_reply":
            return Said(kind="button_reply", text=as_text(reply.get("title")) or as_text(reply.get("id")))
        case "list_reply":
            chosen = _joined(": ", as_text(reply.get("title")), as_text(reply.get("description")))
            return Said(kind="button_reply", text=chosen or as_text(reply.get("id")))
        case "nfm_reply":
            filled = _joined(" ", as_text(reply.get("body")), as_text(reply.get("response_json")))
            return Said(kind="text", text=_joined(" ", "[form]", filled))
        case _:
            return _unsupported(message)


def _button(message: Json) -> Said:
    button = as_object(message.get("button"))
    return Said(kind="button_reply", text=as_text(button.get("text")) or as_text(button.get("payload")))


def _order(message: Json) -> Said:
    order = as_object(message.get("order"))
    items = [_described_item(item) for item in objects(order.get("product_items"))]
    more = ["…"] if len(items) > ORDER_ITEMS_MAX else []
    listed = "\n".join([*items[:ORDER_ITEMS_MAX], *more])
    return Said(kind="order", text=_joined("\n", _joined(" ", "[order]", as_text(order.get("text"))), listed))


def _described_item(item: Json) -> str:
    price, currency = item.get("item_price"), as_text(item.get("currency"))
    priced = f"({price} {currency})".replace(" )", ")") if isinstance(price, int | float) else ""
    quantity = item.get("quantity")
    times = f"{quantity} x" if isinstance(quantity, int | float | str) else ""
    return _joined(" ", times, as_text(item.get("product_retailer_id")) or "?", priced)


def _unsupported(message: Json) -> Said:
    word = _one_line(as_text(message.get("type")))
    known = word in ("", "unsupported", "unknown")
    return Said(kind="unsupported", text="[unsupported message]" if known else f"[unsupported message: {word}]")


def _joined(separator: str, *parts: str) -> str:
    return separator.join(part for part in parts if part)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]


MEDIA_KINDS: Mapping[str, MediaKind] = {
    "image": "image",
    "audio": "audio",
    "video": "video",
    "document": "document",
    "sticker": "sticker",
}
MEDIA_WORDS: Mapping[MediaKind, str] = {
    "image": "image",
    "voice_note": "voice message",
    "audio": "audio",
    "video": "video",
    "document": "document",
    "sticker": "sticker",
}
READERS: Mapping[str, Callable[[Json], Said]] = {
    "text": _text,
    **dict.fromkeys(MEDIA_KINDS, _media),
    "location": _location,
    "contacts": _contacts,
    "interactive": _interactive,
    "button": _button,
    "order": _order,
}
