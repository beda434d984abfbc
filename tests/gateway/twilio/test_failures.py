"""What Twilio's codes mean for a message of ours."""

import pytest

from gateway.errors import SendNotConnectedError, SendOutcomeUnknownError, SendRefusedError, SendThrottledError
from gateway.twilio.failures import code_error, send_error
from gateway.twilio.rest import NotConnected, OutcomeUnknown, Refused, Throttled


def refused(code: int | None, status: int = 400, message: str = "No.") -> SendRefusedError:
    error = send_error(Refused(code, status, message))
    assert isinstance(error, SendRefusedError)
    return error


def test_a_failure_without_a_code_is_what_it_says() -> None:
    assert isinstance(send_error(NotConnected("x")), SendNotConnectedError)
    assert isinstance(send_error(OutcomeUnknown("x")), SendOutcomeUnknownError)
    throttled = send_error(Throttled(20429, 7.0))
    assert isinstance(throttled, SendThrottledError)
    assert (throttled.code, throttled.retry_after_s) == ("20429", 7.0)
    unnamed = send_error(Throttled(None, None))
    assert isinstance(unnamed, SendThrottledError)
    assert unnamed.code == "http_429"


@pytest.mark.parametrize("code", [14107, 20429, 21611, 30001, 63018])
def test_what_passes_by_itself_is_tried_again(code: int) -> None:
    assert isinstance(send_error(Refused(code, 400, "")), SendThrottledError)
    assert isinstance(code_error(code), SendThrottledError)


@pytest.mark.parametrize(
    "code",
    [
        *(21211, 21614, 21608, 21617, 30003, 30004, 30005, 30006, 30007, 30008, 30009, 30019, 30044),
        *(63015, 63019, 63021, 63024, 63032, 63033, 99999),
    ],
)
def test_all_else_is_final_and_nobody_elses_fault(code: int) -> None:
    error = refused(code)
    assert (error.code, error.channel_down, error.opted_out, error.window_closed) == (str(code), False, False, False)


def test_an_opt_out_and_a_closed_window_are_named() -> None:
    assert refused(21610).opted_out
    assert refused(63016).window_closed


@pytest.mark.parametrize(("code", "status"), [(20003, 401), (20005, 403), (99999, 403), (21659, 400), (None, 404)])
def test_an_account_or_a_number_that_cannot_send_is_down(code: int | None, status: int) -> None:
    assert refused(code, status).channel_down


def test_no_number_is_repeated() -> None:
    assert "1700000101" not in str(refused(21211, message="The 'To' number +491700000101 is not valid."))
    assert len(str(refused(21211, message="x" * 9_999))) < 300
