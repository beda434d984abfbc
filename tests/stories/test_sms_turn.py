"""A turn by SMS: what came, what was thought and what was sent, each paid to the millicredit and kept short."""

import pytest

from gateway.simulator.openai_chat import Request, Said
from metering.rates import Item
from metering.receipts import Receipt
from tests.stories.world import SALON, World

GREETING = "Hallo, hier ist die digitale Assistentin (KI) vom Salon Lindenhof."
OPENING = f"{GREETING}\n\n"
QUESTION = "Was kostet ein Haarschnitt?"
SEGMENT, RECEIVED = 2_500_000, 200_000  # millicredits
LONG = "Wir schneiden Haare sehr gern und zu jeder Zeit. " * 40


@pytest.fixture(autouse=True)
async def _credits(world: World) -> None:
    await world.grant(world.salon.tenant_id, 90_000)


def quantities(receipt: Receipt) -> dict[Item, int]:
    return {line.item: line.quantity for line in receipt.lines}


def asked_texts(request: Request) -> list[str]:
    return [message["content"] for message in request["messages"]]  # type: ignore[attr-defined]  # the wire format


async def test_an_sms_turn_is_charged_to_the_millicredit(world: World) -> None:
    before, _, _ = await world.wallet()
    anna = world.sms_customer()
    await anna.write(QUESTION)
    answer = await anna.next_message()
    await world.quiet()
    assert answer.body == f"{OPENING}Ein Haarschnitt kostet 42 Euro."
    (receipt,) = await world.receipts()
    count = world.services.count_tokens
    said = count(answer.body)
    asked = sum(map(count, asked_texts(world.model.requests[0])))
    assert quantities(receipt) == {Item.CHAT_INPUT: asked, Item.CHAT_OUTPUT: said, Item.SMS_SENT: 1}
    assert receipt.total_millicredits == asked * 40 + said * 200 + SEGMENT
    assert await world.wallet() == (before - RECEIVED - receipt.total_millicredits, 0, "active")
    (sent,) = await world.rows("SELECT segments, state FROM message WHERE direction = 'out'")
    assert sent == {"segments": 1, "state": "delivered"}
    await world.audit()


@pytest.mark.parametrize(("length", "segments"), [(160, 1), (161, 2), (306, 2), (307, 3), (612, 4)])
async def test_an_answer_costs_its_segments(world: World, length: int, segments: int) -> None:
    world.model.brain = lambda _request: Said(text=("Gern. " * 200)[: length - len(OPENING) - 1] + "!")
    anna = world.sms_customer()
    await anna.write(QUESTION)
    answer = await anna.next_message()
    await world.quiet()
    assert len(answer.body) == length
    (receipt,) = await world.receipts()
    assert quantities(receipt)[Item.SMS_SENT] == answer.segments == segments
    assert len(world.model.requests) == 1
    await world.audit()


async def test_emoji_and_typographic_signs_are_replaced_unless_the_owner_wants_them(world: World) -> None:
    world.model.brain = lambda _request: Said(text="„Gern“ \u2013 um 10 Uhr 😀")
    modern_file = SALON.replace("[agent.hours]", "[agent.sms]\nallow_unicode = true\n[agent.hours]")
    modern = await world.add_salon("Moderner Salon", amount_credits=50_000, file=modern_file)
    plain, bright = world.sms_customer(1), world.sms_customer(2, salon=modern)
    await plain.write(QUESTION)
    await bright.write(QUESTION)
    assert await plain.next_text() == f'{OPENING}"Gern" - um 10 Uhr'
    answer = await bright.next_message()
    assert answer.body.endswith("😀")
    await world.quiet()
    (receipt,) = await world.receipts(world.salon)
    assert quantities(receipt)[Item.SMS_SENT] == 1
    (receipt,) = await world.receipts(modern)
    assert quantities(receipt)[Item.SMS_SENT] == answer.segments == 2  # 70 characters do not hold the greeting
    await world.audit()


async def test_an_answer_that_is_too_long_is_asked_for_again_and_the_second_request_is_free(world: World) -> None:
    texts = iter([LONG, "Gern, kommen Sie vorbei."])
    world.model.brain = lambda _request: Said(text=next(texts))
    anna = world.sms_customer()
    await anna.write(QUESTION)
    assert await anna.next_text() == f"{OPENING}Gern, kommen Sie vorbei."
    await world.quiet()
    first, second = world.model.requests
    (receipt,) = await world.receipts()
    assert quantities(receipt)[Item.CHAT_INPUT] == sum(map(world.services.count_tokens, asked_texts(first)))
    assert asked_texts(second)[: len(asked_texts(first))] == asked_texts(first)
    assert str(4 * 153 - len(OPENING)) in asked_texts(second)[-1]
    assert str(4 * 153 - len(OPENING)) in asked_texts(first)[0]
    await world.audit()


async def test_an_answer_that_stays_too_long_is_cut_at_a_sentence_with_a_notice(world: World) -> None:
    world.model.brain = lambda _request: Said(text=LONG)
    anna = world.sms_customer()
    await anna.write(QUESTION)
    answer = await anna.next_message()
    await world.quiet()
    assert answer.body.endswith("zu jeder Zeit. (...)")
    assert answer.segments == 4
    assert len(world.model.requests) == 2
    (receipt,) = await world.receipts()
    assert quantities(receipt)[Item.SMS_SENT] == 4
    await world.audit()


async def test_the_owner_chooses_how_many_segments_an_answer_may_have(world: World) -> None:
    terse = SALON.replace("[agent.hours]", "[agent.sms]\nsegments_max = 2\n[agent.hours]")
    salon = await world.add_salon("Knapper Salon", amount_credits=50_000, file=terse)
    world.model.brain = lambda _request: Said(text=LONG)
    anna = world.sms_customer(salon=salon)
    await anna.write(QUESTION)
    assert (await anna.next_message()).segments == 2
    await world.quiet()
    await world.audit()


async def test_a_low_balance_lowers_the_answer_to_one_segment_before_it_waits_for_credits(world: World) -> None:
    salon = await world.add_salon("Fast leerer Salon", amount_credits=5_000)
    world.model.brain = lambda _request: Said(text=LONG)
    anna = world.sms_customer(salon=salon)
    await anna.write(QUESTION)
    answer = await anna.next_message()
    await world.quiet()
    assert answer.segments == 1
    (receipt,) = await world.receipts(salon)
    assert quantities(receipt)[Item.SMS_SENT] == 1
    balance, held, state = await world.wallet(salon)
    assert (balance, held, state) == (5_000_000 - RECEIVED - receipt.total_millicredits, 0, "active")

    await anna.write("Und sonst?")
    await world.quiet()
    assert len(anna.received) == 1
    assert (await world.wallet(salon))[2] == "paused"
    await world.grant(salon.tenant_id, 20_000)
    assert (await anna.next_message()).segments == 4
    await world.quiet()
    await world.audit()


async def test_a_daily_limit_shrinks_the_answer_and_then_says_nothing_at_all(world: World) -> None:
    frugal = SALON.replace("[agent.hours]", "[agent.budgets]\ncontact = 4000\n[agent.hours]")
    salon = await world.add_salon("Sparsamer Salon", amount_credits=50_000, file=frugal)
    world.model.brain = lambda _request: Said(text=LONG)
    anna = world.sms_customer(salon=salon)
    await anna.write(QUESTION)
    assert (await anna.next_message()).segments == 1
    await world.quiet()
    await anna.write("Und sonst?")
    await world.quiet()
    assert len(anna.received) == 1  # no away text: somebody would have to pay for it
    (told,) = await world.rows("SELECT kind FROM alert WHERE kind = 'over_budget'", salon=salon)
    assert told == {"kind": "over_budget"}
    assert (await world.wallet(salon))[2] == "active"
    await world.audit()


async def test_without_any_model_nothing_is_sent_and_the_owner_is_told(world: World) -> None:
    before, _, _ = await world.wallet()
    world.model.faults.down = True
    anna = world.sms_customer()
    await anna.write(QUESTION)
    await world.quiet(timeout_s=40)
    assert anna.received == []
    assert await world.wallet() == (before - RECEIVED, 0, "active")
    assert [row["kind"] for row in await world.rows("SELECT kind FROM alert")] == ["model_down"]
    assert await world.rows("SELECT pending_since IS NULL AS answered FROM conversation") == [{"answered": False}]


async def test_whoever_asks_for_a_person_is_handed_over_in_silence(world: World) -> None:
    before, _, _ = await world.wallet()
    anna = world.sms_customer()
    await anna.write("Mensch bitte")
    await world.quiet()
    assert anna.received == []
    assert await world.rows("SELECT mode FROM conversation") == [{"mode": "human"}]
    assert [row["kind"] for row in await world.rows("SELECT kind FROM alert")] == ["handover"]
    assert (await world.wallet())[0] == before - RECEIVED


async def test_what_a_person_writes_by_sms_is_paid_by_segment(world: World) -> None:
    anna = world.sms_customer()
    await anna.write(QUESTION)
    await anna.next_text()
    await world.quiet()
    before, _, _ = await world.wallet()
    (conversation,) = await world.rows("SELECT conversation_id FROM conversation")
    path = f"/api/v1/conversations/{conversation['conversation_id']}/messages"
    status, _ = await world.api("POST", path, json={"text": "„Bis morgen“, sagt Ihr Salon. " * 6})
    assert status == 201
    sent = await anna.next_message()
    await world.quiet()
    assert (sent.segments, sent.body[:12]) == (2, '"Bis morgen"')
    assert await world.wallet() == (before - 2 * SEGMENT, 0, "active")
    status, problem = await world.api("POST", path, json={"text": "a" * 1_601})
    assert (status, problem["code"]) == (422, "message_too_long")
    await anna.write("STOP")
    status, problem = await world.api("POST", path, json={"text": "Schade."})
    assert (status, problem["code"]) == (409, "contact_opted_out")
    await world.audit()


async def test_a_person_cannot_write_an_sms_that_is_not_paid(world: World) -> None:
    salon = await world.add_salon("Fast leerer Salon", amount_credits=1_000)
    anna = world.sms_customer(salon=salon)
    await anna.write("Mensch")
    await world.quiet()
    (conversation,) = await world.rows("SELECT conversation_id FROM conversation", salon=salon)
    path = f"/api/v1/conversations/{conversation['conversation_id']}/messages"
    status, problem = await world.api("POST", path, salon=salon, json={"text": "Guten Tag"})
    assert (status, problem["code"]) == (402, "insufficient_credits")
    assert anna.received == []
    await world.audit()


async def test_no_sms_is_written_while_the_tenant_is_paused(world: World) -> None:
    await world.sms_customer().write("Mensch")
    await world.quiet()
    (conversation,) = await world.rows("SELECT conversation_id FROM conversation")
    path = f"/api/v1/conversations/{conversation['conversation_id']}/messages"
    await world.rows("UPDATE wallet SET state = 'paused', paused_at = now()")
    status, problem = await world.api("POST", path, json={"text": "Guten Tag"})
    assert (status, problem["code"]) == (402, "tenant_paused")
    await world.rows("UPDATE wallet SET state = 'active', paused_at = NULL")
    await world.rows("UPDATE line SET channels = '{whatsapp}'")
    status, problem = await world.api("POST", path, json={"text": "Guten Tag"})
    assert (status, problem["code"]) == (409, "channel_not_writable")
    await world.audit()
