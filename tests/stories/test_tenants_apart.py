"""Two businesses on one gateway never see, answer for or pay for each other."""

import asyncio

from tests.stories.world import World


async def test_one_customer_of_two_businesses_has_two_conversations_and_two_bills(world: World) -> None:
    other = await world.add_salon("Barber Nord", amount_credits=500)
    here, there = world.customer(1), world.customer(1, salon=other)
    await asyncio.gather(here.write("Hallo Lindenhof"), there.write("Hallo Barber"))
    await asyncio.gather(here.next_text(), world.meta.wait_for_sent(here.address, 2))
    await world.quiet()
    assert len(here.received) == len(there.received) == 1
    assert len(await world.receipts(world.salon)) == len(await world.receipts(other)) == 1
    await world.audit()


async def test_no_route_of_the_api_shows_one_business_to_another(world: World) -> None:
    mallory = await world.add_salon("Mallory", amount_credits=500)
    anna = world.customer()
    await anna.write("Was kostet ein Haarschnitt?")
    await anna.next_text()
    await world.quiet()
    (conversation,) = await world.rows("SELECT conversation_id FROM conversation")
    (receipt,) = await world.receipts()
    (agent,) = await world.rows("SELECT agent_id FROM agent")
    for method, path in (
        ("GET", f"/api/v1/conversations/{conversation['conversation_id']}"),
        ("GET", f"/api/v1/conversations/{conversation['conversation_id']}/messages"),
        ("POST", f"/api/v1/conversations/{conversation['conversation_id']}/take-over"),
        ("GET", f"/api/v1/receipts/{receipt.receipt_id}"),
        ("GET", f"/api/v1/agents/{agent['agent_id']}"),
        ("GET", f"/api/v1/agents/{agent['agent_id']}/versions"),
    ):
        status, problem = await world.api(method, path, salon=mallory)
        assert (status, problem["code"]) == (404, "not_found"), path
    for path in ("/api/v1/conversations", "/api/v1/receipts", "/api/v1/agents", "/api/v1/lines", "/api/v1/ledger"):
        _, ours = await world.api("GET", path)
        status, theirs = await world.api("GET", path, salon=mallory)
        assert status == 200
        assert ours["items"], path
        assert not [item for item in theirs["items"] if item in ours["items"]], path
