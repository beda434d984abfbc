from dataclasses import asdict, replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.credits import MILLICREDITS
from metering.errors import VolumeError
from metering.plans import Plan, Plans
from metering.price import (
    TOKEN_NAMES,
    VOLUME_MAX,
    VOLUME_NAMES,
    Volume,
    as_document,
    listed_price,
    month_of,
    price_of,
)
from metering.rates import Item, RateCard, load_rate_cards

CARD = load_rate_cards().version("2026-01")
SMALL = Plan(name="Small", price_minor=1_000, currency="EUR", credits=1_000)
LARGE = Plan(name="Large", price_minor=9_000, currency="EUR", credits=200_000)
PLANS = Plans((LARGE, SMALL))


def credits_of(volume: Volume) -> float:
    return price_of(volume, card=CARD, plans=PLANS).total_millicredits / MILLICREDITS


def test_ten_average_conversations_a_day_are_exactly_150000_credits_a_month() -> None:
    assert credits_of(Volume(chats=1)) == 500
    assert credits_of(month_of(Volume(chats=10), per="day")) == 150_000
    assert credits_of(month_of(Volume(chats=300), per="month")) == 150_000


def test_a_call_minute_is_its_fee_and_the_voice_tokens_that_the_list_promises() -> None:
    price = price_of(Volume(call_minutes=1), card=CARD, plans=PLANS)
    assert {line.item for line in price.lines} == {Item.CALL_MINUTE, Item.VOICE_INPUT, Item.VOICE_OUTPUT}
    tokens = sum(line.quantity for line in price.lines if line.item is not Item.CALL_MINUTE)
    assert 800 <= tokens <= 1_500
    assert price.total_millicredits == 95_000 + 600 * 295 + 600 * 590


def test_sms_and_numbers_cost_what_the_list_says() -> None:
    assert credits_of(Volume(sms_sent=3)) == 7_500
    assert credits_of(Volume(sms_received=3)) == 600
    assert credits_of(Volume(local_numbers=2, mobile_numbers=1)) == 80_000


def test_by_the_day_multiplies_what_happens_and_not_what_is_rented() -> None:
    volume = month_of(Volume(sms_sent=1, call_minutes=2, mobile_numbers=1), per="day")
    assert (volume.sms_sent, volume.call_minutes, volume.mobile_numbers) == (30, 60, 1)
    assert volume.chat_input_tokens == Volume().chat_input_tokens


def test_the_smallest_package_that_covers_the_month_is_named_with_what_is_left() -> None:
    exactly = price_of(Volume(chats=2), card=CARD, plans=PLANS)
    assert (exactly.plan, exactly.left_millicredits) == (SMALL, 0)
    more = price_of(Volume(chats=3), card=CARD, plans=PLANS)
    assert (more.plan, more.left_millicredits) == (LARGE, 198_500_000)
    too_much = price_of(Volume(chats=401), card=CARD, plans=PLANS)
    assert (too_much.plan, too_much.left_millicredits) == (None, None)


def test_nothing_costs_nothing_and_needs_no_line() -> None:
    price = price_of(Volume(), card=CARD, plans=Plans(()))
    assert (price.lines, price.total_millicredits, price.plan) == ((), 0, None)


@pytest.mark.parametrize("number", [-1, VOLUME_MAX + 1])
def test_what_cannot_be_is_told_by_name(number: int) -> None:
    with pytest.raises(VolumeError) as refused:
        Volume(chats=number, sms_sent=number)
    assert [problem.partition(":")[0] for problem in refused.value.problems] == ["chats", "sms_sent"]


def test_the_most_that_can_be_is_priced() -> None:
    assert credits_of(Volume(**dict.fromkeys(VOLUME_NAMES, VOLUME_MAX))) > VOLUME_MAX


def test_prices_are_listed_as_people_read_them() -> None:
    assert listed_price(CARD, Item.CHAT_INPUT).amount_millicredits == 40_000
    assert listed_price(CARD, Item.SMS_SENT).amount_millicredits == 2_500_000


def test_a_document_tells_lines_and_assumptions() -> None:
    document = as_document(price_of(Volume(chats=2), card=CARD, plans=PLANS))
    assert document["total_millicredits"] == 1_000_000
    assert document["plan"] == asdict(SMALL)
    assert document["lines"] == [
        {"item": "chat_input", "quantity": 23_000, "unit_millicredits": 40, "amount_millicredits": 920_000},
        {"item": "chat_output", "quantity": 400, "unit_millicredits": 200, "amount_millicredits": 80_000},
    ]
    assert document["assumptions"] == {name: getattr(Volume(), name) for name in TOKEN_NAMES}


@given(st.fixed_dictionaries({name: st.integers(0, 10_000) for name in VOLUME_NAMES}))
def test_the_total_is_the_sum_of_the_lines_and_follows_the_card(numbers: dict[str, int]) -> None:
    volume = Volume(**numbers)
    price = price_of(volume, card=CARD, plans=PLANS)
    assert price.total_millicredits == sum(line.amount_millicredits for line in price.lines)
    dear = replace(CARD, unit_millicredits={item: 2 * unit for item, unit in CARD.unit_millicredits.items()})
    assert price_of(volume, card=dear, plans=PLANS).total_millicredits == 2 * price.total_millicredits


def test_every_price_is_the_cards_own() -> None:
    card = RateCard("odd", date(2026, 1, 1), dict.fromkeys(CARD.unit_millicredits, 7))
    price = price_of(Volume(**dict.fromkeys(VOLUME_NAMES, 1)), card=card, plans=PLANS)
    assert {line.unit_millicredits for line in price.lines} == {7}
    assert price.total_millicredits == 7 * len(price.lines)
