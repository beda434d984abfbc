"""What a batch of operations does to the books, without a database: what one operation leaves for the next."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from metering.balance import decide
from metering.books import Books, WalletRow
from metering.chain import GENESIS
from metering.operations import (
    Applied,
    BudgetLimit,
    Ended,
    ExpireExcess,
    ExpireGrant,
    ExpireHold,
    Held,
    Hold,
    MustWait,
    Operation,
    Outcome,
    Refused,
    Release,
)
from tests.metering.operations import DAY, NOW, capture, charge, grant, grant_id_of, hold, receipt, refund


def empty_books(now: datetime = NOW) -> Books:
    wallet = WalletRow(balance=0, held=0, sequence=0, chain_hash=GENESIS, paused=False)
    return Books(tenant_id=UUID(int=7), now=now, wallet=wallet)


def decided(books: Books, *operations: Operation) -> list[Outcome]:
    return [decide(books, operation) for operation in operations]


def reason_of(outcome: Outcome) -> str:
    assert isinstance(outcome, Refused), outcome
    return outcome.reason


def left(books: Books) -> dict[int, int]:
    return {int(row.reference.removeprefix("invoice ")): row.remaining for row in books.grants.values()}


def test_a_whole_life_fits_into_one_batch() -> None:
    books = empty_books()
    outcomes = decided(
        books,
        grant(1_000),
        hold("turn:1:1", 300),
        capture("turn:1", "turn:1:1", 120),
        refund("refund:turn:1:a", "turn:1", 50),
        refund("refund:turn:1:b", "turn:1", 71),
        refund("refund:turn:1:c", "turn:1", 70),
    )
    assert [type(outcome) for outcome in outcomes] == [Applied, Held, Applied, Applied, Refused, Applied]
    assert reason_of(outcomes[4]) == "refund_exceeds_charge"
    assert (books.wallet.balance, books.wallet.held, left(books)) == (1_000, 0, {1: 1_000})


def test_a_key_repeated_in_its_own_batch_acts_once() -> None:
    books = empty_books()
    outcomes = decided(
        books, grant(1_000), grant(1_000), hold("turn:1:1", 300), hold("turn:1:1", 300), charge("sms:1", 5)
    )
    again, other = decided(books, charge("sms:1", 5), charge("sms:1", 6))
    assert [getattr(outcome, "replayed", None) for outcome in (*outcomes, again)] == [
        *(False, True, False, True, False, True)
    ]
    assert reason_of(other) == "key_reused"
    assert (books.wallet.balance, books.wallet.held, books.wallet.sequence) == (995, 300, 2)


def test_a_hold_asked_for_again_otherwise_is_refused() -> None:
    books = empty_books()
    limit = BudgetLimit(scope="channel:sms", limit_millicredits=5_000)
    decided(books, grant(1_000), hold("turn:1:1", 300))
    for other in (hold("turn:1:1", 299), hold("turn:1:1", 400), hold("turn:1:1", 300, budgets=[limit])):
        assert reason_of(decide(books, other)) == "key_reused"
    decide(books, Release(hold_key="turn:1:1"))
    assert reason_of(decide(books, hold("turn:1:1", 300))) == "hold_ended"


def test_a_hold_is_captured_by_one_key_only() -> None:
    books = empty_books()
    decided(books, grant(1_000), hold("turn:1:1", 300), capture("turn:1", "turn:1:1", 300))
    assert reason_of(decide(books, capture("turn:2", "turn:1:1", 100))) == "hold_ended"


@pytest.mark.parametrize(
    ("held", "asked", "expected"),
    [
        (0, hold("turn:1:1", 1_000), 1_000),
        (1, hold("turn:1:1", 1_000), None),
        (500, hold("turn:1:1", 600, 100), None),  # fits the balance: waits rather than shrinks
        (500, hold("turn:1:1", 600, 100, may_shrink=True), 500),
        (500, hold("turn:1:1", 601, 105, may_shrink=True), 495),  # whole steps above the floor
        (0, hold("turn:1:1", 1_001, 100), 1_000),  # exceeds the balance: shrinks at once
        (900, hold("turn:1:1", 1_001, 100), 100),
        (901, hold("turn:1:1", 1_001, 100, may_shrink=True), None),  # the floor fits the balance: never refused
    ],
)
def test_a_hold_on_a_thousand_is_given_in_full_or_shrunk_or_waits(held: int, asked: Hold, expected: int | None) -> None:
    books = empty_books()
    decided(books, grant(1_000), *([hold("other", held)] if held else []))
    key = asked.key
    assert decide(books, asked) == (
        MustWait(key=key) if expected is None else Held(key=key, amount_millicredits=expected)
    )
    assert not books.wallet.paused


def test_a_paused_wallet_resumes_by_a_grant_or_a_refund_and_once() -> None:
    books = empty_books()
    decided(books, grant(100), charge("sms:1", 60))
    assert reason_of(decide(books, hold("turn:1:1", 41))) == "insufficient_credits"
    assert reason_of(decide(books, hold("turn:2:1", 1))) == "tenant_paused"
    refunded, granted = decided(books, refund("refund:sms:1:a", "sms:1", 1), grant(100, "invoice 2"))
    assert [outcome.resumed for outcome in (refunded, granted) if isinstance(outcome, Applied)] == [True, False]
    assert isinstance(decide(books, hold("turn:3:1", 41)), Held)


def test_a_refund_of_nothing_writes_nothing_and_resumes_nobody() -> None:
    books = empty_books()
    decided(books, grant(100), charge("message:1", 0), hold("turn:1:1", 101))
    assert isinstance(decide(books, refund("refund:message:1:a", "message:1", 0)), Ended)
    assert books.wallet.paused
    assert books.wallet.sequence == 2


def test_a_hold_that_expired_is_counted_once_when_it_is_charged_afresh() -> None:
    limit = BudgetLimit(scope="contact:1:sms", limit_millicredits=500)
    books = empty_books()
    decided(books, grant(10_000), hold("turn:1:1", 300, budgets=[limit]))
    books.now += timedelta(seconds=30)
    decided(books, ExpireHold(hold_key="turn:1:1"), capture("turn:1", "turn:1:1", 200))
    budget = books.budgets[DAY, "contact:1:sms"]
    assert (budget.held, budget.charged) == (0, 200)
    assert reason_of(decide(books, hold("turn:2:1", 301, budgets=[limit]))) == "over_budget"
    assert isinstance(decide(books, hold("turn:3:1", 300, budgets=[limit])), Held)


def test_the_tightest_of_several_limits_decides_and_is_named() -> None:
    limits = [BudgetLimit(scope=scope, limit_millicredits=most) for scope, most in (("wide", 900), ("tight", 200))]
    books = empty_books()
    decide(books, grant(10_000))
    assert decide(books, hold("a", 800, 100, budgets=limits)) == Held(key="a", amount_millicredits=200)
    refused = decide(books, hold("b", 800, 100, budgets=limits))
    assert isinstance(refused, Refused)
    assert refused.scope == "tight"


def test_what_exceeds_the_hold_is_absorbed_in_receipt_usage_and_refunds_alike() -> None:
    books = empty_books()
    captured, refused, refunded = decided(
        books,
        *(grant(1_000), hold("turn:1:1", 100), capture("turn:1", "turn:1:1", 130)),
        *(refund("refund:turn:1:a", "turn:1", 130), refund("refund:turn:1:b", "turn:1", 100)),
    )[2:]
    assert isinstance(captured, Applied)
    assert (captured.amount_millicredits, captured.absorbed_millicredits) == (-100, 30)
    assert reason_of(refused) == "refund_exceeds_charge"
    assert isinstance(refunded, Applied)
    assert books.usage[DAY, "sms", "absorbed"] == [-30, -30]
    assert sum(amount for _, amount in books.usage.values()) == 0


def test_a_charge_takes_from_many_grants_in_order_and_parts_return_in_reverse() -> None:
    books = empty_books()
    later, soon = (NOW + timedelta(days=days) for days in (20, 10))
    decide(books, grant(10, "invoice 1"))
    books.now += timedelta(seconds=1)
    decided(
        books,
        grant(10, "invoice 2", expires_at=later),
        grant(10, "invoice 3", expires_at=soon),
        grant(10, "invoice 4"),
        charge("turn:1", 35),
    )
    assert left(books) == {3: 0, 2: 0, 1: 0, 4: 5}
    after = ({3: 0, 2: 0, 1: 2, 4: 10}, {3: 0, 2: 0, 1: 9, 4: 10}, {3: 0, 2: 6, 1: 10, 4: 10})
    for part, expected in enumerate(after):
        decide(books, refund(f"refund:turn:1:{part}", "turn:1", 7))
        assert left(books) == expected
    decide(books, refund("refund:turn:1:rest", "turn:1", 14))
    assert left(books) == {3: 10, 2: 10, 1: 10, 4: 10}


def test_what_returns_to_expired_grants_gets_one_new_home_for_thirty_days() -> None:
    soon, sooner = NOW + timedelta(seconds=2), NOW + timedelta(seconds=1)
    books = empty_books()
    decided(
        books,
        grant(10, "invoice 1", expires_at=soon),
        grant(10, "invoice 2", expires_at=sooner),
        grant(10, "invoice 3"),
        charge("turn:1", 25),
    )
    books.now += timedelta(seconds=2)
    decide(books, refund("refund:turn:1:a", "turn:1", 25))
    [home] = [row for row in books.grants.values() if row.kind == "refund"]
    assert (home.amount, home.remaining, home.expires_at) == (20, 20, books.now + timedelta(days=30))
    assert books.grants[grant_id_of("invoice 3")].remaining == 10


def test_one_grant_expires_in_parts_as_holds_end_and_each_part_has_a_key_of_its_own() -> None:
    books = empty_books()
    decided(books, grant(100, expires_at=NOW + timedelta(seconds=1)), hold("a", 60), hold("b", 30))
    books.now += timedelta(seconds=1)
    expire = ExpireGrant(grant_id=grant_id_of("invoice 1"))
    outcomes = decided(books, expire, expire, Release(hold_key="a"), expire, capture("turn:1", "b", 30), expire, expire)
    keys = [outcome.key for outcome in outcomes if isinstance(outcome, Applied)]
    assert len(set(keys)) == 3
    assert (books.wallet.balance, left(books)) == (0, {1: 0})


def beginning(day: str, amount: int, *, keep: int) -> tuple[Operation, Operation]:
    """What a cycle begins with: the excess of earlier packages goes, and the new package comes."""
    reference = f"plan:2026-{day}"
    excess = ExpireExcess(key=f"rollover:2026-{day}", before_reference=reference, keep_millicredits=keep)
    return excess, grant(amount, reference, kind="plan")


def test_earlier_packages_keep_what_rolls_over_the_oldest_goes_first_and_a_repetition_takes_nothing() -> None:
    books = empty_books()
    decided(books, *beginning("09-30", 100, keep=120), charge("turn:1", 15), *beginning("10-31", 100, keep=120))
    third = beginning("11-30", 100, keep=120)
    outcomes = decided(books, *third, *third)
    assert [outcome.amount_millicredits for outcome in outcomes if isinstance(outcome, Applied)] == [-65, 100] * 2
    assert [row.remaining for row in books.grants.values()] == [20, 100, 100]
    assert books.wallet.balance == 220


def test_what_was_bought_beside_the_packages_and_what_holds_need_does_not_go() -> None:
    books = empty_books()
    decided(books, *beginning("09-30", 100, keep=0), grant(40, "invoice 1"), hold("a", 130))
    [outcome, _] = decided(books, *beginning("10-31", 100, keep=0))
    assert isinstance(outcome, Applied)
    assert outcome.amount_millicredits == -10
    assert [row.remaining for row in books.grants.values()] == [90, 40, 100]


def test_where_all_rolls_over_nothing_is_written() -> None:
    books = empty_books()
    decided(books, *beginning("09-30", 100, keep=100))
    [outcome, _] = decided(books, *beginning("10-31", 100, keep=100))
    assert isinstance(outcome, Ended)


def test_a_renewed_hold_is_not_expired() -> None:
    books = empty_books()
    decided(books, grant(100), hold("a", 60))
    books.holds["a"].expires_at += timedelta(seconds=1)
    books.now += timedelta(seconds=30)
    decide(books, ExpireHold(hold_key="a"))
    assert books.wallet.held == 60
    books.now += timedelta(seconds=1)
    decide(books, ExpireHold(hold_key="a"))
    assert books.wallet.held == 0


def test_nothing_that_would_move_credits_the_wrong_way_can_be_asked() -> None:
    for make in (
        lambda: grant(0),
        lambda: grant(-1),
        lambda: hold("a", -1),
        lambda: hold("a", 10, 20),
        lambda: receipt(-1),
        lambda: refund("r", "c", -1),
        lambda: ExpireExcess(key="k", before_reference="r", keep_millicredits=-1),
    ):
        with pytest.raises(ValueError, match="millicredits"):
            make()
