from datetime import date
from pathlib import Path
from typing import Any

import pytest

from metering.errors import RateCardError, UnknownPriceError, UnknownRateCardError
from metering.rates import PRICED_ITEMS, Item, Line, RateCard, load_rate_cards, parse_rate_cards

DESIGN_PRICES = {
    Item.CHAT_INPUT: 40,
    Item.CHAT_OUTPUT: 200,
    Item.TOOL_USE: 0,
    Item.CALL_MINUTE: 95_000,
    Item.VOICE_INPUT: 295,
    Item.VOICE_OUTPUT: 590,
    Item.SMS_SENT: 2_500_000,
    Item.SMS_RECEIVED: 200_000,
    Item.WHATSAPP_MESSAGE: 0,
    Item.NUMBER_LOCAL: 10_000_000,
    Item.NUMBER_MOBILE: 60_000_000,
}


def a_card(version: str = "2026-01", effective_on: object = date(2026, 1, 1), **prices: object) -> dict[str, Any]:
    shipped: dict[str, object] = {item.value: price for item, price in DESIGN_PRICES.items()}
    return {"version": version, "effective_on": effective_on, "millicredits": {**shipped, **prices}}


def problems(*cards: dict[str, Any], **others: object) -> tuple[str, ...]:
    with pytest.raises(RateCardError) as caught:
        parse_rate_cards({"rate_card": list(cards), **others})
    return caught.value.problems


def test_the_shipped_card_has_the_promised_prices() -> None:
    card = load_rate_cards().on(date(2026, 11, 24))
    assert card.unit_millicredits == DESIGN_PRICES


def test_a_line_is_quantity_times_rate() -> None:
    card = load_rate_cards().on(date(2026, 11, 24))
    assert card.line(Item.CHAT_INPUT, 1_234) == Line(Item.CHAT_INPUT, 1_234, 40)
    assert card.line(Item.CHAT_INPUT, 1_234).amount_millicredits == 49_360
    assert card.line(Item.TOOL_USE, 3).amount_millicredits == 0


def test_what_the_operator_bears_is_one_millicredit_each_and_negative() -> None:
    card = load_rate_cards().on(date(2026, 11, 24))
    assert card.line(Item.ABSORBED, -17).amount_millicredits == -17


@pytest.mark.parametrize(("item", "quantity"), [(Item.CHAT_INPUT, -1), (Item.ABSORBED, 1), (Item.ABSORBED, 0)])
def test_a_quantity_of_the_wrong_sign_is_a_mistake_of_ours(item: Item, quantity: int) -> None:
    with pytest.raises(ValueError, match=str(item)):
        load_rate_cards().on(date(2026, 11, 24)).line(item, quantity)


def test_an_item_without_a_price_is_refused() -> None:
    card = RateCard("bare", date(2026, 1, 1), {Item.CHAT_INPUT: 40})
    with pytest.raises(UnknownPriceError, match='rate card "bare" has no price for sms_sent'):
        card.line(Item.SMS_SENT, 1)


def test_a_card_is_valid_from_its_day_until_the_next() -> None:
    cards = parse_rate_cards(
        {"rate_card": [a_card("new", date(2026, 7, 1), chat_input=50), a_card("old", date(2026, 1, 1))]}
    )
    assert cards.on(date(2026, 6, 30)).version == "old"
    assert cards.on(date(2026, 7, 1)).version == "new"
    assert cards.version("old").line(Item.CHAT_INPUT, 1).amount_millicredits == 40
    assert cards.version("new").line(Item.CHAT_INPUT, 1).amount_millicredits == 50


def test_nothing_is_sold_without_a_card() -> None:
    cards = load_rate_cards()
    with pytest.raises(UnknownRateCardError, match='no rate card for "2025-12-31"'):
        cards.on(date(2025, 12, 31))
    with pytest.raises(UnknownRateCardError, match='no rate card for "2025-12"'):
        cards.version("2025-12")


def test_a_published_price_cannot_be_changed_in_passing() -> None:
    card = load_rate_cards().version("2026-01")
    with pytest.raises(TypeError):
        card.unit_millicredits[Item.CHAT_INPUT] = 0  # type: ignore[index]  # the point of the test


def test_every_problem_of_a_file_is_named_at_once() -> None:
    wrong = a_card(" ", "2026-01-01", chat_inptu=1, sms_sent=2.5, tool_use=-1, call_minute=True)
    del wrong["millicredits"]["chat_input"]
    found = problems({**wrong, "currency": "EUR"}, prices={})
    assert found == (
        "prices: is not known; prices stand in [[rate_card]]",
        "rate_card 1: currency: is not a known setting",
        'rate_card 1: version: must be a name such as "2026-01"',
        "rate_card 1: effective_on: must be a date such as 2026-01-01",
        "rate_card 1: millicredits.chat_input: is missing; write 0 if it is free",
        "rate_card 1: millicredits.tool_use: must be between 0 and 1000000000000",
        "rate_card 1: millicredits.call_minute: must be a whole number of millicredits",
        "rate_card 1: millicredits.sms_sent: must be a whole number of millicredits",
        'rate_card 1: millicredits.chat_inptu: is not a known item; did you mean "chat_input"?',
    )


def test_two_cards_may_share_neither_name_nor_day() -> None:
    assert problems(a_card(), a_card()) == (
        'version "2026-01": is there twice',
        "effective_on 2026-01-01: two rate cards begin then",
    )


@pytest.mark.parametrize("document", [{}, {"rate_card": []}, {"rate_card": {}}, {"rate_card": ["2026-01"]}])
def test_a_file_without_cards_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(RateCardError, match=r"at least one \[\[rate_card\]\]"):
        parse_rate_cards(document)


def test_a_card_without_prices_is_refused() -> None:
    assert problems({"version": "x", "effective_on": date(2026, 1, 1)}) == (
        "rate_card 1: millicredits: must be a table with the price of every item",
    )


def test_what_the_operator_bears_cannot_be_priced() -> None:
    assert problems(a_card(absorbed=2)) == ("rate_card 1: millicredits.absorbed: is not a known item",)
    assert Item.ABSORBED not in PRICED_ITEMS


@pytest.mark.parametrize("content", [b"[[rate_card", b"\xff\xfe"])
def test_a_file_that_cannot_be_read_says_which(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "prices.toml"
    file.write_bytes(content)
    with pytest.raises(RateCardError, match=r"prices\.toml"):
        load_rate_cards(file)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(RateCardError, match=r"prices\.toml: cannot be read \(No such file"):
        load_rate_cards(tmp_path / "prices.toml")
