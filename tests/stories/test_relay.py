"""A call that Twilio recognises and speaks, and the text agent answers: from the greeting to the receipts."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.logs import configure_logs
from gateway.simulator.openai_chat import Said
from gateway.simulator.twilio_call import PlacedCall
from tests.stories.world import SALON, World, opened, until

CALLER = "+491700000101"
RELAY_SALON = SALON.replace(
    "[agent.hours]", '[agent.voice]\nengine = "conversation_relay"\ntransfer_to = "+493012345678"\n[agent.hours]'
)
GREETING = "Hallo, hier ist die digitale Assistentin (KI) vom Salon Lindenhof."
PRICE = "Ein Haarschnitt kostet 42 Euro."


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    configure_logs()
    async with opened(database_url, tmp_path) as opened_world:
        await opened_world.add_salon("Salon Lindenhof", amount_credits=10_000, file=RELAY_SALON)
        yield opened_world


async def ring(world: World) -> PlacedCall:
    call = world.twilio.calls.place(CALLER, world.salon.business.display_number)
    await heard(call, GREETING)
    return call


async def heard(call: PlacedCall, text: str) -> None:
    await call.wait_for_heard(lambda placed: any(text in said for said in placed.said))


async def test_a_caller_is_greeted_answered_and_charged_for_the_words(world: World) -> None:
    before, _, _ = await world.wallet()
    call = await ring(world)
    await call.say("Was kostet ein Haarschnitt?")
    await heard(call, PRICE)
    await call.hang_up()
    await world.quiet()
    after, held, _ = await world.wallet()
    count = world.services.count_tokens
    spent = 95_000 + 295 * count("Was kostet ein Haarschnitt?") + 590 * (count(GREETING) + count(PRICE))
    assert (before - after, held) == (spent, 0)
    await world.audit()
