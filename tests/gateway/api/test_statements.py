import csv
import io
from datetime import date, timedelta

from metering.rates import Item, Line
from tests.cast import CREDIT_MILLICREDITS, Cast
from tests.conftest import Clock
from tests.gateway.api.conftest import API, Caller, Salon
from tests.metering.spending import Spending

CHAT = [Line(Item.CHAT_INPUT, 1_000, 40)]


async def test_a_month_adds_up_and_names_where_the_chain_stood(
    acme: Caller, salon: Salon, cast: Cast, clock: Clock
) -> None:
    spending = Spending(salon.services.db, cast.acme)
    short = await spending.grant(5_000, clock.now(), expires_at=clock.now() + timedelta(hours=1))
    receipt = await spending.charge(CHAT, clock.now())
    await spending.refund(receipt, CHAT, clock.now())
    clock.advance(seconds=2 * 3600)
    await spending.expire(short, clock.now())
    statement = await acme.get("/statements/2026-11")
    assert (
        statement["opening_millicredits"]
        + statement["granted_millicredits"]
        - statement["charged_millicredits"]
        + statement["refunded_millicredits"]
        - statement["expired_millicredits"]
        == statement["closing_millicredits"]
    )
    assert statement["charged_millicredits"] == statement["refunded_millicredits"] == 40_000
    assert statement["expired_millicredits"] > 0
    assert statement["closing_millicredits"] == (await acme.get("/balance"))["balance_millicredits"]
    assert [entry["kind"] for entry in statement["entries"]] == ["grant", "grant", "charge", "refund", "expiry"]
    assert len(statement["digest"]) == 64
    following = await acme.get("/statements/2026-12")
    assert following["opening_millicredits"] == statement["closing_millicredits"]
    assert (following["entries"], following["digest"]) == ([], statement["digest"])


async def test_a_month_is_a_table_by_its_ending_or_by_what_is_accepted(acme: Caller) -> None:
    key = {"Authorization": f"Bearer {acme.token}"}
    texts = []
    for path, headers in (("2026-11.csv", {}), ("2026-11", {"Accept": "text/csv"})):
        async with acme.client.get(f"{API}/statements/{path}", headers={**key, **headers}) as response:
            assert response.content_type == "text/csv"
            assert 'filename="statement-2026-11.csv"' in response.headers["Content-Disposition"]
            texts.append(await response.text())
    assert texts[0] == texts[1]
    rows = list(csv.DictReader(io.StringIO(texts[0])))
    assert [row["kind"] for row in rows] == ["opening", "grant", "closing"]
    assert rows[-1]["balance_after_millicredits"] == str(CREDIT_MILLICREDITS)


async def test_what_is_no_month_is_not_found_and_another_tenants_is_not_shown(acme: Caller, broke: Caller) -> None:
    for wrong in ("2026-13", "2026-00", "26-11", "november", "2026-11.pdf", "2026-11.csv.csv"):
        answer = await acme.ask("GET", f"/statements/{wrong}")
        assert (answer.status, answer.code) == (404, "not_found")
    assert (await broke.get("/statements/2026-11"))["entries"] == []


async def test_a_forecast_is_the_pace_and_the_rents_that_fall_due(
    acme: Caller, salon: Salon, cast: Cast, clock: Clock
) -> None:
    today = clock.now().date()
    await Spending(salon.services.db, cast.acme).charge(
        [Line(Item.CHAT_INPUT, 17_500, 40)], clock.now(), day=today - timedelta(days=7)
    )
    [line] = (await acme.get("/lines"))["items"]
    async with salon.services.db.transaction(cast.acme) as connection:
        await connection.execute(
            "UPDATE line SET provisioned_on = $2, rented_until = $3 WHERE tenant_id = $1",
            cast.acme,
            date(2026, 11, 5),
            date(2026, 12, 5),
        )
    forecast = await acme.get("/forecast")
    assert forecast["usage_millicredits"] == 3_000_000, "700 credits in seven days"
    assert forecast["runway"]["spent_millicredits"] == 700_000
    assert (forecast["runway"]["from"], forecast["runway"]["to"]) == ("2026-11-17", "2026-11-23")
    price = {"local": 10_000_000, "mobile": 60_000_000}[line["kind"]]
    assert forecast["rents"] == [
        {"line_id": line["id"], "kind": line["kind"], "due_on": "2026-12-05", "amount_millicredits": price}
    ]
    assert forecast["total_millicredits"] == 3_000_000 + price
    available = (await acme.get("/balance"))["available_millicredits"]
    assert forecast["missing_millicredits"] == 3_000_000 + price - available
    clock.advance(seconds=-15 * 86_400)
    assert (await acme.get("/forecast"))["rents"] != []
    clock.advance(seconds=-15 * 86_400)
    assert (await acme.get("/forecast"))["rents"] == []
