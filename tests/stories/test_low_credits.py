"""Credits run down to nothing: the owner hears of it three times in each way, and a grant answers what waited."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.logs import configure_logs
from gateway.mail import mail_due
from gateway.services import Services
from metering.rates import Item
from tests.gateway.mail_catcher import MailCatcher
from tests.gateway.receiver import Receiver
from tests.stories.world import QUICK, Salon, World, opened, until

GREETING = "Hallo, hier ist die digitale Assistentin (KI) vom Salon Lindenhof."
QUESTION = "Was kostet ein Haarschnitt?"
TOLD = ["low_balance", "low_balance", "paused"]
EVENTS = ["balance.low", "balance.low", "tenant.paused"]


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    configure_logs()
    limits = replace(QUICK, webhooks_may_stay_inside=True)
    async with opened(database_url, tmp_path, limits=limits) as opened_world:
        await opened_world.add_salon("Salon Lindenhof", amount_credits=1_000)
        yield opened_world


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    server = await made.start()
    yield made
    await server.close()


async def subscribed(world: World, salon: Salon, url: str) -> dict[str, Any]:
    kinds = ["balance.low", "tenant.paused"]
    status, webhook = await world.api("POST", "/api/v1/webhooks", salon=salon, json={"url": url, "kinds": kinds})
    assert status == 201, webhook
    return webhook


async def nearly_enough(world: World, salon: Salon, turns: int) -> None:
    """Grant what so many questions cost, and a little less than another one's hold asks for."""
    probe = world.customer(9_999)
    await probe.write(QUESTION)
    await probe.next_text()
    await world.quiet()
    (receipt,) = await world.receipts(world.salon)
    asked = next(line.amount_millicredits for line in receipt.lines if line.item is Item.CHAT_INPUT)
    least = asked + 200 * (world.services.count_tokens(f"{GREETING}\n\n") + 128)
    assert least > receipt.total_millicredits
    await world.grant(salon.tenant_id, ((turns - 1) * receipt.total_millicredits + least) // 1_000 + 1)


async def spend_it_all(world: World, salon: Salon, mailing: Services) -> None:
    """Let customers ask one after the other until the wallet pauses; mail what the owner is to hear after each."""
    number = 0
    while (await world.wallet(salon))[2] != "paused":
        number += 1
        await world.customer(number, salon=salon).write(QUESTION)
        await world.quiet()
        await mail_due(mailing)


async def has(receiver: Receiver, count: int) -> None:
    async def came() -> bool:
        return len(receiver.received) >= count

    await until(came)


async def test_the_owner_is_told_three_times_and_a_grant_answers_what_waited(world: World, receiver: Receiver) -> None:
    salon = await world.add_salon("Knapper Salon", amount_credits=0)
    async with world.services.db.transaction(salon.tenant_id) as connection:
        await connection.execute("UPDATE tenant SET alert_email = 'chefin@salon.example'")
    webhook = await subscribed(world, salon, receiver.url)
    await nearly_enough(world, salon, turns=12)
    async with MailCatcher().running() as catcher:
        settings = world.services.settings.model_copy(update={"smtp_url": catcher.url})
        mailing = replace(world.services, settings=settings)
        await spend_it_all(world, salon, mailing)
        alerts = await world.rows("SELECT kind, detail FROM alert ORDER BY alert_id", salon=salon)
        assert [alert["kind"] for alert in alerts] == TOLD
        assert catcher.subjects == [
            "Guthaben unter 20 % (Knapper Salon)",
            "Guthaben unter 10 % (Knapper Salon)",
            "Guthaben aufgebraucht: Der Agent antwortet nicht mehr (Knapper Salon)",
        ]
    await has(receiver, 3)
    assert sorted(receiver.kinds) == sorted(EVENTS)
    assert all(post.is_signed_by(webhook["secret"]) for post in receiver.received)
    low = next(post.body["data"] for post in receiver.received if post.body["data"]["percent"] == 20)
    assert low["balance_millicredits"] * 5 <= low["full_millicredits"]

    late = [world.customer(100 + each, salon=salon) for each in range(3)]
    for customer in late:
        await customer.write(QUESTION)
        await world.quiet()
    assert len(await world.receipts(salon)) == 12
    await world.grant(salon.tenant_id, 5_000)
    await world.quiet()
    assert all("42 Euro" in customer.received[-1].text for customer in late)
    await world.audit()


async def test_a_receiver_that_is_down_hears_of_it_later_and_the_log_says_so(world: World, receiver: Receiver) -> None:
    salon = await world.add_salon("Leerer Salon", amount_credits=0)
    webhook = await subscribed(world, salon, receiver.url)
    receiver.answer = lambda _post: 503
    await world.customer(1, salon=salon).write(QUESTION)
    await world.quiet()
    await has(receiver, 1)
    path = f"/api/v1/webhooks/{webhook['id']}/deliveries"

    async def attempts() -> tuple[str, int, int | None]:
        _, page = await world.api("GET", path, salon=salon)
        [delivery] = page["items"]
        return delivery["state"], delivery["attempts"], delivery["last_status"]

    async def failed_once() -> bool:
        return await attempts() == ("pending", 1, 503)

    await until(failed_once)
    receiver.answer = lambda _post: 200
    async with asyncio.timeout(15):
        await has(receiver, 2)

    async def delivered() -> bool:
        return await attempts() == ("delivered", 2, 200)

    await until(delivered)
    assert receiver.kinds == ["tenant.paused"] * 2
    assert len({post.webhook_id for post in receiver.received}) == 1
