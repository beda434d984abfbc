"""What Meta's answer to a send means (pure): taken, to be tried again, perhaps taken, or refused for good."""

import re
from collections.abc import Mapping

import orjson

from gateway.channels.base import Acknowledgement
from gateway.channels.whatsapp.fields import Json, as_object, as_text, objects
from gateway.channels.whatsapp.statuses import PAYMENT_CODES, WINDOW_CLOSED_CODES, error_code
from gateway.errors import (
    SendError,
    SendNotConnectedError,
    SendOutcomeUnknownError,
    SendRefusedError,
    SendThrottledError,
)

# Seconds until a send that was throttled may be tried again; None: the caller's own back-off.
THROTTLE_CODES: Mapping[int, float | None] = {
    4: None,  # the app's requests
    80007: None,  # the business account's requests
    130429: None,  # this number's messages per second
    131048: 3_600.0,  # reported as spam too often: soon would make it worse
    131056: 6.0,  # too many messages to this one customer: one in six seconds
    131064: 3_600.0,  # the messaging limit of the day
    133016: 60.0,
}
TRANSIENT_CODES = frozenset({1, 2, 131000, 131016, 131053})
TOKEN_CODES = frozenset({0, 3, 10, 190, 131005, *range(200, 300)})
ACCOUNT_CODES = frozenset({368, 130497, 131031, 131045, 131057})

_LONG_NUMBER = re.compile(r"\d{7,}")  # longer than any code: somebody's number or id


def read_answer(status: int, body: bytes, *, retry_after: str | None = None) -> Acknowledgement:
    """Return the acknowledgement in an answer. Raises a SendError, sorted by what the sender can do."""
    answer = _object(body)
    error = as_object(answer.get("error"))
    if 200 <= status < 300 and not error:
        provider_id = next((as_text(message.get("id")) for message in objects(answer.get("messages"))), "")
        if not provider_id:
            raise SendOutcomeUnknownError("accepted, without an id")
        return Acknowledgement(provider_id=provider_id)
    if error:
        raise _sorted_error(status, error, retry_after)
    raise _error_without_words(status, retry_after)


def _sorted_error(status: int, error: Json, retry_after: str | None) -> SendError:
    code = error_code(error)
    if code in THROTTLE_CODES or status == 429:
        return SendThrottledError(str(code), _seconds(retry_after) or THROTTLE_CODES.get(code or 0))
    if code in WINDOW_CLOSED_CODES:
        return _refused(error, window_closed=True)
    if code in PAYMENT_CODES:
        return _refused(error, channel_down=True, payment_problem=True)
    if code in TOKEN_CODES or code in ACCOUNT_CODES or status == 401:
        return _refused(error, channel_down=True)
    # Meta says so itself: nothing was sent, try again.
    if code in TRANSIENT_CODES or error.get("is_transient") is True or status >= 500:
        return SendNotConnectedError(f"the provider is unwell ({code})")
    return _refused(error)


def _refused(
    error: Json, *, window_closed: bool = False, channel_down: bool = False, payment_problem: bool = False
) -> SendRefusedError:
    words = _LONG_NUMBER.sub("…", as_text(error.get("message")))[:200]
    return SendRefusedError(
        str(error_code(error)),
        words,
        window_closed=window_closed,
        channel_down=channel_down,
        payment_problem=payment_problem,
    )


def _error_without_words(status: int, retry_after: str | None) -> SendError:
    """Return what a status alone says: of a proxy's page nobody knows whether the message had gone through."""
    if status == 429:
        return SendThrottledError("http_429", _seconds(retry_after))
    if status >= 500 or status == 408:
        return SendOutcomeUnknownError(f"status {status} without a readable answer")
    return SendRefusedError(f"http_{status}", "no readable answer", channel_down=True)


def _seconds(retry_after: str | None) -> float | None:
    """Return a Retry-After in seconds; a date, which Meta does not send, is left to the caller's back-off."""
    text = (retry_after or "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) <= 6 else None


def _object(body: bytes) -> Json:
    try:
        return as_object(orjson.loads(body))
    except orjson.JSONDecodeError:
        return {}
