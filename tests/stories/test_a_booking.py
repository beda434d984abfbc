"""A customer books: looked up, booked and told in one turn, charged without the tools, and never twice."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from agents.local_time import say_moment
from gateway.channels.base import Address
from gateway.contacts import resolve
from gateway.simulator.openai_chat import Call, Request, Said
from metering.rates import Item
from tests.stories.world import World

BERLIN = ZoneInfo("Europe/Berlin")


async def nothing() -> None:
    pass


@dataclass
class Receptionist:
    """Looks up the wished day, books the first time it is told, and says what came of it.

    What a story lets happen in between is awaited before the booking and before it is told.
    """

    day: str
    before_booking: Callable[[], Awaitable[object]] = nothing
    before_telling: Callable[[], Awaitable[object]] = nothing
    told: int = 0

    async def __call__(self, request: Request) -> Said:
        results = results_of(request)
        if not results:
            return Said(calls=[Call(name="free_appointments", arguments={"day": self.day})])
        if results[-1].startswith("Error"):
            return Said(text=f"Leider nein: {results[-1]}")
        found = json.loads(results[-1])
        if "booked" in found:
            self.told += 1
            await self.before_telling()
            return Said(text=f"Gebucht: {found['booked']['spoken']}.")
        await self.before_booking()
        return Said(calls=[Call(name="book_appointment", arguments={"start": found["free"][0]["start"]})])


def results_of(request: Request) -> list[str]:
    """The tool results that follow what the customer wrote last."""
    results: list[str] = []
    messages = request["messages"]
    assert isinstance(messages, list)
    for message in messages:
        if message["role"] == "user":
            results.clear()
        elif message["role"] == "tool":
            results.append(message["content"])
    return results


def next_friday(world: World) -> datetime:
    """Opening time on the next Friday after today."""
    today = world.clock.now().astimezone(BERLIN).date()
    friday = today + timedelta(days=(4 - today.weekday() - 1) % 7 + 1)
    return datetime(friday.year, friday.month, friday.day, 9, tzinfo=BERLIN)


async def appointments(world: World) -> list[dict[str, object]]:
    return await world.rows(
        """SELECT a.service, lower(a.during) AS start, a.state, d.address FROM appointment a
           JOIN contact_address d USING (tenant_id, contact_id) WHERE d.kind = 'phone' ORDER BY a.during"""
    )


async def test_a_booking_is_made_in_one_turn_and_charged_without_its_tools(world: World) -> None:
    nine = next_friday(world)
    world.model.brain = Receptionist(nine.date().isoformat())
    before, _, _ = await world.wallet()
    anna = world.customer()
    await anna.write("Haben Sie am Freitag etwas frei?")
    text = await anna.next_text()
    await world.quiet()

    assert text.endswith(f"Gebucht: {say_moment(nine, BERLIN, 'de')}.")
    assert await appointments(world) == [
        {"service": "Haarschnitt", "start": nine, "state": "booked", "address": f"+{anna.person.wa_id}"}
    ]
    first, *others = world.model.requests
    assert len(others) == 2
    prompt = [message["content"] for message in first["messages"]]  # type: ignore[attr-defined]
    asked = sum(world.services.count_tokens(part) for part in prompt)
    said = world.services.count_tokens(text)
    (receipt,) = await world.receipts()
    assert {line.item: (line.quantity, line.amount_millicredits) for line in receipt.lines} == {
        Item.CHAT_INPUT: (asked, asked * 40),
        Item.CHAT_OUTPUT: (said, said * 200),
        Item.TOOL_USE: (2, 0),
        Item.WHATSAPP_MESSAGE: (1, 0),
    }
    assert (await world.wallet())[0] == before - asked * 40 - said * 200
    await world.audit()


async def test_two_customers_who_want_the_same_time_get_one_booking_and_one_refusal(world: World) -> None:
    nine = next_friday(world)
    world.model.brain = Receptionist(nine.date().isoformat(), before_booking=asyncio.Barrier(2).wait)
    customers = [world.customer(1), world.customer(2, name="Ben")]
    await asyncio.gather(*(customer.write("Haben Sie am Freitag etwas frei?") for customer in customers))
    texts = [await customer.next_text() for customer in customers]
    await world.quiet()

    booked = [customer for customer, text in zip(customers, texts, strict=True) if "Gebucht: " in text]
    assert [row["address"] for row in await appointments(world)] == [f"+{customer.person.wa_id}" for customer in booked]
    assert len(booked) == 1
    refused = next(text for text in texts if "Gebucht: " not in text)
    assert "Leider nein: Error: Freitag, " in refused
    assert f"Free instead: {nine.replace(hour=9, minute=45).isoformat(timespec='minutes')}" in refused
    assert len(await world.receipts()) == 2
    await world.audit()


async def test_when_the_model_breaks_after_the_booking_the_other_one_tells_of_it(world: World) -> None:
    nine = next_friday(world)

    async def go_down() -> None:
        world.model.faults.models_down = {"gpt-4o-mini"}
        world.model.faults.dropped = 1

    world.model.brain = Receptionist(nine.date().isoformat(), before_booking=go_down)
    anna = world.customer()
    await anna.write("Haben Sie am Freitag etwas frei?")
    text = await anna.next_text(timeout_s=25)
    await world.quiet()

    assert text.endswith(f"Gebucht: {say_moment(nine, BERLIN, 'de')}.")
    assert world.model.requests[-1]["model"] == "gpt-4o"
    assert [row["start"] for row in await appointments(world)] == [nine]
    (receipt,) = await world.receipts()
    assert {line.item: line.quantity for line in receipt.lines}[Item.TOOL_USE] == 2
    await world.audit()


async def test_a_turn_that_is_answered_again_after_its_booking_does_not_book_again(world: World) -> None:
    nine = next_friday(world)

    async def lose_the_lease() -> None:
        """Another worker takes the conversation over, once."""
        if receptionist.told == 1:
            await world.rows(
                "UPDATE conversation SET lease_epoch = lease_epoch + 1, lease_until = now() - interval '1 second' "
                "RETURNING conversation_id"
            )

    receptionist = Receptionist(nine.date().isoformat(), before_telling=lose_the_lease)
    world.model.brain = receptionist
    anna = world.customer()
    await anna.write("Haben Sie am Freitag etwas frei?")
    text = await anna.next_text()
    await world.quiet()

    assert text.endswith(f"Gebucht: {say_moment(nine, BERLIN, 'de')}.")
    assert receptionist.told == 2
    assert [row["start"] for row in await appointments(world)] == [nine]
    turns = await world.rows("SELECT attempt, state FROM turn")
    assert turns == [{"attempt": 2, "state": "charged"}]
    calls = await world.rows("SELECT name, attempt, state FROM tool_call")
    assert calls == [{"name": "book_appointment", "attempt": 1, "state": "done"}]
    assert len(anna.received) == len(await world.receipts()) == 1
    await world.audit()


async def test_a_customer_moves_and_cancels_and_only_their_own_appointment_changes(world: World) -> None:
    nine = next_friday(world)
    world.model.brain = Receptionist(nine.date().isoformat())
    ben, anna = world.customer(2, name="Ben"), world.customer()
    for customer in (ben, anna):
        await customer.write("Haben Sie am Freitag etwas frei?")
        await customer.next_text()
    await world.quiet()

    def changes(name: str, **arguments: object) -> None:
        def brain(request: Request) -> Said:
            told = results_of(request)
            return Said(text=told[-1]) if told else Said(calls=[Call(name=name, arguments=arguments)])

        world.model.brain = brain

    changes("move_appointment", start=nine.isoformat(), new_start=nine.replace(hour=14).isoformat())
    await anna.write("Ich hätte gern den anderen.")
    assert "there is no such appointment" in await anna.next_text()
    await world.quiet()
    changes("move_appointment", new_start=nine.replace(hour=14).isoformat())
    await anna.write("Geht es auch um 14 Uhr?")
    assert '"moved"' in await anna.next_text()
    await world.quiet()
    changes("cancel_appointment")
    await ben.write("Ich kann doch nicht kommen.")
    assert '"cancelled"' in await ben.next_text()
    await world.quiet()
    assert [(row["start"], row["state"], row["address"]) for row in await appointments(world)] == [
        (nine, "cancelled", f"+{ben.person.wa_id}"),
        (nine.replace(hour=14), "booked", f"+{anna.person.wa_id}"),
    ]
    await world.audit()


async def test_a_booking_made_while_two_contacts_become_one_belongs_to_the_one(world: World) -> None:
    tenant_id, bsuid = world.salon.tenant_id, Address(kind="bsuid", value="DE.77")

    async def seen_together(*addresses: Address, ago: timedelta = timedelta()) -> None:
        now = world.clock.now() - ago
        async with world.services.db.transaction(tenant_id) as connection:
            await resolve(connection, tenant_id, addresses, now=now, new_id=world.services.new_id)

    await seen_together(bsuid, ago=timedelta(hours=1))
    anna = world.customer()
    phone = Address(kind="phone", value=f"+{anna.person.wa_id}")
    day = next_friday(world).date().isoformat()
    world.model.brain = Receptionist(day, before_booking=lambda: seen_together(bsuid, phone))
    await anna.write("Haben Sie etwas frei?")
    await anna.next_text()
    await world.quiet()
    booked = await world.rows("SELECT contact_id FROM appointment WHERE state = 'booked'")
    assert booked == await world.rows("SELECT contact_id FROM contact")
    await world.audit()
