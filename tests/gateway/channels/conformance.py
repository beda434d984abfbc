"""What every message channel must do, whatever its provider: a case for each channel, the same checks for all.

A new channel adds its case to CASES; `test_conformance.py` runs every check on every case.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import aiohttp
import orjson

from gateway.channels.base import Address, LineCredentials, LineEvent, Malformed, MessageChannel, TextStyle
from gateway.channels.sms import payloads as sms_payloads
from gateway.channels.sms.client import TwilioSmsChannel
from gateway.channels.twilio_forms import Form
from gateway.channels.whatsapp import twilio_payloads
from gateway.channels.whatsapp.client import MetaChannel
from gateway.channels.whatsapp.payloads import parse as parse_meta
from gateway.channels.whatsapp.twilio_client import TwilioWhatsAppChannel
from gateway.twilio.rest import TwilioRest

OpenChannel = Callable[[aiohttp.ClientSession, str], MessageChannel]


Parse = Callable[[bytes], tuple[list[LineEvent], list[Malformed]]]
STYLE = TextStyle()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a provider answers to a request to send."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelCase:
    """A channel and its provider's own words. `part_chars_max` is the longest text of one message."""

    name: str
    open_channel: OpenChannel
    line: LineCredentials
    to: Address
    taken: Answer
    taken_id: str
    refused: Answer
    throttled: Answer
    unwell: Answer
    window_closed: Answer | None
    nothing_sent: Answer | None  # to a look-up; None: the provider cannot be asked
    composer: MessageChannel  # for what is pure: it reaches nobody
    parse: Parse
    message: bytes  # a webhook with one customer's text "Hallo"
    unheard_status: bytes  # a webhook with one delivery report in a word that nobody knows
    part_chars_max: int


def _meta_error(code: int, *, status: int) -> Answer:
    return Answer(status=status, body=orjson.dumps({"error": {"code": code, "message": "No."}}))


def _meta_webhook(**items: object) -> bytes:
    value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "1000001"}, **items}
    return orjson.dumps({"object": "whatsapp_business_account", "entry": [{"changes": [{"value": value}]}]})


META = ChannelCase(
    name="whatsapp by Meta",
    open_channel=lambda http, url: MetaChannel(http, url, None),
    line=LineCredentials(
        line_id=UUID(int=1), number="+4915100000001", provider_line_id="1000001", access_token="line token"
    ),
    to=Address(kind="phone", value="+491700000101"),
    taken=Answer(status=200, body=b'{"messages": [{"id": "wamid.1"}]}'),
    taken_id="wamid.1",
    refused=_meta_error(131026, status=400),
    throttled=_meta_error(130429, status=429),
    unwell=_meta_error(131000, status=500),
    window_closed=_meta_error(131047, status=400),
    nothing_sent=None,
    composer=MetaChannel(cast("aiohttp.ClientSession", None), "http://127.0.0.1:9", None),
    parse=parse_meta,
    message=_meta_webhook(messages=[{"id": "wamid.IN1", "from": "49170", "type": "text", "text": {"body": "Hallo"}}]),
    unheard_status=_meta_webhook(statuses=[{"id": "wamid.1", "status": "pondered"}]),
    part_chars_max=4_096,
)


def _twilio_error(code: int, *, status: int) -> Answer:
    return Answer(status=status, body=orjson.dumps({"code": code, "message": "No.", "status": status}))


def _open_twilio(channel: Callable[[TwilioRest | None, str], MessageChannel]) -> OpenChannel:
    def open_channel(http: aiohttp.ClientSession, url: str) -> MessageChannel:
        return channel(TwilioRest(http, url, "AC1", "twilio token", url), "https://gw.example")

    return open_channel


class FormPayloads(Protocol):
    """A channel's module that reads Twilio's forms."""

    def parse_message(self, form: Form, /) -> tuple[list[LineEvent], list[Malformed]]: ...

    def parse_status(self, form: Form, our_message_id: UUID | None, /) -> tuple[list[LineEvent], list[Malformed]]: ...


def _parse_form(payloads: FormPayloads) -> Parse:
    def parse(body: bytes) -> tuple[list[LineEvent], list[Malformed]]:
        form = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
        if any(name == "MessageStatus" for name, _ in form):
            return payloads.parse_status(form, None)
        return payloads.parse_message(form)

    return parse


def _twilio_form(prefix: str, **fields: str) -> bytes:
    numbers = {"From": f"{prefix}+491700000101", "To": f"{prefix}+4915100000001"}
    return urlencode({"MessageSid": "SM" + "1" * 32, "AccountSid": "AC1", **numbers, **fields}).encode()


def _twilio_case(
    name: str, prefix: str, channel: Callable[[TwilioRest | None, str], MessageChannel], *, payloads: FormPayloads
) -> ChannelCase:
    return ChannelCase(
        name=name,
        open_channel=_open_twilio(channel),
        line=LineCredentials(line_id=UUID(int=1), number="+4915100000001", provider_line_id=None, access_token=None),
        to=Address(kind="phone", value="+491700000101"),
        taken=Answer(status=201, body=b'{"sid": "SM1", "status": "queued", "num_segments": "1"}'),
        taken_id="SM1",
        refused=_twilio_error(30005, status=400),
        throttled=_twilio_error(20429, status=429),
        unwell=_twilio_error(20500, status=500),
        window_closed=_twilio_error(63016, status=400) if prefix else None,
        nothing_sent=Answer(status=200, body=b'{"messages": [], "next_page_uri": null}'),
        composer=channel(None, "https://gw.example"),
        parse=_parse_form(payloads),
        message=_twilio_form(prefix, Body="Hallo", NumMedia="0", NumSegments="1", SmsStatus="received"),
        unheard_status=_twilio_form(prefix, MessageStatus="pondered"),
        part_chars_max=1_600,
    )


SMS = _twilio_case("SMS by Twilio", "", TwilioSmsChannel, payloads=sms_payloads)
TWILIO_WHATSAPP = _twilio_case("WhatsApp by Twilio", "whatsapp:", TwilioWhatsAppChannel, payloads=twilio_payloads)

CASES = [META, TWILIO_WHATSAPP, SMS]
