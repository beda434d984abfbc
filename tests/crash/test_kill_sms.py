"""`kill -9` at random points while SMS come and go: each received and each sent one is charged once, none doubled."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from gateway.simulator.twilio_customer import TwilioCustomer
from metering.rates import Item
from tests.crash.test_kill import GENEROUS, ROUNDS, all_fates_known, environment_of, gateways, thoughtful
from tests.stories.world import World, opened

KILLS = max(10, ROUNDS // 5)

pytestmark = [pytest.mark.crash, pytest.mark.timeout(1_800)]


async def test_killed_again_and_again_every_sms_is_charged_once_and_answered_once(
    database_url: str, tmp_path: Path
) -> None:
    async with opened(database_url, tmp_path, brain=thoughtful, serve=False) as world:
        await world.add_salon("Salon Lindenhof", amount_credits=20_000_000, file=GENEROUS)
        before, _, _ = await world.wallet()
        async with gateways(environment_of(world, database_url, tmp_path), tmp_path / "gateways.log") as running:
            world.twilio.gateway_url = running.next_url
            world.twilio.fallback_queue = True
            customers = [world.sms_customer(number) for number in range(8)]
            stop = asyncio.Event()
            writing = [asyncio.create_task(_keep_writing(customer, stop)) for customer in customers]
            for _ in range(KILLS):
                await running.kill_next()
            stop.set()
            written = sum(await asyncio.gather(*writing))
            await all_fates_known(world)
        await _each_charged_and_answered_once(world, written, before)
        print(f"\n{KILLS} kills, {written} SMS, {len(world.twilio.sent)} answers")


async def _keep_writing(customer: TwilioCustomer, stop: asyncio.Event) -> int:
    written = 0
    while not stop.is_set():
        await customer.write(f"Frage {written} von {customer.number}")
        written += 1
        await asyncio.sleep(0.3)
    return written


async def _each_charged_and_answered_once(world: World, written: int, before: int) -> None:
    inbound = await world.rows(
        """SELECT m.segments, t.state FROM message m LEFT JOIN turn t USING (tenant_id, turn_id)
           WHERE direction = 'in'"""
    )
    assert len(inbound) == written
    assert Counter(row["state"] for row in inbound) == {"charged": written}
    assert await world.rows("SELECT count(*) FROM receipt WHERE subject = 'received'") == [{"count": written}]
    turns = await world.receipts()
    assert await world.rows("SELECT count(*) FROM message WHERE direction = 'out'") == [{"count": len(turns)}]
    assert all(line.quantity >= 1 for turn in turns for line in turn.lines if line.item == Item.SMS_SENT)
    # A callback that met a dead gateway is not repeated, so that `sent` may be the last that is known.
    left = await world.rows("SELECT count(*) FROM message WHERE direction = 'out' AND state IN ('sent', 'delivered')")
    assert left == [{"count": len(world.twilio.sent)}]
    assert len({sent.callback for sent in world.twilio.sent}) == len(world.twilio.sent)
    entries = await world.rows("SELECT sum(amount_millicredits)::bigint AS sum FROM ledger_entry WHERE kind <> 'grant'")
    rent = 60_000_000
    assert (await world.wallet())[:2] == (before + int(str(entries[0]["sum"])) + rent, 0)
    await world.audit()
