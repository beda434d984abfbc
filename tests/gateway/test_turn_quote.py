"""A turn is quoted for its longest answer and charged for what it said."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.turn_quote import Allowance, PartSize, Quote, answer_lines, hold_for, stored_lines
from metering.rates import Item, load_rate_cards

DAY = date(2026, 11, 25)
CARD = load_rate_cards().on(DAY)
UNTIL = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def quote(
    *,
    input_tokens: int = 1_000,
    opening_tokens: int = 0,
    longest: int = 800,
    floor: int = 128,
    channel: str = "whatsapp",
    segments_max: int = 1,
) -> Quote:
    return Quote(
        card=CARD,
        channel=channel,
        segments_max=segments_max,
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
    allowed = asked.allowance(held)
    assert allowed.answer_tokens == longest - steps
    part = PartSize(tokens=opening_tokens + allowed.answer_tokens, billed_units=1)
    lines, _ = answer_lines(asked, [part], tool_calls=3)
    assert sum(line.amount_millicredits for line in lines) == held


@given(input_tokens=st.integers(0, 8_000), parts=st.lists(st.integers(1, 2_000), min_size=1, max_size=3))
def test_what_the_parts_cost_adds_up_to_the_receipt(input_tokens: int, parts: list[int]) -> None:
    sizes = [PartSize(tokens=tokens, billed_units=1) for tokens in parts]
    lines, refunds = answer_lines(quote(input_tokens=input_tokens), sizes, tool_calls=2)
    total = sum(line.amount_millicredits for line in lines)
    assert total == input_tokens * 40 + sum(parts) * 200
    assert sum(line.amount_millicredits for part in refunds for line in part) == total
    assert len(refunds) == len(parts)


def test_tools_and_messages_stand_on_the_receipt_and_cost_nothing() -> None:
    lines, _ = answer_lines(
        quote(), [PartSize(tokens=10, billed_units=1), PartSize(tokens=20, billed_units=1)], tool_calls=2
    )
    by_item = {line.item: line for line in lines}
    assert by_item[Item.TOOL_USE].quantity == 2
    assert by_item[Item.TOOL_USE].amount_millicredits == 0
    assert by_item[Item.WHATSAPP_MESSAGE].quantity == 2
    assert by_item[Item.WHATSAPP_MESSAGE].amount_millicredits == 0


def test_a_channel_without_a_price_is_refused_rather_than_free() -> None:
    with pytest.raises(KeyError):
        answer_lines(quote(channel="telegram"), [PartSize(tokens=1, billed_units=1)], tool_calls=0)


def test_lines_are_stored_with_what_a_refund_needs() -> None:
    _, refunds = answer_lines(quote(input_tokens=7), [PartSize(tokens=3, billed_units=1)], tool_calls=0)
    assert stored_lines(refunds[0]) == [
        {"item": "chat_input", "quantity": 7, "unit_millicredits": 40},
        {"item": "chat_output", "quantity": 3, "unit_millicredits": 200},
    ]


sms_quotes = st.builds(
    quote,
    channel=st.just("sms"),
    input_tokens=st.integers(1, 8_000),
    opening_tokens=st.integers(0, 60),
    longest=st.integers(50, 4_000),
    segments_max=st.integers(1, 10),
)


@given(asked=sms_quotes, data=st.data())
def test_a_shrunken_sms_hold_lowers_the_segments_before_it_shortens_the_answer(
    asked: Quote, data: st.DataObject
) -> None:
    hold = hold_for(asked, key="turn:1:1", day=DAY, expires_at=UNTIL)
    steps = data.draw(st.integers(0, (hold.max_millicredits - hold.min_millicredits) // hold.step_millicredits))
    held = hold.min_millicredits + steps * hold.step_millicredits
    allowed = asked.allowance(held)
    assert asked.hold_millicredits(allowed) <= held
    assert 1 <= allowed.segments <= asked.segments_max
    assert asked.least.answer_tokens <= allowed.answer_tokens <= asked.answer_max_tokens
    assert allowed.segments == 1 or allowed.answer_tokens == asked.answer_max_tokens


@given(asked=sms_quotes)
def test_an_sms_hold_in_full_allows_all_and_at_the_least_one_segment(asked: Quote) -> None:
    hold = hold_for(asked, key="turn:1:1", day=DAY, expires_at=UNTIL)
    assert asked.allowance(hold.max_millicredits) == asked.most
    assert asked.allowance(hold.min_millicredits) == asked.least


def test_an_sms_is_charged_and_given_back_with_its_segments() -> None:
    asked = quote(channel="sms", segments_max=4, input_tokens=100)
    lines, refunds = answer_lines(asked, [PartSize(tokens=50, billed_units=2)], tool_calls=0)
    assert sum(line.amount_millicredits for line in lines) == 100 * 40 + 50 * 200 + 2 * 2_500_000
    assert sum(line.amount_millicredits for line in refunds[0]) == 100 * 40 + 50 * 200 + 2 * 2_500_000
    assert asked.allowance(asked.hold_millicredits(Allowance(answer_tokens=800, segments=3))).segments == 3
