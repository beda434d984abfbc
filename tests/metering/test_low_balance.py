"""The mark is what was there after the last grant; each fall to a fifth, a tenth or nothing of it is told."""

from dataclasses import replace

import pytest

from metering.low_balance import level_reached
from metering.operations import Applied, Charge, ExpireGrant, LowBalance, Operation, Refused
from tests.metering.operations import NOW, charge, grant, grant_id_of, hold, receipt, refund
from tests.metering.test_balance import decided, empty_books


@pytest.mark.parametrize(
    ("before", "after", "full", "level"),
    [
        (1_000, 201, 1_000, None),
        (1_000, 200, 1_000, 20),
        (201, 200, 1_000, 20),
        (200, 199, 1_000, None),
        (200, 101, 1_000, None),
        (101, 100, 1_000, 10),
        (1_000, 100, 1_000, 10),
        (1_000, 1, 1_000, 10),
        (100, 1, 1_000, None),
        (1, 0, 1_000, 0),
        (1_000, 0, 1_000, 0),
        (3, 1, 4, None),
        (4, 0, 4, 0),
        (7, 0, 0, 0),
        (100, 500, 1_000, None),
        (0, 0, 0, None),
    ],
)
def test_a_level_is_reached_by_falling_from_above_it(before: int, after: int, full: int, level: int | None) -> None:
    assert level_reached(before=before, after=after, full=full) == level


def rent(key: str, amount: int) -> Charge:
    return Charge(key=key, receipt=replace(receipt(amount), subject="rental"))


def levels(*operations: Operation) -> list[int | None]:
    outcomes = decided(empty_books(), *operations)
    told = [outcome.low if isinstance(outcome, Applied | Refused) else None for outcome in outcomes]
    return [None if low is None else low.percent for low in told]


def test_each_level_is_told_as_charges_run_a_grant_down() -> None:
    charges = [charge(f"sms:{number}", 100) for number in range(10)]
    assert levels(grant(1_000), *charges) == [None, *[None] * 7, 20, 10, 0]


def test_a_second_grant_is_measured_by_all_there_is_after_it() -> None:
    assert levels(grant(1_000), charge("sms:1", 700), grant(700, "second"), charge("sms:2", 801)) == [
        None,
        None,
        None,
        20,
    ]


def test_what_is_told_names_the_mark_by_its_grant() -> None:
    books = empty_books()
    *_, fallen = decided(books, grant(500), grant(500, "second"), charge("sms:1", 850))
    assert isinstance(fallen, Applied)
    assert fallen.low == LowBalance(percent=20, balance_millicredits=150, full_millicredits=1_000, full_sequence=2)


def test_a_repeated_charge_tells_nothing_again() -> None:
    charged = charge("sms:1", 900)
    assert levels(grant(1_000), charged, charged) == [None, 10, None]


def test_a_refund_moves_no_mark() -> None:
    assert levels(grant(1_000), charge("sms:1", 900), refund("r", "sms:1", 500), charge("sms:2", 450)) == [
        None,
        10,
        None,
        20,
    ]


def test_credits_that_expire_are_told_like_those_that_were_used() -> None:
    assert levels(grant(900, expires_at=NOW), grant(100, "second"), ExpireGrant(grant_id=grant_id_of("invoice 1"))) == [
        None,
        None,
        10,
    ]


def test_rent_paid_at_once_is_part_of_what_was_bought() -> None:
    assert levels(grant(1_000), rent("rent:1", 600), rent("rent:2", 300), charge("sms:1", 70), charge("sms:2", 20)) == [
        None,
        None,
        None,
        None,
        10,
    ]


def test_rent_paid_later_is_told_like_any_charge() -> None:
    assert levels(grant(1_000), charge("sms:1", 100), rent("rent:1", 800)) == [None, None, 10]


def test_the_refusal_that_pauses_says_that_nothing_more_can_be_paid() -> None:
    asked = hold("turn:1:1", 150)
    assert levels(grant(1_000), charge("sms:1", 860), asked, hold("turn:2:1", 150)) == [None, 20, 0, None]
