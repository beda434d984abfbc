import json
import re
from dataclasses import replace

import pytest

from gateway.dashboard.figures import credits_text
from gateway.dashboard.price_form import EXAMPLES, read_form
from gateway.dashboard.price_view import GROUPS
from metering.plans import Plan, Plans
from metering.price import listed_price
from metering.rates import PRICED_ITEMS, RateCards, load_rate_cards
from tests.gateway.dashboard.conftest import Open

CARD = load_rate_cards().version("2026-01")


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def listed(html: str) -> list[str]:
    return re.findall(r'<td class="price[^"]*">([^<]+)<', html)


async def test_every_item_of_the_rate_card_is_listed_once_at_its_price(open_pages: Open) -> None:
    assert sorted(item for items in GROUPS.values() for item in items) == sorted(PRICED_ITEMS)
    for locale, free in (("de", "kostenlos"), ("en", "free")):
        page = await (await open_pages()).get(f"/prices?lang={locale}")
        wanted = [
            credits_text(price, locale) if (price := listed_price(CARD, item).amount_millicredits) else free
            for items in GROUPS.values()
            for item in items
        ]
        assert listed(page.text) == wanted


async def test_another_rate_card_changes_every_price_on_the_page(open_pages: Open) -> None:
    odd = replace(CARD, unit_millicredits={item: 7_000 + 3 * unit for item, unit in CARD.unit_millicredits.items()})
    usual, changed = [
        (await (await open_pages(cards, Plans(()))).get("/prices?chats=10&sms_sent=2&call_minutes=3")).text
        for cards in (None, RateCards((odd,)))
    ]
    assert all(before != after for before, after in zip(listed(usual), listed(changed), strict=True))
    for pattern in (r"<dt>([\d.,]+) <span>", r'id="total">([^<]+)<', r"</small></th><td>([\d.,]+)<"):
        before, after = re.findall(pattern, usual), re.findall(pattern, changed)
        assert before
        assert all(one != other for one, other in zip(before, after, strict=True))


async def test_german_is_for_everybody_who_asks_for_neither_language(open_pages: Open) -> None:
    reader = await open_pages()
    for accepted, lang in (
        ("", "de"),
        ("fr", "de"),
        ("en", "en"),
        ("fr-FR,en-GB;q=0.8,de;q=0.5", "en"),
        ("de-AT,en;q=0.9", "de"),
        ("en;q=x,,;;;", "de"),
    ):
        page = await reader.get("/prices", Accept_Language=accepted)
        assert f'<html lang="{lang}">' in page.text, accepted
        assert "Accept-Language" in page.headers["Vary"]
    assert '<html lang="en">' in (await reader.get("/prices?lang=en", Accept_Language="de")).text
    assert '<html lang="de">' in (await reader.get("/prices?lang=fr")).text


async def test_figures_are_written_as_the_reader_writes_them(open_pages: Open) -> None:
    reader = await open_pages()
    assert 'id="total">150.000<' in (await reader.get("/prices?lang=de")).text
    assert 'id="total">150,000<' in (await reader.get("/prices?lang=en")).text


@pytest.mark.parametrize(
    ("typed", "total"),
    [("chats=10", 150_000), ("chats=300&per=month", 150_000), ("sms_sent=1&per=month", 2_500), ("chats=&sms_sent=", 0)],
)
async def test_the_form_works_without_a_script_and_as_json(open_pages: Open, typed: str, total: int) -> None:
    reader = await open_pages()
    assert f'id="total">{total:,}<' in (await reader.get(f"/prices?lang=en&{typed}")).text
    told = await reader.get(f"/prices/simulate?{typed}")
    assert json.loads(told.text)["total_millicredits"] == total * 1_000
    part = await reader.get(f"/prices/simulate?lang=en&{typed}", Accept="text/html")
    assert f'id="total">{total:,}<' in part.text
    assert "<html" not in part.text


async def test_what_cannot_be_counted_is_shown_beside_its_field_and_is_harmless(open_pages: Open) -> None:
    reader = await open_pages()
    for wrong in ("-1", "1.5", "many", "99999999", '"><script>', "²"):
        page = await reader.get(f"/prices?lang=en&chats={wrong}")
        assert page.status == 422
        assert 'id="wrong-chats"' in page.text
        assert "<script>" not in page.text
        assert (await reader.get(f"/prices/simulate?chats={wrong}")).status == 422
    assert "333,333" in plain((await reader.get("/prices?lang=en&chats=-1")).text)


async def test_plans_are_marked_as_examples_only_if_they_are(open_pages: Open) -> None:
    own = Plans((Plan(name="<Eigen>", price_minor=990, currency="EUR", credits=1_000, rollover=False),))
    assert "Beispiele: Diese Tarife" in (await (await open_pages()).get("/prices")).text
    page = (await (await open_pages(None, own, are_examples=False)).get("/prices?chats=1&per=month")).text
    assert "Beispiele: Diese Tarife" not in page
    assert "&lt;Eigen&gt;" in page
    assert "9,90\u00a0€" in page
    assert "500 Credits bleiben übrig" in page
    assert "<Eigen>" not in page
    assert "keine Tarife" in (await (await open_pages(None, Plans(()))).get("/prices")).text


async def test_the_page_says_who_pays_meta_and_promises_nothing_of_it(open_pages: Open) -> None:
    reader = await open_pages()
    assert "Diese Gebühren zahlen Sie an Meta" in (await reader.get("/prices?lang=de")).text
    assert "Those fees you pay to Meta" in (await reader.get("/prices?lang=en")).text


async def test_nothing_is_inline_and_what_the_page_loads_is_small(open_pages: Open) -> None:
    reader = await open_pages()
    page = await reader.get("/prices", Accept_Encoding="gzip")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert re.search(r"<script(?![^>]*src=)|<style| style=| on\w+=", page.text) is None
    loaded = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
    assert len(set(loaded)) == 4
    for address in loaded:
        file = await reader.get(address, Accept_Encoding="gzip")
        assert file.status == 200
        assert "immutable" in file.headers["Cache-Control"]
        assert int(file.headers["Content-Length"]) < 8_000
    assert (await reader.get("/static/../prices.py")).status == 404
    assert (await reader.get("/static/nothing.css")).status == 404


def test_every_example_can_be_calculated() -> None:
    for volume in EXAMPLES.values():
        assert read_form({name: str(number) for name, number in volume.items()}).wrong == ()
