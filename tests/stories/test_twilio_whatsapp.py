"""WhatsApp by Twilio's senders: the same turn, the same window with a larger margin, shorter messages."""

from datetime import timedelta

import pytest

from gateway.simulator.openai_chat import Said
from metering.rates import Item
from tests.stories.world import SALON, Salon, World

QUESTION = "Was kostet ein Haarschnitt?"
BY_TWILIO = SALON.replace('whatsapp_provider = "meta"\nwhatsapp_phone_number_id = "{phone_number_id}"\n', "").replace(
    '"voice"]', '"voice"]\nwhatsapp_provider = "twilio"'
)


@pytest.fixture
async def salon(world: World) -> Salon:
    return await world.add_salon("Salon bei Twilio", amount_credits=10_000, file=BY_TWILIO)


async def test_a_turn_costs_its_tokens_and_the_message_nothing(world: World, salon: Salon) -> None:
    before, _, _ = await world.wallet(salon)
    anna = world.twilio_customer(salon=salon)
    sid = await anna.write(QUESTION)
    assert "42 Euro" in await anna.next_text()
    await world.quiet()
    (receipt,) = await world.receipts(salon)
    assert [line.item for line in receipt.lines] == [Item.CHAT_INPUT, Item.CHAT_OUTPUT, Item.WHATSAPP_MESSAGE]
    assert await world.wallet(salon) == (before - receipt.total_millicredits, 0, "active")
    assert sid in world.twilio.read_and_typing
    rows = await world.rows("SELECT state, segments FROM message WHERE direction = 'out'", salon=salon)
    assert rows == [{"state": "read", "segments": None}]
    await world.audit()


async def test_a_long_answer_leaves_in_parts_that_twilio_takes(world: World, salon: Salon) -> None:
    world.model.brain = lambda _request: Said(text="Wir schneiden Haare sehr gern. " * 100)
    anna = world.twilio_customer(salon=salon)
    await anna.write(QUESTION)
    await world.quiet()
    assert len(world.model.requests) == 1
    assert 1 < len(anna.received) <= 3
    assert all(len(sent.body) <= 1_600 for sent in anna.received)
    await world.audit()


async def test_the_window_closes_five_minutes_early_because_twilio_tells_no_time(world: World, salon: Salon) -> None:
    anna = world.twilio_customer(salon=salon)
    await anna.write(QUESTION)
    await anna.next_text()
    await world.quiet()
    (conversation,) = await world.rows("SELECT conversation_id FROM conversation", salon=salon)
    path = f"/api/v1/conversations/{conversation['conversation_id']}/messages"
    world.clock.by += timedelta(hours=23, minutes=54)
    status, _ = await world.api("POST", path, salon=salon, json={"text": "Bis gleich!"})
    assert status == 201
    status, problem = await world.api("POST", path, salon=salon, json={"text": "a" * 1_601})
    assert (status, problem["code"]) == (422, "message_too_long")
    world.clock.by += timedelta(minutes=1)
    status, problem = await world.api("POST", path, salon=salon, json={"text": "Bis gleich!"})
    assert (status, problem["code"]) == (409, "service_window_closed")


async def test_a_window_that_is_closed_at_twilio_is_closed_here_and_the_answer_given_back(
    world: World, salon: Salon
) -> None:
    before = await world.wallet(salon)
    world.twilio.faults.failed_later_codes = [63016]
    anna = world.twilio_customer(salon=salon)
    await anna.write(QUESTION)
    await anna.next_text()
    await world.quiet()
    assert await world.wallet(salon) == before
    (window,) = await world.rows("SELECT closed_by_provider_at FROM service_window", salon=salon)
    assert window["closed_by_provider_at"] is not None
    assert [row["kind"] for row in await world.rows("SELECT kind FROM alert", salon=salon)] == ["window_closed"]
    await world.audit()


async def test_an_answer_in_several_parts_is_begun_only_if_all_of_it_is_paid(world: World) -> None:
    talkative = SALON.replace("answer_max_tokens = 400", "answer_max_tokens = 4000")
    world.model.brain = lambda _request: Said(text="Wir schneiden Haare sehr gern und zu jeder Zeit. " * 300)
    # Enough for the prompt and a part of the answer, not for all of it.
    salon = await world.add_salon("Fast leerer Salon", amount_credits=420, file=talkative)
    anna = world.customer(salon=salon)
    await anna.write(QUESTION)
    await anna.next_text()
    await world.quiet()
    texts = [sent.text for sent in anna.received]
    (receipt,) = await world.receipts(salon)
    said = next(line.quantity for line in receipt.lines if line.item is Item.CHAT_OUTPUT)
    assert said == sum(map(world.services.count_tokens, texts))
    assert texts[-1].endswith("…")
    states = await world.rows("SELECT state FROM message WHERE direction = 'out'", salon=salon)
    assert [row["state"] for row in states] == ["read"] * len(texts)
    balance, held, _ = await world.wallet(salon)
    assert (balance, held) == (420_000 - receipt.total_millicredits, 0)
    assert balance >= 0

    for _ in texts[1:]:
        await anna.next_text()

    # What is left does not pay for the least of an answer: nothing of it is begun.
    await anna.write("Und sonst?")
    await world.quiet()
    assert [sent.text for sent in anna.received] == [*texts, "Wir melden uns, sobald es geht."]
    assert len(await world.receipts(salon)) == 1
    await world.audit()
