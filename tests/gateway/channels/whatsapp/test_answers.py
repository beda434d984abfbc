"""What Meta answers decides what is done next; each class of its errors once, with a status that fits."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.channels.whatsapp.answers import read_answer
from gateway.errors import (
    SendError,
    SendNotConnectedError,
    SendOutcomeUnknownError,
    SendRefusedError,
    SendThrottledError,
)


def failure(code: int, *, status: int = 400, retry_after: str | None = None, **error: object) -> SendError:
    body = orjson.dumps({"error": {"message": f"(#{code}) No.", "code": code, **error}})
    with pytest.raises(SendError) as caught:
        read_answer(status, body, retry_after=retry_after)
    return caught.value


def test_an_accepted_message_has_metas_id() -> None:
    body = orjson.dumps({"contacts": [{"input": "+49", "wa_id": "49"}], "messages": [{"id": "wamid.1"}]})
    assert read_answer(200, body).provider_id == "wamid.1"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"messages": []}', b'{"messages": [{"id": ""}]}'])
def test_an_acceptance_that_cannot_be_read_may_have_been_one(body: bytes) -> None:
    with pytest.raises(SendOutcomeUnknownError):
        read_answer(200, body)


@pytest.mark.parametrize(
    ("code", "status", "retry_after", "expected"),
    [
        (4, 400, None, None),
        (80007, 400, None, None),
        (130429, 429, "3", 3.0),
        (130429, 400, "soon", None),
        (131056, 400, None, 6.0),
        (131048, 400, None, 3600.0),
        (131064, 400, None, 3600.0),
        (999, 429, None, None),
    ],
)
def test_throttled_sends_are_tried_again_later(
    code: int, status: int, retry_after: str | None, expected: float | None
) -> None:
    error = failure(code, status=status, retry_after=retry_after)
    assert isinstance(error, SendThrottledError)
    assert (error.code, error.retry_after_s) == (str(code), expected)


@pytest.mark.parametrize(
    ("code", "status"), [(1, 400), (2, 500), (131000, 500), (131016, 503), (131053, 400), (777, 502)]
)
def test_what_meta_could_not_take_is_tried_again(code: int, status: int) -> None:
    assert isinstance(failure(code, status=status), SendNotConnectedError)


def test_meta_says_itself_that_an_error_is_transient() -> None:
    assert isinstance(failure(777, is_transient=True), SendNotConnectedError)
    assert isinstance(failure(777, is_transient=False), SendRefusedError)


@pytest.mark.parametrize("code", [131047, 470])
def test_a_closed_window_is_final_and_named(code: int) -> None:
    error = failure(code)
    assert isinstance(error, SendRefusedError)
    assert (error.window_closed, error.channel_down) == (True, False)


@pytest.mark.parametrize("code", [0, 3, 10, 190, 200, 299, 131005, 368, 131031, 131045, 131057, 130497])
def test_a_bad_token_or_account_stops_the_whole_line(code: int) -> None:
    error = failure(code, status=401 if code == 190 else 403)
    assert isinstance(error, SendRefusedError)
    assert (error.channel_down, error.payment_problem, error.code) == (True, False, str(code))


@pytest.mark.parametrize("code", [131042, 131044])
def test_an_account_that_cannot_pay_is_named(code: int) -> None:
    error = failure(code)
    assert isinstance(error, SendRefusedError)
    assert (error.payment_problem, error.channel_down) == (True, True)


@pytest.mark.parametrize("code", [100, 131008, 131009, 131021, 131026, 131030, 131049, 131050, 130472, 131062, 132000])
def test_what_concerns_one_message_is_final_for_it_alone(code: int) -> None:
    error = failure(code)
    assert isinstance(error, SendRefusedError)
    assert (error.window_closed, error.channel_down, error.payment_problem) == (False, False, False)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (500, SendOutcomeUnknownError),
        (502, SendOutcomeUnknownError),
        (504, SendOutcomeUnknownError),
        (408, SendOutcomeUnknownError),
        (429, SendThrottledError),
        (302, SendRefusedError),
        (404, SendRefusedError),
    ],
)
def test_a_page_of_something_in_between_is_judged_by_its_status(status: int, kind: type[SendError]) -> None:
    with pytest.raises(kind):
        read_answer(status, b"<html>Bad gateway</html>")


def test_an_error_says_no_phone_number() -> None:
    error = failure(131030, message="(#131030) Recipient 491700000101 not in allowed list")
    assert str(error) == "refused (131030): (#131030) Recipient … not in allowed list"


@given(st.integers(200, 599), st.binary() | st.just(b'{"error": {"code": "x", "message": 5}}'))
def test_any_answer_is_an_acknowledgement_or_a_send_error(status: int, body: bytes) -> None:
    try:
        read_answer(status, body)
    except SendError:
        return
