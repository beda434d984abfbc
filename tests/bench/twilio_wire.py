"""Twilio's side of SMS: the forms that it signs and the answer to a text that it took, as the simulator writes them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

import orjson

from gateway.simulator import twilio_wire as wire
from gateway.simulator.twilio_wire import Form, Message
from tests.bench.wire import Post, line_of

ACCOUNT_SID = "AC" + "b" * 32
AUTH_TOKEN = "bench-auth-token"
PUBLIC_URL = "http://127.0.0.1"  # what Twilio was told to call, and signs; the ports behind it are the gateways' own
PATH = "/webhooks/twilio/messages"


def text(customer: str, number: int, words: str) -> Post:
    """Return a customer's SMS."""
    message = Message(
        sid=f"SM{customer:0>20}{number:012}",
        account_sid=ACCOUNT_SID,
        sender=f"+{customer}",
        to=f"+491510000000{line_of(customer)}",
        body=words,
        direction="inbound",
        created_at=datetime.now(UTC),
        status="received",
        segments=wire.sms_segments(words),
    )
    return _post(PATH, wire.inbound_form(message))


def taken(provider_id: str, form: Mapping[str, str]) -> Message:
    """Return the text that a request to send has become."""
    return Message(
        sid=provider_id,
        account_sid=ACCOUNT_SID,
        sender=form["From"],
        to=form["To"],
        body=form["Body"],
        direction="outbound-api",
        created_at=datetime.now(UTC),
        status="queued",
        segments=wire.sms_segments(form["Body"]),
        callback=form["StatusCallback"],
    )


def resource(message: Message) -> bytes:
    """Return the answer to a text that was taken."""
    return orjson.dumps(wire.message_resource(message))


def delivered(message: Message) -> Post:
    """Return the callback that a text of ours has arrived."""
    form = wire.status_form(message, "delivered", error_code=None, at=datetime.now(UTC))
    return _post(message.callback.removeprefix(PUBLIC_URL), form)


def _post(path: str, form: Form) -> Post:
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        "X-Twilio-Signature": wire.signature(PUBLIC_URL + path, form, AUTH_TOKEN),
    }
    return Post(path, urlencode(list(form)).encode(), headers)
