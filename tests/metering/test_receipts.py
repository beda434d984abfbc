from datetime import UTC, datetime, timedelta
from uuid import UUID

from gateway.db import Database
from metering.rates import Item, Line
from metering.receipts import conversation_total, list_receipts, read_receipt, receipts_by_id, totals_by_prefix
from tests.metering.spending import Spending, some_id

AT = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
LINES = (Line(Item.CHAT_INPUT, 1_200, 40), Line(Item.TOOL_USE, 2, 0), Line(Item.CHAT_OUTPUT, 30, 200))


async def test_a_receipt_explains_its_charge_with_free_tools_and_the_balance_around_it(db: Database) -> None:
    spending = Spending(db, some_id())
    await spending.grant(1_000_000, AT)
    turn_id = some_id()
    receipt_id = await spending.charge(LINES, AT, turn_id=turn_id, agent_version=3)
    async with db.transaction(spending.tenant_id) as connection:
        receipt = await read_receipt(connection, spending.tenant_id, receipt_id)
    assert receipt is not None
    assert receipt.lines == LINES
    assert [line.amount_millicredits for line in receipt.lines] == [48_000, 0, 6_000]
    assert (receipt.total_millicredits, receipt.rate_card, receipt.agent_version) == (54_000, "2026-01", 3)
    assert (receipt.balance_before_millicredits, receipt.balance_after_millicredits) == (1_000_000, 946_000)
    assert (receipt.turn_id, receipt.subject, receipt.sequence, receipt.refunded_millicredits) == (
        turn_id,
        "turn",
        2,
        0,
    )


async def test_a_receipt_and_its_conversation_know_what_was_given_back(db: Database) -> None:
    spending = Spending(db, some_id())
    await spending.grant(1_000_000, AT)
    conversation_id = some_id()
    receipt_id = await spending.charge(LINES, AT, conversation_id=conversation_id)
    await spending.charge(LINES, AT, conversation_id=conversation_id)
    await spending.charge(LINES, AT)
    for part, tokens in enumerate((25, 5)):
        await spending.refund(receipt_id, [Line(Item.CHAT_OUTPUT, tokens, 200)], AT, part=part)
    async with db.transaction(spending.tenant_id) as connection:
        receipt = await read_receipt(connection, spending.tenant_id, receipt_id)
        total = await conversation_total(connection, spending.tenant_id, conversation_id)
        nothing = await conversation_total(connection, spending.tenant_id, some_id())
    assert receipt is not None
    assert (receipt.total_millicredits, receipt.refunded_millicredits) == (54_000, 6_000)
    assert (total, nothing) == (2 * 54_000 - 6_000, 0)


async def test_what_keys_with_a_beginning_in_common_cost_is_summed_in_the_order_asked_for(db: Database) -> None:
    spending = Spending(db, some_id())
    await spending.grant(1_000_000, AT)
    conversation_id = some_id()
    first = await spending.charge(LINES, AT, conversation_id=conversation_id)
    second = await spending.charge(LINES, AT, conversation_id=conversation_id)
    await spending.refund(first, [Line(Item.CHAT_OUTPUT, 5, 200)], AT, part=0)
    async with db.transaction(spending.tenant_id) as connection:
        receipts = await receipts_by_id(connection, spending.tenant_id, [first, second])
        wanted = [
            (conversation_id, receipts[second].charge_key),
            (some_id(), receipts[first].charge_key),
            (conversation_id, receipts[first].charge_key),
            (conversation_id, ""),
        ]
        totals = await totals_by_prefix(connection, spending.tenant_id, wanted)
        none = await totals_by_prefix(connection, spending.tenant_id, [])
    assert totals == [54_000, 0, 53_000, 107_000]
    assert none == []


async def test_pages_walk_receipts_from_the_newest_exactly_once(db: Database) -> None:
    spending = Spending(db, some_id())
    await spending.grant(1_000_000, AT)
    written = [await spending.charge(LINES, AT + timedelta(seconds=second)) for second in range(5)]
    seen: list[UUID] = []
    before = None
    async with db.transaction(spending.tenant_id) as connection:
        while page := await list_receipts(connection, spending.tenant_id, limit=2, before=before):
            seen.extend(receipt.receipt_id for receipt in page)
            before = page[-1].sequence
    assert seen == written[::-1]


async def test_receipts_are_found_by_conversation_turn_and_id(db: Database) -> None:
    spending = Spending(db, some_id())
    await spending.grant(1_000_000, AT)
    conversation_id, turn_id = some_id(), some_id()
    first = await spending.charge(LINES, AT, conversation_id=conversation_id)
    second = await spending.charge(LINES, AT, conversation_id=conversation_id, turn_id=turn_id)
    await spending.charge(LINES, AT)
    async with db.transaction(spending.tenant_id) as connection:
        of_conversation = await list_receipts(connection, spending.tenant_id, limit=9, conversation_id=conversation_id)
        of_turn = await list_receipts(connection, spending.tenant_id, limit=9, turn_id=turn_id)
        by_id = await receipts_by_id(connection, spending.tenant_id, [first, first, some_id()])
    assert [receipt.receipt_id for receipt in of_conversation] == [second, first]
    assert [receipt.receipt_id for receipt in of_turn] == [second]
    assert list(by_id) == [first]


async def test_another_tenants_receipt_is_not_there(db: Database) -> None:
    spending, stranger = Spending(db, some_id()), some_id()
    await spending.grant(1_000_000, AT)
    receipt_id = await spending.charge(LINES, AT)
    async with db.transaction(stranger) as connection:
        assert await read_receipt(connection, stranger, receipt_id) is None
        assert await read_receipt(connection, spending.tenant_id, receipt_id) is None, "row-level security holds too"
        assert await receipts_by_id(connection, stranger, [receipt_id]) == {}
