"""Twilio's side of a call: the signed question who answers, the signed handshake, and the frames of a stream."""

import base64
import re
from html import unescape
from urllib.parse import urlencode

from gateway.simulator import twilio_wire as wire
from tests.bench.twilio_wire import ACCOUNT_SID, AUTH_TOKEN, PUBLIC_URL
from tests.bench.wire import Post, line_of

PATH = "/webhooks/twilio/voice"
STREAM_URL = "ws" + PUBLIC_URL.removeprefix("http")
_STREAM = re.compile(r'<Stream[^>]* url="([^"]+)"')


def question(customer: str) -> Post:
    """Return the webhook that asks who answers a call."""
    form = [
        ("CallSid", f"CA{customer:0>32}"),
        ("AccountSid", ACCOUNT_SID),
        ("From", f"+{customer}"),
        ("To", f"+491510000000{line_of(customer)}"),
        ("CallStatus", "ringing"),
        ("Direction", "inbound"),
        ("ApiVersion", "2010-04-01"),
    ]
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        "X-Twilio-Signature": wire.signature(PUBLIC_URL + PATH, form, AUTH_TOKEN),
    }
    return Post(PATH, urlencode(form).encode(), headers)


def stream_path(twiml: str) -> str:
    """Return where the stream is to go, below the gateway's address. Raises ValueError if it is no stream."""
    found = _STREAM.search(twiml)
    if found is None:
        raise ValueError(twiml)
    return unescape(found.group(1)).split("//", 1)[1].partition("/")[2]


def handshake(path: str) -> dict[str, str]:
    return {"X-Twilio-Signature": wire.signature(f"{STREAM_URL}/{path}", [], AUTH_TOKEN)}


def start(customer: str, stream_sid: str) -> str:
    return (
        f'{{"event":"start","sequenceNumber":"1","streamSid":"{stream_sid}","start":{{"streamSid":"{stream_sid}",'
        f'"accountSid":"{ACCOUNT_SID}","callSid":"CA{customer:0>32}","tracks":["inbound"],"customParameters":{{}},'
        '"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}'
    )


def media(stream_sid: str, number: int, call: int) -> str:
    """Return a frame of 20 ms that carries its call's and its own number, so that whoever gets it can tell."""
    audio = call.to_bytes(2) + number.to_bytes(4) + b"\xff" * 154
    return (
        f'{{"event":"media","sequenceNumber":"{number + 2}","media":{{"track":"inbound","chunk":"{number + 1}",'
        f'"timestamp":"{20 * number}","payload":"{base64.b64encode(audio).decode()}"}},"streamSid":"{stream_sid}"}}'
    )


def numbers_of(payload: str) -> tuple[int, int]:
    """Return the call and the number that a frame carries."""
    said = base64.b64decode(payload[:8])
    return int.from_bytes(said[:2]), int.from_bytes(said[2:6])
