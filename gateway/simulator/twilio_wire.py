"""Twilio's resources and webhooks as Twilio writes them (pure): forms, signed, and JSON with dates of RFC 2822.

Source: the reference of the Messages resource and of messaging webhooks. Nothing of the gateway's own reading or
counting is used here: this is the other side.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Literal

Json = Mapping[str, object]
Form = Sequence[tuple[str, str]]

WHATSAPP = "whatsapp:"
API_VERSION = "2010-04-01"
BODY_MAX = 1_600
STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START_WORDS = frozenset({"START", "YES", "UNSTOP"})
HELP_WORDS = frozenset({"HELP", "INFO"})
STOP_REPLY = (
    "You have successfully been unsubscribed. You will not receive any more messages from this number. "
    "Reply START to resubscribe."
)
START_REPLY = (
    "You have successfully been re-subscribed to messages from this number. Reply HELP for help. "
    "Reply STOP to unsubscribe."
)
HELP_REPLY = "Reply STOP to unsubscribe. Msg&Data Rates May Apply."

WORDS: Mapping[int, str] = {
    14107: "Message rate limit exceeded",
    20003: "Authenticate",
    20404: "The requested resource was not found",
    20429: "Too Many Requests",
    20500: "Internal Server Error",
    21211: "Invalid 'To' Phone Number",
    21422: "The phone number is not available",
    21602: "Message body is required.",
    21603: "A 'From' phone number is required.",
    21604: "A 'To' phone number is required.",
    21606: "The 'From' phone number provided is not a valid message-capable Twilio phone number for this destination.",
    21610: "Attempt to send to unsubscribed recipient",
    21617: "The concatenated message body exceeds the 1600 character limit.",
    21659: "'From' is not a Twilio phone number or Short Code country mismatch",
    21910: "Invalid From and To pair. From and To should be of the same channel",
    30003: "Unreachable destination handset",
    63007: "Twilio could not find a Channel with the specified From address",
    63016: "Failed to send freeform message because you are outside the allowed window.",
}

_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE = frozenset("^{}\\[~]|€\f")


@dataclass(slots=True, kw_only=True)
class Message:
    """One message at Twilio, in either direction; what changes is its status and when it left."""

    sid: str
    account_sid: str
    sender: str
    to: str
    body: str
    direction: Literal["inbound", "outbound-api"]
    created_at: datetime
    status: str
    segments: int
    segments_said: bool = True
    sent_at: datetime | None = None
    error_code: int | None = None
    callback: str = ""
    media: Sequence[tuple[str, str]] = field(default=())  # address and type

    @property
    def is_whatsapp(self) -> bool:
        return self.sender.startswith(WHATSAPP)


def sms_segments(body: str) -> int:
    """Count what a network carries the text in."""
    if all(char in _GSM or char in _GSM_TWICE for char in body):
        sizes, alone, together = [2 if char in _GSM_TWICE else 1 for char in body], 160, 153
    else:
        sizes, alone, together = [2 if ord(char) > 0xFFFF else 1 for char in body], 70, 67
    if sum(sizes) <= alone:
        return 1
    segments, used = 1, 0
    for size in sizes:
        if used + size > together:
            segments, used = segments + 1, 0
        used += size
    return segments


def message_resource(message: Message) -> Json:
    uri = f"/{API_VERSION}/Accounts/{message.account_sid}/Messages/{message.sid}"
    return {
        "account_sid": message.account_sid,
        "api_version": API_VERSION,
        "body": message.body,
        "date_created": format_datetime(message.created_at),
        "date_sent": format_datetime(message.sent_at) if message.sent_at else None,
        "date_updated": format_datetime(message.sent_at or message.created_at),
        "direction": message.direction,
        "error_code": message.error_code,
        "error_message": None,
        "from": message.sender,
        "messaging_service_sid": None,
        "num_media": str(len(message.media)),
        "num_segments": str(message.segments) if message.segments_said else "0",
        "price": None,
        "price_unit": None,
        "sid": message.sid,
        "status": message.status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": message.to,
        "uri": f"{uri}.json",
    }


def inbound_form(message: Message, *, opt_out: str | None = None, more: Form = ()) -> Form:
    """Return a customer's message as the webhook carries it; what only one of the channels says is in `more`."""
    ids = [(name, message.sid) for name in ("MessageSid", "SmsSid", "SmsMessageSid")]
    files = [
        pair
        for at, (url, mime_type) in enumerate(message.media)
        for pair in ((f"MediaUrl{at}", url), (f"MediaContentType{at}", mime_type))
    ]
    places = (
        []
        if message.is_whatsapp
        else [
            (f"{end}{part}", "DE" if part == "Country" else "")
            for end in ("From", "To")
            for part in ("City", "State", "Zip", "Country")
        ]
    )
    return [
        *ids,
        ("AccountSid", message.account_sid),
        ("From", message.sender),
        ("To", message.to),
        ("Body", message.body),
        ("NumMedia", str(len(message.media))),
        ("NumSegments", str(message.segments)),
        ("SmsStatus", "received"),
        ("ApiVersion", API_VERSION),
        *files,
        *places,
        *([("OptOutType", opt_out)] if opt_out else []),
        *more,
    ]


def status_form(message: Message, word: str, *, error_code: int | None, at: datetime) -> Form:
    """Return a status callback."""
    return [
        *((name, message.sid) for name in ("MessageSid", "SmsSid")),
        *((name, word) for name in ("MessageStatus", "SmsStatus")),
        ("AccountSid", message.account_sid),
        ("ApiVersion", API_VERSION),
        ("From", message.sender),
        ("To", message.to),
        *([("ErrorCode", str(error_code)), ("ErrorMessage", "")] if error_code else []),
        *_channel_fields(message, word, at),
    ]


def _channel_fields(message: Message, word: str, at: datetime) -> Form:
    if message.is_whatsapp:
        event = [("EventType", word.upper())] if word in ("delivered", "read") else []
        return [("ChannelPrefix", "whatsapp"), ("ChannelToAddress", message.to), ("StructuredMessage", "false"), *event]
    return [("RawDlrDoneDate", at.strftime("%y%m%d%H%M"))] if word in ("delivered", "undelivered") else []


def error(code: int, http_status: int) -> Json:
    return {
        "code": code,
        "message": WORDS.get(code, "Refused"),
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": http_status,
    }


def page(name: str, items: Sequence[Json], *, next_page: str, size: int, number: int) -> Json:
    """Return one page of a list."""
    end = (number + 1) * size
    return {
        name: list(items[number * size : end]),
        "page": number,
        "page_size": size,
        "next_page_uri": next_page if end < len(items) else None,
    }


def signature(url: str, form: Form, auth_token: str) -> str:
    """Sign a form as Twilio does: names and values, each once, in order, behind the address."""
    signed = url + "".join(name + value for name, value in sorted(set(form)))
    return base64.b64encode(hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def shared_key_signature(url: str, form: Form, secret: str) -> str:
    """Sign with a shared key."""
    signed = url + "".join(name + value for name, value in sorted(set(form)))
    return base64.b64encode(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()).decode()
