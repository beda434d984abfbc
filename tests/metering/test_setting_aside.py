"""Holds that are opened together, and holds that grow."""

from dataclasses import replace

import pytest

from metering.operations import (
    BudgetLimit,
    Ended,
    ExpireHold,
    FixedHold,
    Held,
    Hold,
    MustWait,
    Refused,
    Release,
)
from tests.metering.operations import NOW, capture, grant, hold
from tests.metering.test_balance import decided, empty_books, reason_of

FEE = FixedHold(key="call:1:fee", millicredits=95)


def call(most: int, least: int, *, budgets: tuple[BudgetLimit, ...] = ()) -> Hold:
    asked = hold("call:1:audio", most, least, may_shrink=True, budgets=budgets)
    return replace(asked, beside=(FEE,))


def test_two_holds_stand_together_and_the_one_that_shrinks_takes_what_the_fixed_one_leaves() -> None:
    books = empty_books()
    [_, held] = decided(books, grant(300), call(885, 150))
    assert held == Held(key="call:1:audio", amount_millicredits=200)
    assert {key: row.amount for key, row in books.holds.items()} == {"call:1:fee": 95, "call:1:audio": 200}
    assert books.wallet.held == 295


def test_neither_hold_is_opened_where_both_do_not_fit() -> None:
    books = empty_books()
    [_, _, waits] = decided(books, grant(300), hold("turn:1:1", 60), call(885, 150))
    assert waits == MustWait(key="call:1:audio")
    assert books.wallet.held == 60
    [held] = decided(books, replace(call(885, 140), key="call:2:audio", beside=(replace(FEE, key="call:2:fee"),)))
    assert held == Held(key="call:2:audio", amount_millicredits=140)


def test_what_the_balance_cannot_pay_together_pauses_even_if_it_could_pay_each() -> None:
    books = empty_books()
    [_, refused] = decided(books, grant(240), call(885, 150))
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.needed_millicredits, refused.paused_now) == ("insufficient_credits", 245, True)
    assert books.wallet.held == 0


def test_a_daily_limit_counts_both_holds() -> None:
    books = empty_books()
    limit = BudgetLimit(scope="channel:voice", limit_millicredits=250)
    [_, held] = decided(books, grant(10_000), call(885, 150, budgets=(limit,)))
    assert held == Held(key="call:1:audio", amount_millicredits=150)
    [refused] = decided(books, replace(call(10, 10, budgets=(limit,)), key="call:2:audio", beside=()))
    assert reason_of(refused) == "over_budget"


def test_holds_together_are_answered_again_alike_until_one_of_them_has_ended() -> None:
    books = empty_books()
    [_, first, again] = decided(books, grant(1_000), call(885, 150), call(885, 150))
    assert first == Held(key="call:1:audio", amount_millicredits=885)
    assert again == Held(key="call:1:audio", amount_millicredits=885, replayed=True)
    [other] = decided(books, replace(call(885, 150), beside=(replace(FEE, millicredits=96),)))
    assert reason_of(other) == "key_reused"
    [_, ended] = decided(books, capture("call:1:minute:1", FEE.key, 95), call(885, 150))
    assert reason_of(ended) == "hold_ended"


def test_a_hold_is_not_opened_beside_one_that_there_is() -> None:
    books = empty_books()
    [_, _, refused] = decided(books, grant(1_000), hold(FEE.key, 95), call(885, 150))
    assert reason_of(refused) == "key_reused"
    assert books.wallet.held == 95


def test_a_hold_grows_by_whole_steps_once_there_is_more() -> None:
    books = empty_books()
    asked = replace(hold("call:1:audio", 885, 100, may_shrink=True), grows=True)
    [_, held, same, _, more, _, all_of_it, at_most] = decided(
        books, grant(105), asked, asked, grant(27, "invoice 2"), asked, grant(5_000, "invoice 3"), asked, asked
    )
    assert held == Held(key="call:1:audio", amount_millicredits=100)
    assert same == Held(key="call:1:audio", amount_millicredits=100, replayed=True)
    assert more == Held(key="call:1:audio", amount_millicredits=130)
    assert all_of_it == Held(key="call:1:audio", amount_millicredits=885)
    assert at_most == replace(all_of_it, replayed=True)
    assert books.wallet.held == 885


def test_a_hold_grows_within_its_daily_limits_only() -> None:
    books = empty_books()
    small, large = (BudgetLimit(scope="channel:voice", limit_millicredits=each) for each in (200, 240))
    asked = hold("call:1:audio", 885, 100, may_shrink=True, budgets=(small,))
    [_, held, grown] = decided(books, grant(5_000), asked, replace(asked, budgets=(large,), grows=True))
    assert held == Held(key="call:1:audio", amount_millicredits=200)
    assert grown == Held(key="call:1:audio", amount_millicredits=240)
    assert [row.held for row in books.budgets.values()] == [240]


def test_nothing_grows_in_a_paused_wallet_nor_after_its_end_and_nothing_pauses_for_it() -> None:
    books = empty_books()
    asked = replace(hold("call:1:audio", 885, 100, may_shrink=True), grows=True)
    [_, _, refused, same] = decided(books, grant(150), asked, hold("turn:1:1", 500), asked)
    assert reason_of(refused) == "insufficient_credits"
    assert same == Held(key="call:1:audio", amount_millicredits=150, replayed=True)
    [_, _, ended] = decided(books, grant(5_000, "invoice 2"), Release(hold_key="call:1:audio"), asked)
    assert reason_of(ended) == "hold_ended"


def test_holds_together_end_each_for_itself() -> None:
    books = empty_books()
    decided(books, grant(1_000), call(885, 150))
    books.now = NOW.replace(hour=11)
    [expired] = decided(books, ExpireHold(hold_key=FEE.key))
    assert expired == Ended(key=FEE.key)
    assert books.wallet.held == 885


def test_a_fixed_hold_of_less_than_nothing_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="-1"):
        FixedHold(key="call:1:fee", millicredits=-1)
