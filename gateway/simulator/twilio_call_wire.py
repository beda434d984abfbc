"""Calls as Twilio writes them (pure): webhook forms, REST resources, and the frames of a media stream."""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Literal

from gateway.simulator.twilio_wire import API_VERSION, Form, Json

CallStatus = Literal[
    "queued", "initiated", "ringing", "in-progress", "completed", "busy", "no-answer", "failed", "canceled"
]
Direction = Literal["inbound", "outbound-dial"]

WITHHELD = "anonymous"  # another network says +266696687, which spells it
SILENCE = 0xFF
FRAME_BYTES = 160
OVER: frozenset[CallStatus] = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})


def call_form(
    *, sid: str, account_sid: str, caller: str, to: str, status: CallStatus, direction: Direction, more: Form = ()
) -> Form:
    """Return what every webhook of a call begins with."""
    places = [
        (f"{end}{part}", "DE" if part == "Country" else "")
        for end in ("From", "To", "Caller", "Called")
        for part in ("City", "State", "Zip", "Country")
    ]
    return [
        ("CallSid", sid),
        ("AccountSid", account_sid),
        ("From", caller),
        ("To", to),
        ("Caller", caller),
        ("Called", to),
        ("CallStatus", status),
        ("Direction", direction),
        ("ApiVersion", API_VERSION),
        *places,
        *more,
    ]


def ended_fields(duration_s: int, at: datetime) -> Form:
    """Return what the last status callback adds: seconds, and started minutes."""
    return [
        ("CallDuration", str(duration_s)),
        ("Duration", str(-(-duration_s // 60))),
        ("Timestamp", format_datetime(at)),
        ("CallbackSource", "call-progress-events"),
        ("SequenceNumber", "0"),
    ]


def call_resource(
    *,
    sid: str,
    account_sid: str,
    caller: str,
    to: str,
    status: CallStatus,
    direction: Direction,
    begun_at: datetime,
    duration_s: int | None,
) -> Json:
    return {
        "sid": sid,
        "account_sid": account_sid,
        "from": caller,
        "to": to,
        "status": status,
        "direction": direction,
        "date_created": format_datetime(begun_at),
        "start_time": format_datetime(begun_at),
        "duration": None if duration_s is None else str(duration_s),
        "price": None,
        "price_unit": "USD",
        "answered_by": None,
        "api_version": API_VERSION,
        "uri": f"/{API_VERSION}/Accounts/{account_sid}/Calls/{sid}.json",
    }


@lru_cache(maxsize=64)
def payloads(mulaw: bytes) -> Sequence[str]:
    """Return audio as the payloads of 20 ms frames, the last one filled up with silence."""
    whole = mulaw + bytes([SILENCE]) * (-len(mulaw) % FRAME_BYTES)
    return [base64.b64encode(whole[at : at + FRAME_BYTES]).decode() for at in range(0, len(whole), FRAME_BYTES)]


QUIET = payloads(bytes([SILENCE]) * FRAME_BYTES)[0]
CONNECTED = json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})


def start_frame(
    *, sequence: int, stream_sid: str, call_sid: str, account_sid: str, parameters: Mapping[str, str]
) -> str:
    start = {
        "accountSid": account_sid,
        "streamSid": stream_sid,
        "callSid": call_sid,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": dict(parameters),
    }
    return json.dumps({"event": "start", "sequenceNumber": str(sequence), "start": start, "streamSid": stream_sid})


def media_frame(*, sequence: int, stream_sid: str, chunk: int, payload: str) -> str:
    """Return the frame of 20 ms; written out, because a hundred calls make five thousand of them a second."""
    return (
        f'{{"event":"media","sequenceNumber":"{sequence}","media":{{"track":"inbound","chunk":"{chunk}",'
        f'"timestamp":"{20 * (chunk - 1)}","payload":"{payload}"}},"streamSid":"{stream_sid}"}}'
    )


def mark_frame(*, sequence: int, stream_sid: str, name: str) -> str:
    return json.dumps(
        {"event": "mark", "sequenceNumber": str(sequence), "streamSid": stream_sid, "mark": {"name": name}}
    )


def dtmf_frame(*, sequence: int, stream_sid: str, digit: str) -> str:
    dtmf = {"track": "inbound_track", "digit": digit}
    return json.dumps({"event": "dtmf", "streamSid": stream_sid, "sequenceNumber": str(sequence), "dtmf": dtmf})


def stop_frame(*, sequence: int, stream_sid: str, call_sid: str, account_sid: str) -> str:
    stop = {"accountSid": account_sid, "callSid": call_sid}
    return json.dumps({"event": "stop", "sequenceNumber": str(sequence), "streamSid": stream_sid, "stop": stop})
