import pytest

from tests.gateway.api.conftest import Caller, Salon


async def test_an_owner_begins_upgrades_and_sees_what_is_due(acme: Caller, salon: Salon) -> None:
    del salon
    before = (await acme.ask("GET", "/plan")).content
    assert before["subscription"] is None
    assert [plan["name"] for plan in before["plans"]] == ["Start", "Business", "Pro"]
    begun = await acme.post("/plan", {"plan": "Start"})
    assert begun.content["invoice"]["state"] == "open"
    upgraded = (await acme.post("/plan", {"plan": "Business", "refill_now": True})).content
    assert upgraded["subscription"]["next_plan"] == "Business"
    assert (upgraded["invoice"]["purpose"], upgraded["invoice"]["amount_minor"]) == ("upgrade", 8000)
    assert (await acme.ask("GET", "/plan")).content["subscription"] == upgraded["subscription"]
    first = (await acme.ask("GET", "/invoices", query={"limit": 1})).content
    second = (await acme.ask("GET", "/invoices", query={"cursor": first["next_cursor"]})).content
    assert {page["items"][0]["purpose"] for page in (first, second)} == {"upgrade", "cycle"}
    assert (await acme.post("/plan", {"plan": "Start"})).code == "upgrade_committed"


async def test_a_refill_that_is_sent_again_buys_once(acme: Caller, salon: Salon) -> None:
    del salon
    await acme.post("/plan", {"plan": "Pro"})
    key = {"Idempotency-Key": "refill-1"}
    first, again = [await acme.ask("POST", "/plan/refill", headers=key) for _ in range(2)]
    assert (first.status, first.content) == (201, again.content)
    await acme.ask("POST", "/plan/refill")
    listed = (await acme.ask("GET", "/invoices")).content["items"]
    assert sorted(invoice["purpose"] for invoice in listed) == ["cycle", "refill", "refill"]


@pytest.mark.parametrize(("plan", "code"), [(None, "not_subscribed"), ("Start", "not_refillable")])
async def test_what_cannot_be_refilled_is_said(acme: Caller, salon: Salon, plan: str | None, code: str) -> None:
    del salon
    if plan is not None:
        await acme.post("/plan", {"plan": plan})
    assert (await acme.ask("POST", "/plan/refill")).code == code


async def test_an_unknown_plan_is_refused_and_another_tenants_invoices_are_not_seen(
    acme: Caller, mallory: Caller, salon: Salon
) -> None:
    del salon
    refused = await acme.post("/plan", {"plan": "Gold"})
    assert (refused.status, refused.fields) == (422, ["plan"])
    await acme.post("/plan", {"plan": "Start"})
    assert (await mallory.ask("GET", "/invoices")).content["items"] == []
    assert (await mallory.ask("GET", "/plan")).content["subscription"] is None
