"""Free text only within 24 hours of the customer's last message: refused before a hold, and at the last moment."""

from datetime import timedelta

from tests.stories.world import World

DAY_S = 24 * 3600


async def test_a_webhook_that_is_a_day_late_is_stored_and_not_answered(world: World) -> None:
    before = await world.wallet()
    anna = world.customer()
    world.meta.faults.late_s = DAY_S
    await anna.write("Was kostet ein Haarschnitt?")
    await world.quiet()
    assert anna.received == []
    assert world.model.requests == []
    assert await world.wallet() == before
    (message,) = await world.rows("SELECT state FROM message")
    assert message["state"] == "recorded"


async def test_the_window_is_counted_from_the_customers_clock_and_closes_within_the_margin(world: World) -> None:
    anna = world.customer()
    world.meta.faults.late_s = DAY_S - 30  # inside the day, inside the minute's margin before its end
    await anna.write("Was kostet ein Haarschnitt?")
    await world.quiet()
    assert anna.received == []
    (turn,) = await world.rows("SELECT state, failure FROM turn")
    assert turn == {"state": "window_closed", "failure": "service_window_closed"}
    assert await world.rows("SELECT key FROM hold") == []
    alerts = await world.rows("SELECT kind FROM alert")
    assert alerts == [{"kind": "window_closed"}]


async def test_a_late_message_inside_the_window_is_answered(world: World) -> None:
    anna = world.customer()
    world.meta.faults.late_s = 5 * 3600
    await anna.write("Was kostet ein Haarschnitt?")
    assert "42 Euro" in await anna.next_text()
    await world.quiet()
    asked = world.model.requests[0]["messages"][-1]["content"]  # type: ignore[index]
    assert asked.startswith("[geschrieben ")


async def test_a_send_by_the_api_after_exactly_24_hours_is_refused(world: World) -> None:
    anna = world.customer()
    await anna.write("Was kostet ein Haarschnitt?")
    await anna.next_text()
    await world.quiet()
    (conversation,) = await world.rows("SELECT conversation_id FROM conversation")
    path = f"/api/v1/conversations/{conversation['conversation_id']}/messages"
    status, _ = await world.api("POST", path, json={"text": "Noch etwas: wir haben neue Öffnungszeiten."})
    assert status in {200, 201, 202}
    assert await anna.next_text() == "Noch etwas: wir haben neue Öffnungszeiten."
    await world.quiet()

    world.clock.by += timedelta(hours=24)
    before = await world.wallet()
    status, problem = await world.api("POST", path, json={"text": "Und noch etwas."})
    assert (status, problem["code"]) == (409, "service_window_closed")
    await world.quiet()
    assert len(anna.received) == 2
    assert await world.wallet() == before


async def test_meta_closing_the_window_later_refunds_and_closes_it_here_too(world: World) -> None:
    before = await world.wallet()
    world.meta.faults.failed_later_codes = [131047]
    anna = world.customer()
    await anna.write("Was kostet ein Haarschnitt?")
    await anna.next_text()
    await world.quiet()
    assert await world.wallet() == before
    (message,) = await world.rows("SELECT state, failure FROM message WHERE direction = 'out'")
    assert message == {"state": "refunded", "failure": "131047"}
    (conversation,) = await world.rows("SELECT conversation_id FROM conversation")
    path = f"/api/v1/conversations/{conversation['conversation_id']}/messages"
    status, problem = await world.api("POST", path, json={"text": "Hallo?"})
    assert (status, problem["code"]) == (409, "service_window_closed")
    await world.audit()


async def test_meta_refusing_at_once_refunds_and_tells_the_owner(world: World) -> None:
    before = await world.wallet()
    world.meta.faults.refusal_codes = [131047]
    anna = world.customer()
    await anna.write("Was kostet ein Haarschnitt?")
    await world.quiet()
    assert await world.wallet() == before
    assert [alert["kind"] for alert in await world.rows("SELECT kind FROM alert")] == ["window_closed"]
    await anna.write("Noch da?")
    assert "42 Euro" in await anna.next_text()
    await world.quiet()
    await world.audit()
