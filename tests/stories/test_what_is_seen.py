"""What an operator sees of all this: numbers at /metrics, and logs that follow a turn and tell on nobody."""

import io

import orjson

from gateway.logs import configure_logs
from gateway.simulator import meta_wire as wire
from gateway.simulator.openai_chat import Said
from tests.stories.serving import APP_SECRET
from tests.stories.world import World

QUESTION = "Was kostet ein Haarschnitt, bitte sehr?"
ANSWER = "Ein Haarschnitt kostet zweiundvierzig Euro."


async def numbers(world: World) -> dict[str, float]:
    async with world.http.get(f"{world.url}/metrics") as response:
        assert response.status == 200
        lines = (await response.text()).splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


async def test_what_happened_can_be_read_at_metrics(world: World) -> None:
    world.model.faults.unwell = 1
    world.meta.faults.throttled = 1
    world.meta.faults.failed_later_codes = [131026]
    anna = world.customer()
    await anna.write(QUESTION)
    await anna.next_text(timeout_s=30)
    await world.quiet()
    assert await world.meta.post_once(wire.envelope(world.salon.business, []), signature="sha256=0") == 401

    seen = await numbers(world)
    (receipt,) = await world.receipts()
    assert seen['turnmeter_turns_total{state="charged"}'] == 1
    assert seen["turnmeter_turn_overhead_seconds_count"] == 1
    assert seen['turnmeter_model_requests_total{outcome="unavailable"}'] == 1
    assert seen['turnmeter_model_requests_total{outcome="ok"}'] == 1
    assert seen["turnmeter_charged_millicredits_total"] == receipt.total_millicredits
    assert seen["turnmeter_refunded_millicredits_total"] == receipt.total_millicredits
    assert seen['turnmeter_sends_total{outcome="SendThrottledError",provider="meta"}'] == 1
    assert seen['turnmeter_sends_total{outcome="acknowledged",provider="meta"}'] == 1
    assert seen['turnmeter_webhooks_total{outcome="accepted",provider="meta"}'] == 2
    assert seen['turnmeter_webhooks_total{outcome="unsigned",provider="meta"}'] == 1
    assert seen["turnmeter_holds_waiting"] == 0


async def test_the_logs_follow_a_turn_and_tell_nothing_of_the_customer(world: World) -> None:
    written = io.StringIO()
    configure_logs(written)
    world.model.brain = lambda _request: Said(text=ANSWER)
    world.model.faults.models_down = {"gpt-4o-mini"}
    world.meta.faults.throttled = 1
    world.meta.faults.dropped_after_accept = 1
    world.meta.faults.media_missing = True
    anna = world.customer(name="Annegret Vogelsang")
    await anna.send_image(b"\xff\xd8\xff\xe0 a picture", caption=QUESTION)
    await anna.next_text(timeout_s=40)
    await world.quiet()
    (turn,) = await world.rows("SELECT turn_id, trace_id, state FROM turn")
    (queued,) = await world.rows("SELECT trace_id FROM outbox")
    configure_logs()

    lines = [orjson.loads(line) for line in written.getvalue().splitlines()]
    of_the_turn = [line for line in lines if line.get("trace_id") == turn["trace_id"]]
    assert queued["trace_id"] == turn["trace_id"]
    assert {"media_not_fetched", "send_postponed", "send_outcome_unknown"} <= {line["event"] for line in of_the_turn}
    assert {line["tenant_id"] for line in of_the_turn} == {str(world.salon.tenant_id)}
    assert {line["turn_id"] for line in of_the_turn} == {str(turn["turn_id"])}
    told = written.getvalue()
    for secret in ("Annegret", "Vogelsang", anna.address.lstrip("+"), QUESTION, ANSWER, APP_SECRET):
        assert secret not in told
