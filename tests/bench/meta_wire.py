"""Meta's side of WhatsApp: the webhooks that it signs and the answer to a message that it took."""

import hashlib
import hmac
import time

import orjson

from tests.bench.wire import Post, line_of

APP_SECRET = "bench-app-secret"
PATH = "/webhooks/whatsapp"


def text(customer: str, number: int, words: str) -> Post:
    """Return a customer's message."""
    return _post(
        customer,
        {
            "contacts": [{"profile": {"name": "Kundin"}, "wa_id": customer}],
            "messages": [
                {
                    "from": customer,
                    "id": f"wamid.in.{customer}.{number}",
                    "timestamp": str(int(time.time())),
                    "type": "text",
                    "text": {"body": words},
                }
            ],
        },
    )


def delivered(provider_id: str, customer: str, ours: str) -> Post:
    """Return the report that a message of ours has arrived; `ours` is our own id of it."""
    return _post(
        customer,
        {
            "statuses": [
                {
                    "id": provider_id,
                    "status": "delivered",
                    "timestamp": str(int(time.time())),
                    "recipient_id": customer,
                    "biz_opaque_callback_data": ours,
                    "pricing": {
                        "billable": False,
                        "pricing_model": "PMP",
                        "type": "free_customer_service",
                        "category": "service",
                    },
                }
            ]
        },
    )


def taken(provider_id: str, customer: str) -> bytes:
    """Return the answer to a message that was taken."""
    return orjson.dumps(
        {
            "messaging_product": "whatsapp",
            "contacts": [{"input": customer, "wa_id": customer}],
            "messages": [{"id": provider_id}],
        }
    )


def _post(customer: str, value: dict[str, object]) -> Post:
    line = line_of(customer)
    metadata = {"display_phone_number": f"491510000000{line}", "phone_number_id": f"100000{line}"}
    change = {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}
    body = orjson.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]})
    digest = hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()
    return Post(PATH, body, {"X-Hub-Signature-256": f"sha256={digest}", "Content-Type": "application/json"})
