"""Which of the messages at Twilio a send whose answer was lost has become."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import UUID

from gateway.twilio.messages import Text, chosen

SINCE = datetime(2026, 11, 25, 10, 0, 30, 900_000, tzinfo=UTC)
TEXT = Text(message_id=UUID(int=7), sender="+4915735990000", to="+491700000101", body="Gern!")


def message(seconds: float, *, body: str = "Gern!", direction: str = "outbound-api") -> dict[str, object]:
    """A message as Twilio lists it, so many seconds after the send began."""
    at = (SINCE + timedelta(seconds=seconds)).replace(microsecond=0)
    return {"sid": f"SM{seconds}", "body": body, "direction": direction, "date_created": format_datetime(at)}


def sid(*listed: dict[str, object]) -> object:
    found = chosen(list(listed), TEXT, since=SINCE)
    return None if found is None else found["sid"]


def test_the_first_with_the_same_words_since_then_is_chosen_newest_first_in_the_list() -> None:
    assert sid(message(9), message(5), message(0)) == "SM0"
    assert sid(message(9), message(5, body="Ja!"), message(-60)) == "SM9"


def test_clocks_may_be_a_little_apart_and_then_the_nearest_is_chosen() -> None:
    assert sid(message(-2), message(-4)) == "SM-2"
    assert sid(message(0), message(-2)) == "SM0"
    assert sid(message(-7)) is None


def test_what_came_in_or_says_something_else_is_not_it() -> None:
    assert sid(message(1, direction="inbound"), message(1, body="gern!")) is None
    assert sid() is None


def test_a_trial_accounts_words_before_a_text_are_not_part_of_it() -> None:
    assert sid(message(1, body="Sent from your Twilio trial account - Gern!")) == "SM1"


def test_what_has_no_readable_date_is_not_chosen() -> None:
    for date in (None, "soon", "Thu, 99 Aug 2023 05:01:45 +0000"):
        assert sid({**message(1), "date_created": date}) is None
