"""Who calls, as Twilio says it."""

import pytest

from gateway.voice.arrival.ringing import read_ringing

FIELDS = {"CallSid": "CA1", "To": "+4915100000001", "From": "+491700000101"}


def test_a_call_has_a_name_a_number_of_ours_and_a_caller() -> None:
    ringing = read_ringing(FIELDS)
    assert ringing is not None
    assert (ringing.call_sid, ringing.our_number, ringing.caller) == ("CA1", "+4915100000001", "+491700000101")
    assert "491700000101" not in repr(ringing)


@pytest.mark.parametrize(
    "caller", ["", "anonymous", "Restricted", "+266696687", "+7378742833", "client:anna", "sip:a@b.example", "0170"]
)
def test_a_number_that_is_withheld_or_none_is_nobodys(caller: str) -> None:
    ringing = read_ringing({**FIELDS, "From": caller})
    assert ringing is not None
    assert ringing.caller is None


@pytest.mark.parametrize("changes", [{"CallSid": ""}, {"To": ""}, {"To": "sip:us@example.com"}])
def test_what_names_no_call_or_no_number_of_ours_is_no_call(changes: dict[str, str]) -> None:
    assert read_ringing({**FIELDS, **changes}) is None
