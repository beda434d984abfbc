"""A caller who wants a person: put through, taken or not, paid on both legs, and back with the agent if need be."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.logs import configure_logs
from gateway.simulator.openai_chat import Call, Request, Said
from gateway.simulator.twilio_call import PlacedCall
from gateway.simulator.twilio_exchange import BUSY, MACHINE, NO_ANSWER, Answer
from tests.stories.relay import COLLEAGUE, FEE, GREETING, PRICE, heard, opened_salon, over, ring, spent, told
from tests.stories.test_a_booking import results_of
from tests.stories.world import World

A_PERSON = "Ich möchte mit einem Menschen sprechen."
QUESTION = "Was kostet ein Haarschnitt?"


def puts_through(request: Request) -> Said:
    """Put whoever asks for a person through, once; answer everybody else."""
    messages = request["messages"]
    assert isinstance(messages, list)
    asked = [message["content"] for message in messages if message["role"] == "user"][-1]
    if A_PERSON in str(asked) and not results_of(request):
        return Said(calls=[Call(name="transfer_call", arguments={"reason": "asked"})])
    return Said(text=PRICE)


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    configure_logs()
    settings = (f'transfer_to = "{COLLEAGUE}"', "transfer_timeout_s = 5")
    async with opened_salon(database_url, tmp_path, *settings, brain=puts_through) as opened_world:
        yield opened_world


async def wants_a_person(world: World) -> PlacedCall:
    call = await ring(world)
    await call.say(A_PERSON)
    await call.wait_for(lambda placed: bool(placed.legs))
    return call


async def test_a_caller_talks_with_a_person_and_both_legs_are_paid(world: World) -> None:
    before, _, _ = await world.wallet()
    world.twilio.calls.answers[COLLEAGUE] = Answer(talks_s=1.0)
    call = await wants_a_person(world)
    row = await over(world, call)
    assert (row["end_reason"], row["minutes_charged"]) == ("forwarded", 1)
    [leg] = await world.rows("SELECT outcome, minutes_charged, duration_s FROM call_leg")
    assert (leg["outcome"], leg["minutes_charged"]) == ("completed", 1)
    assert call.legs[0].bridged
    assert await spent(world, before) >= 2 * FEE
    await world.audit()


@pytest.mark.parametrize(
    "answer", [BUSY, NO_ANSWER, MACHINE, Answer(presses="2")], ids=["busy", "away", "machine", "no"]
)
async def test_if_nobody_takes_the_call_the_agent_goes_on(world: World, answer: Answer) -> None:
    world.twilio.calls.answers[COLLEAGUE] = answer
    call = await wants_a_person(world)
    assert call.said.count(GREETING) == 1
    await call.wait_for(lambda placed: placed.listener is not None and not placed.legs[-1].bridged, timeout_s=30)
    await call.say(QUESTION)
    await heard(call, PRICE, timeout_s=30)
    await told(world, call)
    await call.hang_up()
    row = await over(world, call)
    assert (row["end_reason"], row["minutes_charged"]) == ("caller_hung_up", 1)
    assert call.said.count(GREETING) == 1
    assert not call.legs[0].bridged
    await world.audit()


async def test_a_caller_who_hangs_up_while_a_person_is_called_leaves_nothing_behind(world: World) -> None:
    world.twilio.calls.answers[COLLEAGUE] = Answer(kind="rings")
    call = await wants_a_person(world)
    await call.hang_up()
    row = await over(world, call)
    assert row["minutes_charged"] == 1
    assert (await world.wallet())[1] == 0
    await world.audit()
