"""Twilio's media stream, frame by frame (pure): JSON text in, events out, and the frames that we send.

A call has one: 50 frames a second come in, so a payload is checked but never decoded. The order of frames is TCP's;
a number that does not follow the last one is counted and nothing else. Audio is mu-law, 8 kHz, mono.
"""

import re
from binascii import b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

FRAME_BYTES: Final = 160
FRAME_MS: Final = 20
BYTES_PER_MS: Final = 8
PAYLOAD_CHARS_MAX: Final = 64 * 1024  # some six seconds

_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_KEYS: Final = frozenset("0123456789*#ABCD")
_FORMAT: Final = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}


@dataclass(frozen=True, slots=True)
class Connected:
    """The socket speaks Twilio's protocol; the stream follows."""


@dataclass(frozen=True, slots=True)
class Started:
    """The stream has begun: time 0 of the call. `custom` holds the parameters that our TwiML gave."""

    stream_sid: str
    call_sid: str
    account_sid: str
    custom: Mapping[str, str]


@dataclass(slots=True)  # not frozen: that alone would cost more than parsing the frame
class Media:
    """Audio of the caller, in base64 as it came. `timestamp_ms` counts from the stream's start."""

    payload: str
    timestamp_ms: int

    @property
    def duration_ms(self) -> int:
        """How much audio it is, in whole milliseconds."""
        padding = self.payload.count("=", -2)
        return (len(self.payload) * 3 // 4 - padding) // BYTES_PER_MS


@dataclass(frozen=True, slots=True)
class Digit:
    """The caller has pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True)
class Echoed:
    """A mark of ours has come back: what was before it has been played, or cleared."""

    mark: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The stream is over; the socket closes next."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """A frame that is none; it changes nothing. `reason` holds nothing of what was in it."""

    reason: str


StreamEvent = Connected | Started | Media | Digit | Echoed | Stopped | Malformed


class MediaStream:
    """One stream: what its frames mean, and the frames for it.

    `gaps` counts the frames whose number did not follow. What is sent needs the stream's id: RuntimeError before its
    start.
    """

    def __init__(self) -> None:
        self.gaps = 0
        self.stream_sid: str | None = None
        self._sequence = 0
        self._chunk = 0
        self._media_head = ""
        self._clear = ""

    def receive(self, frame: str | bytes) -> StreamEvent:
        """Return what a frame means; never raises."""
        try:
            message = orjson.loads(frame)
            event = message["event"]
            if event == "media":
                return self._media(message, message["media"])
            return self._receive_other(event, message)
        except (KeyError, TypeError, ValueError, AttributeError):
            return Malformed("shape")

    def _media(self, message: dict[str, Any], media: dict[str, Any]) -> StreamEvent:
        sequence, chunk = int(message["sequenceNumber"]), int(media["chunk"])
        if sequence != self._sequence + 1 or chunk != self._chunk + 1:
            self.gaps += 1
        self._sequence, self._chunk = sequence, chunk
        payload = media["payload"]
        if len(payload) > PAYLOAD_CHARS_MAX or len(payload) % 4 or not _BASE64.fullmatch(payload):
            return Malformed("payload")  # it is spliced into the engine's JSON as it is
        if self.stream_sid is None or media.get("track", "inbound") != "inbound":
            return Malformed("order" if self.stream_sid is None else "track")
        return Media(payload, int(media["timestamp"]))

    def _receive_other(self, event: object, message: dict[str, Any]) -> StreamEvent:
        if event == "connected":
            return Connected()
        sequence = int(message.get("sequenceNumber", self._sequence + 1))
        if self._sequence and sequence != self._sequence + 1:
            self.gaps += 1
        self._sequence = sequence
        match event:
            case "start":
                return self._start(message["start"], message)
            case "mark":
                return Echoed(_text(message["mark"]["name"]))
            case "dtmf":
                digit = _text(message["dtmf"]["digit"])
                return Digit(digit) if digit in _KEYS else Malformed("digit")
            case "stop":
                return Stopped()
            case _:
                return Malformed("event")

    def _start(self, start: dict[str, Any], message: dict[str, Any]) -> StreamEvent:
        if self.stream_sid is not None:
            return Malformed("order")
        if {name: start["mediaFormat"][name] for name in _FORMAT} != _FORMAT:
            return Malformed("format")
        sid = _text(start.get("streamSid") or message["streamSid"])
        custom = {_text(name): _text(value) for name, value in start.get("customParameters", {}).items()}
        started = Started(sid, _text(start["callSid"]), _text(start["accountSid"]), custom)
        quoted = _quoted(sid)
        self._media_head = f'{{"event":"media","streamSid":{quoted},"media":{{"payload":"'
        self._clear = f'{{"event":"clear","streamSid":{quoted}}}'
        self.stream_sid = sid
        return started

    def media(self, audio: bytes) -> str:
        """Return the frame that has the caller hear this, after all that was sent before."""
        self._expect_start()
        return f'{self._media_head}{b2a_base64(audio, newline=False).decode("ascii")}"}}}}'

    def mark(self, name: str) -> str:
        """Return the frame that comes back when what was sent before it has been played."""
        sid = self._expect_start()
        return f'{{"event":"mark","streamSid":{_quoted(sid)},"mark":{{"name":{_quoted(name)}}}}}'

    def clear(self) -> str:
        """Return the frame that silences what was sent and not yet played."""
        self._expect_start()
        return self._clear

    def _expect_start(self) -> str:
        if self.stream_sid is None:
            raise RuntimeError("the stream has not started")
        return self.stream_sid


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()
