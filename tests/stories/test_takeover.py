"""A person takes over: the agent is silent until it is given back, whoever asked for it."""

from uuid import UUID

from gateway import takeover
from gateway.simulator import meta_wire as wire
from gateway.simulator.openai_chat import Call, Request, Said
from tests.stories.world import World, until


async def conversation_path(world: World) -> str:
    (conversation,) = await world.rows("SELECT conversation_id FROM conversation")
    return f"/api/v1/conversations/{conversation['conversation_id']}"


async def test_the_word_human_hands_over_without_a_charge(world: World) -> None:
    before = await world.wallet()
    anna = world.customer()
    await anna.write("Mensch bitte!")
    text = await anna.next_text()
    assert "einen Menschen" in text
    await anna.write("Hallo?")
    await world.quiet()
    assert len(anna.received) == 1
    assert world.model.requests == []
    assert world.meta.read_and_typing == []
    assert await world.wallet() == before
    assert [alert["kind"] for alert in await world.rows("SELECT kind FROM alert")] == ["handover"]


async def test_the_agents_own_handover_is_uncharged_and_said_by_the_fixed_text(world: World) -> None:
    before = await world.wallet()
    world.model.brain = lambda _request: Said(calls=[Call(name="handover", arguments={"reason": "Beschwerde"})])
    anna = world.customer()
    await anna.write("Meine Haare sind grün!")
    assert "einen Menschen" in await anna.next_text()
    await world.quiet()
    assert await world.wallet() == before
    (turn,) = await world.rows("SELECT state FROM turn")
    assert turn["state"] == "handed_over"


async def test_what_arrived_meanwhile_is_answered_once_it_is_given_back(world: World) -> None:
    anna = world.customer()
    await anna.write("Hallo")
    await anna.next_text()
    await world.quiet()
    path = await conversation_path(world)
    status, _ = await world.api("POST", f"{path}/take-over")
    assert status == 200
    await anna.write("Was kostet ein Haarschnitt?")
    await world.quiet()
    assert len(anna.received) == 1
    status, _ = await world.api("POST", f"{path}/give-back")
    assert status == 200
    assert "42 Euro" in await anna.next_text()
    await world.quiet()
    assert len(await world.receipts()) == 2


async def test_the_owner_answering_from_the_phone_takes_over(world: World) -> None:
    anna = world.customer()
    await anna.write("Hallo")
    await anna.next_text()
    await world.quiet()
    echo = {
        "from": world.salon.business.display_number.lstrip("+"),
        "to": anna.address,
        "id": world.meta.new_wamid(),
        "timestamp": str(world.meta.now_s()),
        "type": "text",
        "text": {"body": "Hier ist Inge, ich mache das."},
    }
    value = wire.echo_value(world.salon.business, [echo])
    await world.meta.post(world.salon.business, [value], field="smb_message_echoes")
    await anna.write("Oh, hallo Inge!")
    await world.quiet()
    assert len(anna.received) == 1
    status, thread = await world.api("GET", await conversation_path(world))
    assert status == 200
    assert thread["mode"] == "human"


async def test_taking_over_during_the_models_work_drops_the_draft(world: World) -> None:
    paths: list[str] = []

    async def take_over(_request: Request) -> Said:
        path = await conversation_path(world)
        paths.append(path)
        await world.api("POST", f"{path}/take-over")
        return Said(text="Zu spät.")

    before = await world.wallet()
    world.model.brain = take_over
    anna = world.customer()
    await anna.write("Hallo")
    await world.quiet()
    assert anna.received == []
    assert await world.wallet() == before
    (turn,) = await world.rows("SELECT state FROM turn")
    assert turn["state"] == "handed_over"
    await world.audit()


async def test_stop_ends_everything_and_the_next_own_message_opens_it_again(world: World) -> None:
    anna = world.customer()
    await anna.write("Hallo")
    await anna.next_text()
    await anna.write("STOP")
    assert "keine weiteren Nachrichten" in await anna.next_text()
    await world.quiet()
    asked = len(world.model.requests)
    path = await conversation_path(world)
    status, problem = await world.api("POST", f"{path}/messages", json={"text": "Angebot!"})
    assert (status, problem["code"]) == (409, "contact_opted_out")
    await anna.write("Was kostet ein Haarschnitt?")
    assert "42 Euro" in await anna.next_text()
    await world.quiet()
    assert len(world.model.requests) == asked + 1


async def test_taking_over_while_no_model_answers_keeps_the_apology_from_the_customer(world: World) -> None:
    async def take_over_and_break(_request: Request) -> Said:
        world.model.faults.down = True
        async with world.services.db.transaction(world.salon.tenant_id) as connection:
            # As another process would: nobody here is told.
            (conversation,) = await world.rows("SELECT conversation_id FROM conversation")
            conversation_id = UUID(str(conversation["conversation_id"]))
            await takeover.take_over(connection, world.salon.tenant_id, conversation_id, world.services.now())
        return Said()

    before = await world.wallet()
    world.model.brain = take_over_and_break
    anna = world.customer()
    await anna.write("Hallo")

    async def over() -> bool:
        return await world.rows("SELECT state FROM turn") == [{"state": "handed_over"}]

    await until(over, timeout_s=40)
    await world.quiet()
    assert anna.received == []
    assert await world.wallet() == before
    unanswered = await world.rows("SELECT message_id FROM message WHERE direction = 'in' AND turn_id IS NULL")
    assert len(unanswered) == 1


async def test_a_stop_while_the_model_works_sends_the_confirmation_and_no_draft(world: World) -> None:
    anna = world.customer()

    async def stopped_meanwhile(_request: Request) -> Said:
        await anna.write("STOP")
        await anna.next_text()
        return Said(text="Zu spät.")

    before = await world.wallet()
    world.model.brain = stopped_meanwhile
    await anna.write("Hallo")
    await world.quiet()
    assert [("keine weiteren Nachrichten" in sent.text) for sent in anna.received] == [True]
    assert await world.wallet() == before
    assert await world.rows("SELECT state FROM turn") == [{"state": "no_reply"}]
    await world.audit()
