"""What can go wrong at a vendor, switched on while it runs."""

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class MetaFaults:
    """Counters go down with each use; switches stay until they are turned off."""

    delay_s: float = 0.0  # before every answer
    throttled: int = 0  # the next sends: 429 with code 130429
    unwell: int = 0  # the next sends: 500 with code 131000
    dropped_after_accept: int = 0  # the next sends: taken, and the connection dies before the answer
    dropped_before_accept: int = 0  # the next sends: the connection dies and nothing was taken
    refusal_codes: list[int] = field(default_factory=list)  # the next sends: 400 with these codes
    failed_later_codes: list[int] = field(default_factory=list)  # the next sends: 200, and a failed status after it
    reports_withheld: bool = False  # statuses wait for `release_reports`
    reports_shuffled: bool = False
    reports_batched: bool = False  # the statuses of a message in one webhook
    copies: int = 1  # how often every webhook is posted
    late_s: float = 0.0  # customers' messages carry a time so long ago
    media_missing: bool = False
    typing_refused: bool = False


@dataclass(slots=True, kw_only=True)
class ModelFaults:
    """For the fake model server; as above."""

    delay_s: float = 0.0
    throttled: int = 0
    unwell: int = 0
    dropped: int = 0
    empty: int = 0
    malformed: int = 0
    down: bool = False  # every request is answered 503
    models_down: set[str] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class TwilioFaults:
    """For the fake Twilio; as above."""

    delay_s: float = 0.0  # before every answer
    throttled: int = 0  # the next sends: 429 with code 20429
    unwell: int = 0  # the next sends: 500 with code 20500
    unreadable: int = 0  # the next sends: a proxy's page with status 502, and nothing was taken
    dropped_after_accept: int = 0  # the next sends: taken, and the connection dies before the answer
    dropped_before_accept: int = 0  # the next sends: the connection dies and nothing was taken
    refusal_codes: list[int] = field(default_factory=list)  # the next sends: 400 with these codes
    failed_later_codes: list[int] = field(default_factory=list)  # the next sends: 201, and `failed` after it
    undelivered_later_codes: list[int] = field(default_factory=list)  # the next sends: `sent`, then `undelivered`
    callbacks_lost: bool = False
    callbacks_withheld: bool = False  # status callbacks wait for `release_callbacks`
    callbacks_shuffled: bool = False
    copies: int = 1  # how often every webhook is posted
    segments_fewer: int = 0  # messages are billed as so many segments fewer than they have, but as one at least
    segments_unsaid: bool = False  # num_segments is "0" at first, as with a Messaging Service
    media_missing: bool = False
    typing_refused: bool = False
    numbers_gone: int = 0  # the next purchases: 400 with code 21422, somebody was faster
    purchases_dropped: int = 0  # the next purchases: bought, and the connection dies before the answer
    purchase_codes: list[int] = field(default_factory=list)  # the next purchases: 400 with these codes
    call_updates_failed: int = 0  # the next updates of calls: 500 with code 20500
    call_updates_dropped: int = 0  # the next updates of calls: done, and the connection dies before the answer
    marks_lost: bool = False
    marks_late_s: float = 0.0
    stream_signatures_wrong: int = 0  # the next streams come with a signature that is none
    streams_signed_as_https: bool = False  # the signature is over https://, not wss://
    streams_twice: bool = False  # every stream's address is called a second time, once the first is connected


@dataclass(slots=True, kw_only=True)
class RealtimeFaults:
    """For the fake Realtime server; as above."""

    connect_delay_s: float = 0.0  # before every handshake is answered
    refused_statuses: list[int] = field(default_factory=list)  # the next handshakes: these HTTP answers
    refusal_code: str = ""  # what their bodies say
    connects_dropped: int = 0  # the next handshakes: the connection dies
    connects_silent: int = 0  # the next sessions: taken, and told nothing
    session_closes: list[tuple[int, str]] = field(default_factory=list)  # the next sessions: closed at once like this
    session_errors: list[str] = field(default_factory=list)  # the next sessions: this code for their first update
    expiry_unsaid: bool = False
    thinking_s: float = 0.0  # between an answer's beginning and its first sound
    late_deltas: int = 0  # so much audio still comes after an answer was cancelled
    failed_codes: list[str] = field(default_factory=list)  # the next answers: failed with this code
    dropped_after_ms: list[int] = field(default_factory=list)  # the next answers: after so much audio the line dies
