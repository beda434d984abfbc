"""Two hundred calls ring at once at two gateways: as many are answered as can be paid, and no other is refused."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from gateway.simulator import twilio_call_wire as wire
from gateway.simulator.twilio_twiml import Reject
from tests.crash.test_kill import environment_of, gateways
from tests.stories.speech import FEE, INPUT, OUTPUT
from tests.stories.world import World, opened, until

CALLS = 200
CREDIT = 1_000
MINUTE = FEE + 600 * INPUT + 1_200 * OUTPUT  # in full
LEAST = FEE + 150 * INPUT + 300 * OUTPUT  # a fee and fifteen seconds

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]


async def answered(world: World, number: int) -> bool:
    """Let a call ring; say whether it is connected."""
    form = wire.call_form(
        sid=world.twilio.new_sid("CA"),
        account_sid=world.twilio.account_sid,
        caller=f"+4917000{number:05d}",
        to=world.salon.business.display_number,
        status="ringing",
        direction="inbound",
    )
    document = await world.twilio.calls.ask(world.twilio.voice_url, form)
    return not isinstance(document.verbs[0], Reject)


@pytest.mark.parametrize(
    ("beyond", "more"),
    [(LEAST // CREDIT + 1, 1), (LEAST // CREDIT, 0)],
    ids=["what is left pays fifteen seconds more", "what is left does not pay fifteen seconds"],
)
async def test_two_hundred_calls_at_once_are_answered_as_far_as_the_wallet_pays_and_not_one_less(
    database_url: str, tmp_path: Path, beyond: int, more: int
) -> None:
    async with opened(database_url, tmp_path, serve=False) as world:
        amount_credits = 3 * MINUTE // CREDIT + beyond
        await world.add_salon("Salon Lindenhof", amount_credits=amount_credits)
        async with gateways(environment_of(world, database_url, tmp_path), tmp_path / "gateways.log") as running:
            await running.all_answer()
            world.twilio.gateway_url = running.next_url
            told = await asyncio.gather(*(answered(world, number) for number in range(CALLS)))
            assert sum(told) == 3 + more
            balance, held, state = await world.wallet()
            assert (balance, state) == (amount_credits * CREDIT, "active")
            assert 3 * MINUTE + more * LEAST <= held <= balance
            rows = await world.rows("SELECT state, end_reason FROM call")
            assert Counter((row["state"], row["end_reason"]) for row in rows) == {
                ("offered", None): 3 + more,
                ("declined", "credits_in_flight"): CALLS - 3 - more,
            }
            await until(lambda: nothing_held(world), timeout_s=30)  # nobody came for them
            assert await answered(world, CALLS)
        await world.audit()


async def nothing_held(world: World) -> bool:
    return (await world.wallet())[1] == 0
