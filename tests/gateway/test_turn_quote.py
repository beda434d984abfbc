"""A turn is quoted for its longest answer and charged for what it said."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.turn_quote import Quote, answer_lines, hold_for, stored_lines
from metering.rates import Item, load_rate_cards

DAY = date(2026, 11, 25)
CARD = load_rate_cards().on(DAY)
UNTIL = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def quote(*, input_tokens: int = 1_000, opening_tokens: int = 0, longest: int = 800, floor: int = 128) -> Quote:
    return Quote(
        card=CARD,
        input_tokens=input_tokens,
        opening_tokens=opening_tokens,
        answer_max_tokens=longest,
        answer_floor_tokens=floor,
    )


def test_the_hold_covers_the_prompt_the_opening_and_the_longest_answer() -> None:
    hold = hold_for(quote(opening_tokens=30), key="turn:1:1", day=DAY, expires_at=UNTIL)
    assert hold.max_millicredits == 1_000 * 40 + (30 + 800) * 200
    assert hold.min_millicredits == 1_000 * 40 + (30 + 128) * 200
    assert hold.step_millicredits == 200
    assert not hold.may_shrink


def test_an_agent_that_may_say_less_than_the_floor_is_held_for_what_it_may_say() -> None:
    hold = hold_for(quote(longest=50), key="turn:1:1", day=DAY, expires_at=UNTIL)
    assert hold.min_millicredits == hold.max_millicredits == 1_000 * 40 + 50 * 200


@given(
    input_tokens=st.integers(1, 8_000),
    opening_tokens=st.integers(0, 60),
    longest=st.integers(50, 4_000),
    shrink_by=st.integers(0, 4_000),
)
def test_a_shrunken_hold_pays_for_exactly_the_tokens_it_promises(
    input_tokens: int, opening_tokens: int, longest: int, shrink_by: int
) -> None:
    asked = quote(input_tokens=input_tokens, opening_tokens=opening_tokens, longest=longest)
    hold = hold_for(asked, key="turn:1:1", day=DAY, expires_at=UNTIL)
    steps = min(shrink_by, (hold.max_millicredits - hold.min_millicredits) // hold.step_millicredits)
    held = hold.max_millicredits - steps * hold.step_millicredits
    assert asked.answer_tokens(held) == longest - steps
    lines, _ = answer_lines(asked, channel="whatsapp", part_tokens=[asked.paid_tokens(held)], tool_calls=3)
    assert sum(line.amount_millicredits for line in lines) == held


@given(input_tokens=st.integers(0, 8_000), parts=st.lists(st.integers(1, 2_000), min_size=1, max_size=3))
def test_what_the_parts_cost_adds_up_to_the_receipt(input_tokens: int, parts: list[int]) -> None:
    lines, refunds = answer_lines(quote(input_tokens=input_tokens), channel="whatsapp", part_tokens=parts, tool_calls=2)
    total = sum(line.amount_millicredits for line in lines)
    assert total == input_tokens * 40 + sum(parts) * 200
    assert sum(line.amount_millicredits for part in refunds for line in part) == total
    assert len(refunds) == len(parts)


def test_tools_and_messages_stand_on_the_receipt_and_cost_nothing() -> None:
    lines, _ = answer_lines(quote(), channel="whatsapp", part_tokens=[10, 20], tool_calls=2)
    by_item = {line.item: line for line in lines}
    assert by_item[Item.TOOL_USE].quantity == 2
    assert by_item[Item.TOOL_USE].amount_millicredits == 0
    assert by_item[Item.WHATSAPP_MESSAGE].quantity == 2
    assert by_item[Item.WHATSAPP_MESSAGE].amount_millicredits == 0


def test_a_channel_without_a_price_is_refused_rather_than_free() -> None:
    with pytest.raises(KeyError):
        answer_lines(quote(), channel="telegram", part_tokens=[1], tool_calls=0)


def test_lines_are_stored_with_what_a_refund_needs() -> None:
    _, refunds = answer_lines(quote(input_tokens=7), channel="whatsapp", part_tokens=[3], tool_calls=0)
    assert stored_lines(refunds[0]) == [
        {"item": "chat_input", "quantity": 7, "unit_millicredits": 40},
        {"item": "chat_output", "quantity": 3, "unit_millicredits": 200},
    ]
