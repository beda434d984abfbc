"""SMS come in through Twilio's signed webhook: each is stored and charged once, whatever it says."""

import asyncio

from metering.rates import Item
from tests.stories.world import Salon, World

RECEIVED = 200_000  # millicredits for a segment


async def charged(world: World, *, salon: Salon | None = None) -> list[int]:
    """Return how many segments each received SMS was charged for, in the order of the charges."""
    rows = await world.rows("SELECT lines FROM receipt WHERE subject = 'received' ORDER BY sequence", salon=salon)
    lines = [row["lines"] for row in rows]
    assert all(line[0]["item"] == Item.SMS_RECEIVED for line in lines)  # type: ignore[index]  # JSON
    return [line[0]["quantity"] for line in lines]  # type: ignore[index]  # JSON


async def test_an_sms_that_twilio_posts_twenty_times_at_once_is_one_message_and_one_charge(world: World) -> None:
    before, _, _ = await world.wallet()
    world.twilio.faults.copies = 20
    anna = world.sms_customer()
    await anna.write("INFO")
    await anna.write("help")
    assert anna.status == 200
    assert await charged(world) == [1, 1]
    assert await world.rows("SELECT segments FROM message") == [{"segments": 1}] * 2
    assert (await world.wallet())[0] == before - 2 * RECEIVED
    await world.audit()


async def test_who_says_stop_hears_from_twilio_alone_and_nothing_more_until_start(world: World) -> None:
    anna = world.sms_customer()
    for words in ("STOP", "Seid ihr noch da? " * 10, "START"):
        await anna.write(words)
    await world.quiet()
    assert anna.received == []
    assert len(world.twilio.own_replies) == 2
    assert world.model.requests == []
    assert await charged(world) == [1, 2, 1]
    assert await world.rows("SELECT opted_out_at FROM service_window") == [{"opted_out_at": None}]
    await world.audit()


async def test_stop_by_sms_is_not_said_to_whatsapp(world: World) -> None:
    await world.sms_customer().write("CANCEL")
    anna = world.customer()
    await anna.write("Was kostet ein Haarschnitt?")
    assert "42 Euro" in await anna.next_text()
    await world.quiet()
    assert len(await world.rows("SELECT FROM contact")) == 1
    await world.audit()


async def test_two_hundred_sms_on_a_wallet_that_pays_for_seven(world: World) -> None:
    salon = await world.add_salon("Knapper Salon", amount_credits=0)
    await world.grant(salon.tenant_id, 7 * 200 + 100)
    await asyncio.gather(*(world.sms_customer(number, salon=salon).write("INFO") for number in range(200)))
    assert await charged(world, salon=salon) == [1] * 7
    assert await world.wallet(salon) == (100_000, 0, "paused")
    stored = await world.rows("SELECT content ? 'uncollected' AS uncollected FROM message", salon=salon)
    assert sorted(row["uncollected"] for row in stored) == [False] * 7 + [True] * 193  # type: ignore[type-var]  # booleans
    await world.grant(salon.tenant_id, 1_000_000)
    await world.quiet()
    assert await charged(world, salon=salon) == [1] * 7
    await world.audit()


async def test_a_flood_is_charged_up_to_the_daily_limit(world: World) -> None:
    await world.grant(world.salon.tenant_id, 20_000)
    limit = world.services.limits.sms_received_per_day
    flood, other = world.sms_customer(1), world.sms_customer(2)
    await asyncio.gather(*(flood.write("INFO") for _ in range(limit + 10)))
    await other.write("INFO")
    assert await charged(world) == [1] * (limit + 1)
    assert len(await world.rows("SELECT FROM message")) == limit + 11
    assert [row["kind"] for row in await world.rows("SELECT kind FROM alert WHERE kind = 'sms_flood'")] == ["sms_flood"]
    await world.audit()


async def test_an_sms_to_a_line_that_has_none_is_put_aside_uncharged(world: World) -> None:
    await world.rows("UPDATE line SET channels = '{whatsapp}'")
    anna = world.sms_customer()
    await anna.write("Hallo")
    assert anna.status == 200
    assert await charged(world) == []
    async with world.services.db.queue() as connection:
        kept = await connection.fetch("SELECT reason FROM quarantine")
    assert [row["reason"] for row in kept] == ["channel_not_on_line"]
