"""What every message channel must do, whatever its provider: a case for each channel, the same checks for all.

A new channel adds its case to CASES; `test_conformance.py` runs every check on every case.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import aiohttp
import orjson

from gateway.channels.base import Address, LineCredentials, LineEvent, Malformed, MessageChannel
from gateway.channels.whatsapp import markup
from gateway.channels.whatsapp.client import MetaChannel
from gateway.channels.whatsapp.payloads import parse as parse_meta

OpenChannel = Callable[[aiohttp.ClientSession, str], MessageChannel]


class Shorten(Protocol):
    """A channel's `shorten`, without the channel."""

    def __call__(
        self, parts: tuple[str, ...], /, *, max_tokens: int, count_tokens: Callable[[str], int]
    ) -> tuple[str, ...]: ...


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
    compose: Callable[[str], tuple[str, ...]]
    shorten: Shorten
    parse: Callable[[bytes], tuple[list[LineEvent], list[Malformed]]]
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
    compose=markup.compose,
    shorten=markup.shorten,
    parse=parse_meta,
    message=_meta_webhook(messages=[{"id": "wamid.IN1", "from": "49170", "type": "text", "text": {"body": "Hallo"}}]),
    unheard_status=_meta_webhook(statuses=[{"id": "wamid.1", "status": "pondered"}]),
    part_chars_max=4_096,
)

CASES = [META]
