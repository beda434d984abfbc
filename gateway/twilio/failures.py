"""What Twilio's codes mean for a message of ours (pure): try again, closed, opted out, or refused for good.

The codes: https://www.twilio.com/docs/api/errors
"""

import re

from gateway.errors import (
    SendError,
    SendNotConnectedError,
    SendOutcomeUnknownError,
    SendRefusedError,
    SendThrottledError,
)
from gateway.twilio.rest import Failure, NotConnected, OutcomeUnknown, Refused, Throttled

# Nothing was taken, and later it will be: a full queue (21611, 30001) empties, a channel's limit (63018) passes.
THROTTLE_CODES = frozenset({14107, 20429, 21611, 30001, 63018})
WINDOW_CLOSED_CODES = frozenset({63016})
OPTED_OUT_CODES = frozenset({21610})
# No message leaves this account or this number before somebody has mended it.
CHANNEL_DOWN_CODES = frozenset(
    {
        20003,  # the token is wrong
        20005,  # the account is not active
        20008,  # test credentials
        20404,  # no such account
        21603,
        21606,  # not our number, or it sends no texts
        21659,
        30002,  # the account is suspended
        30032,  # the toll-free number is not verified
        30034,  # the number is not registered with the networks
        63007,  # not a sender of ours
        63020,  # the WhatsApp account has not accepted Twilio's invitation
        63112,  # disabled by Meta
        63113,
        63114,
    }
)
ACCOUNT_STATUSES = frozenset({401, 403})

_LONG_NUMBER = re.compile(r"\d{7,}")  # longer than any code: somebody's number
_WORDS_MAX = 200


def send_error(failure: Failure) -> SendError:
    """Return the error for a text that was not acknowledged."""
    match failure:
        case NotConnected(reason):
            return SendNotConnectedError(reason)
        case OutcomeUnknown(reason):
            return SendOutcomeUnknownError(reason)
        case Throttled(code, retry_after_s):
            return SendThrottledError(str(code or "http_429"), retry_after_s)
        case Refused(code, status, message):
            if code is None:
                return SendRefusedError(f"http_{status}", _safe(message), channel_down=True)
            return code_error(code, message, account_problem=status in ACCOUNT_STATUSES)


def code_error(code: int, message: str = "", *, account_problem: bool = False) -> SendThrottledError | SendRefusedError:
    """Return what a code alone says: of an answer to a text, or of a message that failed later."""
    if code in THROTTLE_CODES:
        return SendThrottledError(str(code))
    return SendRefusedError(
        str(code),
        _safe(message),
        window_closed=code in WINDOW_CLOSED_CODES,
        opted_out=code in OPTED_OUT_CODES,
        channel_down=account_problem or code in CHANNEL_DOWN_CODES,
    )


def _safe(message: str) -> str:
    """Return a provider's words without anybody's number."""
    return _LONG_NUMBER.sub("…", message)[:_WORDS_MAX]
