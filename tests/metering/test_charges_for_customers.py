"""What is done for a customer stops with the wallet: it pauses a tenant that cannot pay, and waits for nobody."""

from dataclasses import replace
from uuid import UUID

from metering.balance import decide
from metering.books import Books, WalletRow
from metering.chain import GENESIS
from metering.operations import Applied, Charge, Refused
from tests.metering.operations import NOW, charge, grant, hold


def books_with(amount: int) -> Books:
    wallet = WalletRow(balance=0, held=0, sequence=0, chain_hash=GENESIS, paused=False)
    books = Books(tenant_id=UUID(int=7), now=NOW, wallet=wallet)
    decide(books, grant(amount))
    return books


def received(key: str, amount: int) -> Charge:
    return replace(charge(key, amount), for_customer=True)


def test_what_exceeds_the_balance_pauses_the_tenant_once() -> None:
    books = books_with(300)
    assert isinstance(decide(books, received("sms:1", 200)), Applied)
    refused = Refused(
        key="sms:2", reason="insufficient_credits", needed_millicredits=200, balance_millicredits=100, paused_now=True
    )
    assert decide(books, received("sms:2", 200)) == refused
    paused = Refused(key="sms:3", reason="tenant_paused", needed_millicredits=100, balance_millicredits=100)
    assert decide(books, received("sms:3", 100)) == paused


def test_what_only_holds_in_flight_keep_pauses_nobody() -> None:
    books = books_with(300)
    decide(books, hold("turn:1:1", 200))
    outcome = decide(books, received("sms:1", 200))
    assert isinstance(outcome, Refused)
    assert (outcome.reason, outcome.paused_now, books.wallet.paused) == ("credits_in_flight", False, False)


def test_what_is_not_for_a_customer_pauses_nobody_and_is_paid_while_paused() -> None:
    books = books_with(300)
    assert isinstance(decide(books, charge("rental:1", 301)), Refused)
    assert not books.wallet.paused
    decide(books, received("sms:1", 301))
    assert isinstance(decide(books, charge("rental:2", 300)), Applied)


def test_a_charge_paid_before_the_pause_is_not_refused_when_it_is_repeated() -> None:
    books = books_with(300)
    decide(books, received("sms:1", 200))
    decide(books, received("sms:2", 200))
    repeated = decide(books, received("sms:1", 200))
    assert isinstance(repeated, Applied)
    assert repeated.replayed
