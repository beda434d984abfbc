"""Who wrote (pure): a number, Meta's business-scoped id of the person, or both, in any of the places they come in.

Since 2026 a customer may have no number that we see: only `user_id`, which may also stand where numbers stood.
"""

from collections.abc import Sequence

from gateway.channels.base import Address, Sender
from gateway.channels.whatsapp.fields import Json, UnreadableError, as_object, as_text

LONGEST_ADDRESS = 150  # characters; Meta's ids have at most some 130
PARENT_MARK = ".ENT."  # US.ENT.1181…: the id towards the whole company, not this one business


def address_of(value: object) -> Address | None:
    """Return the address that an identifier is: digits are a number, never checked further, the rest is an id."""
    text = as_text(value).strip()
    digits = text.removeprefix("+")
    if digits.isascii() and digits.isdigit():
        return Address(kind="phone", value=f"+{digits}") if len(digits) <= LONGEST_ADDRESS else None
    if not text or len(text) > LONGEST_ADDRESS or not text.isprintable() or " " in text:
        return None
    return Address(kind="parent_bsuid" if PARENT_MARK in text else "bsuid", value=text)


def sender_of(item: Json, contacts: Sequence[Json]) -> Sender:
    """Return who wrote a message, with everything that the contact entry belonging to it adds.

    Answers go to the identifier that the message itself carries. Raises UnreadableError if there is none at all.
    """
    own = [item.get("from"), item.get("from_user_id"), item.get("from_parent_user_id")]
    return _sender(own, contact_of(own, contacts))


def person_of(item: Json, contacts: Sequence[Json]) -> Sender:
    """Return the customer that an item other than a message is about. Raises UnreadableError."""
    own = [item.get("wa_id"), item.get("user_id"), item.get("parent_user_id")]
    return _sender(own, contact_of(own, contacts))


def recipient_of(item: Json, contacts: Sequence[Json]) -> Address:
    """Return the customer that the business wrote to. Raises UnreadableError."""
    own = [item.get("to"), item.get("to_user_id"), item.get("to_parent_user_id")]
    return _sender(own, contact_of(own, contacts)).reply_to


def contact_of(identifiers: Sequence[object], contacts: Sequence[Json]) -> Json:
    """Return the contact entry that shares an identifier, or the only entry if it contradicts none."""
    wanted = {address for address in map(address_of, identifiers) if address is not None}
    for contact in contacts:
        if wanted & set(_addresses(_ids(contact))):
            return contact
    if len(contacts) != 1:
        return {}
    kinds = {address.kind for address in wanted}
    return {} if any(address.kind in kinds for address in _addresses(_ids(contacts[0]))) else contacts[0]


def _sender(own: Sequence[object], contact: Json) -> Sender:
    addresses = _addresses([*own, *_ids(contact)])
    if not addresses:
        raise UnreadableError("nobody it is from or about")
    profile = as_object(contact.get("profile"))
    # A parent id names the person towards another business as well: it is a last resort to write to.
    reply_to = next((address for address in addresses if address.kind != "parent_bsuid"), addresses[0])
    return Sender(addresses=tuple(addresses), reply_to=reply_to, name=as_text(profile.get("name")))


def _ids(contact: Json) -> list[object]:
    return [contact.get("wa_id"), contact.get("user_id"), contact.get("parent_user_id")]


def _addresses(identifiers: Sequence[object]) -> list[Address]:
    found = (address_of(identifier) for identifier in identifiers)
    return list(dict.fromkeys(address for address in found if address is not None))
