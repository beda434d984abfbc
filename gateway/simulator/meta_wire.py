"""Meta's webhooks as Meta writes them (pure): envelopes, messages, statuses, escaped and signed.

Source: the Cloud API's webhook reference. Nothing of the gateway's own reading is used here: this is the other side.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Json = Mapping[str, object]

PRICING: Json = {"billable": False, "pricing_model": "PMP", "type": "free_customer_service", "category": "service"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Business:
    """The number that customers write to."""

    phone_number_id: str
    display_number: str
    account_id: str = "200000000000001"

    @property
    def metadata(self) -> Json:
        return {
            "display_phone_number": self.display_number.lstrip("+"),
            "phone_number_id": self.phone_number_id,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A customer: by number, by Meta's own id, or by both."""

    name: str
    wa_id: str | None = None
    user_id: str | None = None

    @property
    def contact(self) -> Json:
        ids = {"wa_id": self.wa_id, "user_id": self.user_id}
        return {"profile": {"name": self.name}, **{name: value for name, value in ids.items() if value}}

    @property
    def sender(self) -> Json:
        ids = {"from": self.wa_id, "from_user_id": self.user_id}
        return {name: value for name, value in ids.items() if value}


def message_value(business: Business, person: Person, messages: Sequence[Json]) -> Json:
    return {
        "messaging_product": "whatsapp",
        "metadata": business.metadata,
        "contacts": [person.contact],
        "messages": list(messages),
    }


def status_value(business: Business, statuses: Sequence[Json]) -> Json:
    return {"messaging_product": "whatsapp", "metadata": business.metadata, "statuses": list(statuses)}


def echo_value(business: Business, echoes: Sequence[Json]) -> Json:
    return {"messaging_product": "whatsapp", "metadata": business.metadata, "message_echoes": list(echoes)}


def envelope(business: Business, values: Sequence[Json], *, field: str = "messages") -> bytes:
    """Return a webhook's body; Meta escapes everything that is not ASCII, and slashes."""
    body = {
        "object": "whatsapp_business_account",
        "entry": [{"id": business.account_id, "changes": [{"field": field, "value": value}]} for value in values],
    }
    return json.dumps(body, ensure_ascii=True).replace("/", "\\/").encode()


def message(person: Person, wamid: str, at_s: int, kind: str, content: Json, *, context_id: str | None = None) -> Json:
    context = {"context": {"id": context_id}} if context_id else {}
    return {**person.sender, "id": wamid, "timestamp": str(at_s), "type": kind, kind: content, **context}


def status(
    wamid: str,
    word: str,
    at_s: int,
    *,
    recipient: str,
    callback: str | None,
    errors: Sequence[Json] = (),
) -> Json:
    billed = {} if word in ("read", "failed") else {"pricing": PRICING}
    return {
        "id": wamid,
        "status": word,
        "timestamp": str(at_s),
        "recipient_id": recipient.lstrip("+"),
        **({"biz_opaque_callback_data": callback} if callback else {}),
        **({"errors": list(errors)} if errors else billed),
    }


def error(code: int, title: str) -> Json:
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": title},
    }


def signature(body: bytes, app_secret: str) -> str:
    return "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()
