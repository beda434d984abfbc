"""Credits end: exactly what can be paid is answered, nothing is lost, and a grant answers the rest."""

import asyncio

import pytest

from metering.rates import Item
from tests.stories.world import World

AWAY = "Wir melden uns, sobald es geht."
GREETING = "Hallo, hier ist die digitale Assistentin (KI) vom Salon Lindenhof."
FRUGAL = """
[[agent]]
name = "Rezeption"
instructions = "Du bist die Rezeption."
away_text = "Wir melden uns, sobald es geht."
answer_max_tokens = 100
[agent.budgets]
contact = 60
[[line]]
number = "{number}"
kind = "mobile"
agent = "Rezeption"
channels = ["whatsapp"]
whatsapp_provider = "meta"
whatsapp_phone_number_id = "{phone_number_id}"
"""


async def test_an_empty_wallet_calls_no_model_and_a_grant_answers_what_waited(world: World) -> None:
    broke = await world.add_salon("Leerer Salon", amount_credits=0)
    anna = world.customer(salon=broke)
    await anna.write("Was kostet ein Haarschnitt?")
    assert await anna.next_text() == AWAY
    await anna.write("Hallo?")
    await world.quiet()
    assert world.model.requests == []
    assert [sent.text for sent in anna.received] == [AWAY]
    assert (await world.wallet(broke))[2] == "paused"
    alerts = await world.rows("SELECT kind FROM alert", salon=broke)
    assert alerts == [{"kind": "paused"}]

    await world.grant(broke.tenant_id, 1_000)
    text = await anna.next_text()
    await world.quiet()
    assert "42 Euro" in text
    assert len(await world.receipts(broke)) == 1
    assert (await world.wallet(broke))[2] == "active"
    await world.audit()


@pytest.mark.timeout(180)
async def test_two_hundred_conversations_on_a_nearly_empty_wallet(world: World) -> None:
    salon = await world.add_salon("Knapper Salon", amount_credits=0)
    probe = world.customer(9_999)
    await probe.write("Was kostet ein Haarschnitt?")
    await probe.next_text()
    await world.quiet()
    (receipt,) = await world.receipts(world.salon)
    cost = receipt.total_millicredits
    # What a hold needs at the least: the prompt, the greeting and 128 tokens of an answer that is shorter in truth.
    asked = next(line.amount_millicredits for line in receipt.lines if line.item is Item.CHAT_INPUT)
    least = asked + 200 * (world.services.count_tokens(f"{GREETING}\n\n") + 128)
    await world.grant(salon.tenant_id, (10 * cost + least) // 1000)
    before, _, _ = await world.wallet(salon)
    affordable = (before - least) // cost + 1

    customers = [world.customer(number, salon=salon) for number in range(200)]
    await asyncio.gather(*(customer.write("Was kostet ein Haarschnitt?") for customer in customers))
    await world.quiet(timeout_s=90)
    answered = await world.receipts(salon)
    balance, held, state = await world.wallet(salon)
    assert len(answered) == affordable
    assert (balance, held, state) == (before - affordable * cost, 0, "paused")
    away = [customer for customer in customers if [sent.text for sent in customer.received] == [AWAY]]
    assert len(away) == 200 - affordable
    await world.audit()

    await world.grant(salon.tenant_id, 200 * cost // 1000 + 200)
    await world.quiet(timeout_s=90)
    assert len(await world.receipts(salon)) == 200
    assert all("42 Euro" in customer.received[-1].text for customer in customers)
    await world.audit()


async def test_a_daily_limit_per_contact_stops_a_flooding_customer_and_nobody_else(world: World) -> None:
    salon = await world.add_salon("Sparsamer Salon", amount_credits=5_000, file=FRUGAL)
    flood, other = world.customer(1, salon=salon), world.customer(2, salon=salon)
    for number in range(6):
        await flood.write(f"Frage {number}")
        await world.quiet()
    await other.write("Was kostet ein Haarschnitt?")
    assert "42 Euro" in await other.next_text()
    await world.quiet()
    texts = [sent.text for sent in flood.received]
    assert texts.count(AWAY) == 1
    assert 0 < len(texts) - 1 < 6
    spent = await world.rows(
        "SELECT sum(total_millicredits)::bigint AS spent FROM receipt r JOIN contact_address a USING (contact_id) "
        "WHERE r.subject = 'turn' AND a.address = '+491700000001'",
        salon=salon,
    )
    assert 0 < int(str(spent[0]["spent"])) <= 60_000
    assert (await world.wallet(salon))[2] == "active"
    await world.audit()
