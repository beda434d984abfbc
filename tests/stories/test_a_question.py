"""A customer asks, the agent answers, and the wallet has been charged for exactly that."""

from metering.rates import Item
from tests.stories.world import World


async def test_a_question_is_answered_and_charged_to_the_millicredit(world: World) -> None:
    before, _, _ = await world.wallet()
    anna = world.customer()
    await anna.write("Was kostet ein Haarschnitt?")
    text = await anna.next_text()
    await world.quiet()

    assert text.startswith("Hallo, hier ist die digitale Assistentin (KI) vom Salon Lindenhof.")
    assert text.endswith("Ein Haarschnitt kostet 42 Euro.")
    prompt = [message["content"] for message in world.model.requests[0]["messages"]]  # type: ignore[attr-defined]
    asked = sum(world.services.count_tokens(part) for part in prompt)
    said = world.services.count_tokens(text)
    (receipt,) = await world.receipts()
    assert {line.item: (line.quantity, line.amount_millicredits) for line in receipt.lines} == {
        Item.CHAT_INPUT: (asked, asked * 40),
        Item.CHAT_OUTPUT: (said, said * 200),
        Item.WHATSAPP_MESSAGE: (1, 0),
    }
    assert await world.wallet() == (before - asked * 40 - said * 200, 0, "active")
    assert [message["state"] for message in await world.rows("SELECT state FROM message WHERE direction = 'out'")] == [
        "read"
    ]
    await world.audit()
