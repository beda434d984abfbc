from datetime import date
from itertools import pairwise
from uuid import uuid4

from metering.rates import Item, Line
from tests.cast import CREDIT_MILLICREDITS, Cast
from tests.conftest import Clock
from tests.gateway.api.conftest import Caller, Salon
from tests.metering.spending import Spending

LINES = (Line(Item.CHAT_INPUT, 1_200, 40), Line(Item.TOOL_USE, 2, 0), Line(Item.CHAT_OUTPUT, 30, 200))


async def test_the_balance_is_told_in_millicredits(acme: Caller, broke: Caller) -> None:
    assert await acme.get("/balance") == {
        "balance_millicredits": CREDIT_MILLICREDITS,
        "held_millicredits": 0,
        "available_millicredits": CREDIT_MILLICREDITS,
        "state": "active",
    }
    assert (await broke.get("/balance"))["available_millicredits"] == 0


async def test_a_receipt_shows_quantity_times_rate_and_the_balance_around_it(
    acme: Caller, salon: Salon, cast: Cast, clock: Clock
) -> None:
    turn_id = uuid4()
    receipt_id = await Spending(salon.services.db, cast.acme).charge(
        LINES, clock.now(), turn_id=turn_id, agent_version=3
    )
    receipt = await acme.get(f"/receipts/{receipt_id}")
    assert receipt["id"] == str(receipt_id)
    assert receipt["turn_id"] == str(turn_id)
    assert receipt["lines"] == [
        {"item": "chat_input", "quantity": 1_200, "unit_millicredits": 40, "amount_millicredits": 48_000},
        {"item": "tool_use", "quantity": 2, "unit_millicredits": 0, "amount_millicredits": 0},
        {"item": "chat_output", "quantity": 30, "unit_millicredits": 200, "amount_millicredits": 6_000},
    ]
    assert receipt["total_millicredits"] == 54_000
    assert receipt["balance_before_millicredits"] - receipt["balance_after_millicredits"] == 54_000
    assert (receipt["agent_version"], receipt["rate_card"], receipt["channel"]) == (3, "2026-01", "whatsapp")
    assert "provider_usage" not in receipt, "what the operator pays is not the owner's business"


async def test_pages_of_ledger_and_receipts_show_everything_exactly_once(
    acme: Caller, salon: Salon, cast: Cast, clock: Clock
) -> None:
    spending = Spending(salon.services.db, cast.acme)
    written = [str(await spending.charge(LINES, clock.now())) for _ in range(5)]
    ledger = await acme.walk("/ledger", limit=2)
    assert [entry["sequence"] for entry in ledger] == [6, 5, 4, 3, 2, 1]
    assert [entry["amount_millicredits"] for entry in ledger] == [-54_000] * 5 + [CREDIT_MILLICREDITS]
    for newer, older in pairwise(ledger):
        assert newer["balance_before_millicredits"] == older["balance_after_millicredits"]
    receipts = await acme.walk("/receipts", limit=2)
    assert [receipt["id"] for receipt in receipts] == written[::-1]
    assert sum(receipt["total_millicredits"] for receipt in receipts) == 5 * 54_000
    assert len(await acme.walk("/receipts", limit=5)) == 5


async def test_receipts_can_be_asked_for_by_turn_and_conversation(
    acme: Caller, salon: Salon, cast: Cast, clock: Clock
) -> None:
    spending, turn_id, conversation_id = Spending(salon.services.db, cast.acme), uuid4(), uuid4()
    of_turn = await spending.charge(LINES, clock.now(), turn_id=turn_id, conversation_id=conversation_id)
    of_conversation = await spending.charge(LINES, clock.now(), conversation_id=conversation_id)
    await spending.charge(LINES, clock.now())
    assert [each["id"] for each in await acme.walk("/receipts", turn_id=turn_id)] == [str(of_turn)]
    assert [each["id"] for each in await acme.walk("/receipts", conversation_id=conversation_id)] == [
        str(of_conversation),
        str(of_turn),
    ]


async def test_usage_lists_days_and_says_how_long_the_credits_last(
    acme: Caller, salon: Salon, cast: Cast, clock: Clock
) -> None:
    spending = Spending(salon.services.db, cast.acme)
    await spending.charge([Line(Item.CHAT_INPUT, 25_000, 40)], clock.now(), day=date(2026, 11, 23))
    await spending.charge([Line(Item.CHAT_OUTPUT, 30, 200)], clock.now())
    await spending.charge([Line(Item.NUMBER_LOCAL, 1, 1_000_000)], clock.now(), channel=None, day=date(2026, 11, 23))
    await spending.charge([Line(Item.CHAT_OUTPUT, 1, 200)], clock.now(), day=date(2026, 10, 1))
    usage = await acme.get("/usage", from_="2026-11-23", to="2026-11-24")
    assert usage["items"] == [
        {
            "day": "2026-11-23",
            "channel": "whatsapp",
            "item": "chat_input",
            "quantity": 25_000,
            "amount_millicredits": 1_000_000,
        },
        {
            "day": "2026-11-23",
            "channel": None,
            "item": "number_local",
            "quantity": 1,
            "amount_millicredits": 1_000_000,
        },
        {
            "day": "2026-11-24",
            "channel": "whatsapp",
            "item": "chat_output",
            "quantity": 30,
            "amount_millicredits": 6_000,
        },
    ]
    assert usage["next_cursor"] is None
    assert usage["runway"] == {
        "from": "2026-11-17",
        "to": "2026-11-23",
        "days": 7,
        "spent_millicredits": 1_000_000,
        "available_millicredits": CREDIT_MILLICREDITS - 2_006_200,
        "days_left": 55,
        "forecast_month_millicredits": 4_285_714,
    }


async def test_usage_of_the_last_thirty_of_the_tenants_days_is_listed_unless_others_are_named(
    acme: Caller, clock: Clock
) -> None:
    clock.advance(seconds=13.5 * 3600)  # 23:30 in London is tomorrow in Berlin
    usage = await acme.get("/usage")
    assert (usage["from"], usage["to"]) == ("2026-10-27", "2026-11-25")
    assert (await acme.get("/usage", to="2026-03-01"))["from"] == "2026-01-31"


async def test_days_that_make_no_sense_are_refused_by_name(acme: Caller) -> None:
    for query, field in (
        ({"from": "2026-11-24", "to": "2026-11-23"}, "from"),
        ({"from": "2025-11-23", "to": "2026-11-24"}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"to": "0001-01-01"}, "to"),
    ):
        answer = await acme.ask("GET", "/usage", query=query)
        assert (answer.status, answer.code, answer.fields) == (422, "invalid_request", [field])
