import csv
import json
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.db import Database
from metering.rates import Item, Line
from metering.statements import Statement, as_csv, as_document, read_statement
from tests.metering.spending import Spending, some_id

BERLIN = ZoneInfo("Europe/Berlin")
LAST_OF_OCTOBER = datetime(2026, 10, 31, 22, 59, 59, tzinfo=UTC)  # 23:59:59 in Berlin
FIRST_OF_NOVEMBER = datetime(2026, 10, 31, 23, 0, tzinfo=UTC)  # 00:00 in Berlin
LAST_OF_NOVEMBER = datetime(2026, 11, 30, 22, 59, 59, tzinfo=UTC)
FIRST_OF_DECEMBER = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)


@pytest.fixture
async def spending(db: Database) -> Spending:
    spending = Spending(db, some_id())
    await spending.grant(1_000_000, LAST_OF_OCTOBER)
    promotion = await spending.grant(
        500_000, FIRST_OF_NOVEMBER, reference="order-17", reason="=HYPERLINK(1)", expires_at=LAST_OF_NOVEMBER
    )
    receipt_id = await spending.charge((Line(Item.CHAT_INPUT, 1_000, 40),), FIRST_OF_NOVEMBER)
    await spending.refund(receipt_id, (Line(Item.CHAT_INPUT, 250, 40),), LAST_OF_NOVEMBER - timedelta(days=1))
    await spending.expire(promotion, LAST_OF_NOVEMBER)
    await spending.charge((Line(Item.CHAT_OUTPUT, 1, 200),), FIRST_OF_DECEMBER)
    return spending


async def statement(spending: Spending, month: date, timezone: ZoneInfo = BERLIN) -> Statement:
    async with spending.db.transaction(spending.tenant_id) as connection:
        return await read_statement(connection, spending.tenant_id, month=month, timezone=timezone)


def adds_up(of_month: Statement) -> bool:
    return of_month.closing_millicredits == (
        of_month.opening_millicredits
        + of_month.granted_millicredits
        - of_month.charged_millicredits
        + of_month.refunded_millicredits
        - of_month.expired_millicredits
    )


async def test_a_month_adds_up_from_opening_to_closing(spending: Spending) -> None:
    november = await statement(spending, date(2026, 11, 17))
    assert november.month == date(2026, 11, 1)
    assert november.opening_millicredits == 1_000_000
    assert november.granted_millicredits == 500_000
    assert november.charged_millicredits == 40_000
    assert november.refunded_millicredits == 10_000
    assert november.expired_millicredits == 470_000
    assert november.closing_millicredits == 1_000_000
    assert (november.first_sequence, november.last_sequence) == (2, 5)
    assert adds_up(november)


async def test_months_follow_the_tenants_clock_and_each_entry_is_on_one_of_them(spending: Spending) -> None:
    months = [await statement(spending, date(2026, month, 1)) for month in (10, 11, 12)]
    assert [[entry.sequence for entry in month.entries] for month in months] == [[1], [2, 3, 4, 5], [6]]
    assert [month.opening_millicredits for month in months[1:]] == [month.closing_millicredits for month in months[:-1]]
    in_utc = [await statement(spending, date(2026, month, 1), ZoneInfo("UTC")) for month in (10, 11, 12)]
    assert [[entry.sequence for entry in month.entries] for month in in_utc] == [[1, 2, 3], [4, 5, 6], []]
    assert all(adds_up(month) for month in months + in_utc)


async def test_a_month_without_entries_keeps_balance_and_digest(spending: Spending) -> None:
    before, after = await statement(spending, date(2026, 9, 1)), await statement(spending, date(2027, 1, 1))
    december = await statement(spending, date(2026, 12, 1))
    assert (before.opening_millicredits, before.closing_millicredits, before.digest) == (0, 0, None)
    assert (after.opening_millicredits, after.closing_millicredits) == (999_800, 999_800)
    assert (after.first_sequence, after.last_sequence, after.entries) == (None, None, ())
    assert after.digest == december.digest
    async with spending.db.transaction(spending.tenant_id) as connection:
        chain_hash = await connection.fetchval("SELECT chain_hash FROM wallet")
    assert december.digest == chain_hash.hex()


async def test_a_tenant_without_a_ledger_has_an_empty_statement(db: Database) -> None:
    empty = await statement(Spending(db, some_id()), date(2026, 11, 1))
    assert (empty.opening_millicredits, empty.closing_millicredits, empty.entries, empty.digest) == (0, 0, (), None)


async def test_an_entry_dated_a_moment_early_does_not_fall_between_two_months(db: Database) -> None:
    spending = Spending(db, some_id())
    await spending.grant(100_000, FIRST_OF_NOVEMBER)
    await spending.charge(
        (Line(Item.CHAT_OUTPUT, 1, 200),), LAST_OF_OCTOBER
    )  # written by a process whose clock is behind
    october, november = [await statement(spending, date(2026, month, 1)) for month in (10, 11)]
    assert [entry.sequence for entry in october.entries + november.entries] == [1, 2]
    assert adds_up(october)
    assert adds_up(november)


async def test_the_table_has_a_row_for_every_entry_and_no_formulas(spending: Spending) -> None:
    november = await statement(spending, date(2026, 11, 1))
    table = list(csv.DictReader(as_csv(november).splitlines()))
    assert [row["kind"] for row in table] == ["opening", "grant", "charge", "refund", "expiry", "closing"]
    amounts = [int(row["amount_millicredits"] or 0) for row in table]
    assert int(table[0]["balance_after_millicredits"]) + sum(amounts) == int(table[-1]["balance_after_millicredits"])
    assert table[1]["reason"] == "'=HYPERLINK(1)"
    assert table[1]["created_at"] == "2026-11-01T00:00:00+01:00"
    assert table[2]["receipt_id"] == str(november.entries[1].receipt_id)
    assert table[-1]["key"] == november.digest


async def test_the_document_is_plain_json(spending: Spending) -> None:
    document = json.loads(json.dumps(as_document(await statement(spending, date(2026, 11, 1)))))
    assert (document["month"], document["timezone"]) == ("2026-11", "Europe/Berlin")
    assert document["closing_millicredits"] == 1_000_000
    assert [entry["amount_millicredits"] for entry in document["entries"]] == [500_000, -40_000, 10_000, -470_000]
    assert "order-17" in document["entries"][0]["key"]
