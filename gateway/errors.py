"""Every error of the gateway, sorted by what the caller can do.

TurnmeterError
├── SettingsError                the operator must change a variable; names it
├── BadInputError                the caller must change what it sent (commands: exit code 2)
├── ProblemError                 an HTTP answer: status, stable code, what to do (application/problem+json)
│   └── ServiceWindowClosedError 409 service_window_closed: wait for the customer's next message
├── StaleLeaseError              another worker has taken over: stop, change nothing
├── MinuteUnpaidError            a minute of a call cannot be paid: stop its audio, end it
├── SendError                    a provider did not acknowledge a message
│   ├── SendThrottledError       not taken; try again after `retry_after_s`
│   ├── SendNotConnectedError    not taken; try again
│   ├── SendOutcomeUnknownError  perhaps taken; wait for the delivery report
│   └── SendRefusedError         final; carries the provider's code
├── MediaError                   the media could not be had; the agent is told
├── DatabaseUnavailableError     the database cannot be reached, or was lost in the middle: try again later
└── DatabaseStartError           the private PostgreSQL did not start; says where its log is
"""

from datetime import datetime


class TurnmeterError(Exception):
    """Root of the tree."""


class SettingsError(TurnmeterError):
    """A setting is missing or wrong."""

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable}: {problem}")
        self.variable = variable


class BadInputError(TurnmeterError):
    """What was asked cannot be done as asked; the message says what to change."""


class ProblemError(TurnmeterError):
    """An expected refusal with its HTTP status and a stable code."""

    def __init__(self, status: int, code: str, detail: str, **extra: object) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.extra = extra


class ServiceWindowClosedError(ProblemError):
    """Free text is not allowed: the contact's last message is 24 hours old, or the provider says so."""

    def __init__(self, closed_at: datetime | None) -> None:
        super().__init__(
            409,
            "service_window_closed",
            "The 24-hour window is closed. You can write again once the customer has sent a message.",
            closed_at=closed_at.isoformat() if closed_at else None,
        )
        self.closed_at = closed_at


class StaleLeaseError(TurnmeterError):
    """The lease's epoch has moved on; whoever holds this work now decides."""


class MinuteUnpaidError(TurnmeterError):
    """A minute has begun whose hold ran out meanwhile, and the wallet cannot pay it any more."""


class SendError(TurnmeterError):
    """A provider did not acknowledge a message."""


class SendThrottledError(SendError):
    """The provider wants us to slow down."""

    def __init__(self, code: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"throttled ({code})")
        self.code = code
        self.retry_after_s = retry_after_s


class SendNotConnectedError(SendError):
    """The request never reached the provider, or the provider said that it is unwell."""


class SendOutcomeUnknownError(SendError):
    """The request was written, the answer never came."""


class SendRefusedError(SendError):
    """The provider will not take this message."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        window_closed: bool = False,
        opted_out: bool = False,
        channel_down: bool = False,
        payment_problem: bool = False,
    ) -> None:
        super().__init__(f"refused ({code}): {message}")
        self.code = code
        self.window_closed = window_closed
        self.opted_out = opted_out  # the contact has told the provider to let nothing through from this line
        self.channel_down = channel_down
        self.payment_problem = payment_problem


class MediaError(TurnmeterError):
    """Media could not be fetched; `reason` is one of too_large, expired, hash_mismatch, refused, unreachable."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class DatabaseUnavailableError(TurnmeterError, ConnectionError):
    """The database cannot be reached; what was begun is rolled back, or its end unknown."""


class DatabaseStartError(TurnmeterError):
    """The private PostgreSQL did not start."""
