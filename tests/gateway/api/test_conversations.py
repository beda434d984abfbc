from datetime import timedelta
from uuid import UUID, uuid4

from metering.rates import Item, Line
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.api.conftest import Caller, Salon
from tests.metering.spending import Spending

LINES = (Line(Item.CHAT_INPUT, 1_200, 40), Line(Item.CHAT_OUTPUT, 30, 200))


async def answer_as_agent(salon: Salon, cast: Cast, conversation_id: UUID, clock: Clock) -> str:
    """Let the agent have answered, charged, in two parts."""
    spending = Spending(salon.services.db, cast.acme)
    receipt_id = await spending.charge(LINES, clock.now(), conversation_id=conversation_id)
    for place, text in enumerate(("Ja,", "ab neun.")):
        await salon.sql(
            """INSERT INTO message (tenant_id, message_id, conversation_id, line_id, contact_id, direction, author,
                                    kind, text, receipt_id, state, created_at)
               SELECT tenant_id, $2, conversation_id, line_id, contact_id, 'out', 'agent', 'text', $3, $4, 'sent', $5
               FROM conversation WHERE conversation_id = $1""",
            conversation_id,
            uuid4(),
            text,
            receipt_id,
            clock.now() + timedelta(microseconds=place),
        )
    return str(receipt_id)


async def test_a_conversation_shows_messages_receipts_window_and_mode(
    acme: Caller, salon: Salon, cast: Cast, clock: Clock
) -> None:
    conversation_id = await salon.receive("Haben Sie morgen offen?")
    clock.advance(seconds=5)
    receipt_id = await answer_as_agent(salon, cast, conversation_id, clock)
    whole = await acme.get(f"/conversations/{conversation_id}")
    assert [(each["author"], each["text"], each["ai_generated"]) for each in whole["messages"]] == [
        ("customer", "Haben Sie morgen offen?", False),
        ("agent", "Ja,", True),
        ("agent", "ab neun.", True),
    ]
    assert [each["receipt"] and each["receipt"]["id"] for each in whole["messages"]] == [None, receipt_id, receipt_id]
    assert whole["messages"][1]["receipt"]["total_millicredits"] == 54_000
    assert (whole["charged_millicredits"], whole["messages_cursor"]) == (54_000, None)
    assert (whole["mode"], whole["channel"], whole["opted_out"]) == ("agent", "whatsapp", False)
    assert whole["window"] == {
        "open": True,
        "closes_at": "2026-11-25T09:59:00Z",
        "last_customer_message_at": "2026-11-24T10:00:00Z",
    }
    assert whole["contact"]["name"] == "Anna"
    assert (whole["contact"]["address_kind"], whole["contact"]["address"]) == ("phone", "+4915112345678")
    assert (whole["agent_id"], whole["agent_version"]) == (str(salon.agent_id), 1)


async def test_a_window_is_closed_after_a_day_of_silence_or_when_the_provider_says_so(
    acme: Caller, salon: Salon, clock: Clock
) -> None:
    conversation_id = await salon.receive("Hallo")
    clock.advance(seconds=24 * 3600 - 60)
    assert (await acme.get(f"/conversations/{conversation_id}"))["window"]["open"] is False
    await salon.receive("Hallo")
    await salon.sql("UPDATE service_window SET closed_by_provider_at = $1", clock.now())
    [listed] = [each for each in await acme.walk("/conversations") if each["id"] == str(conversation_id)]
    assert (listed["window"]["open"], listed["window"]["closes_at"]) == (False, "2026-11-25T09:59:00Z")


async def test_a_channel_without_a_window_shows_none(acme: Caller, salon: Salon) -> None:
    conversation_id = await salon.receive("Hallo")
    await salon.sql("UPDATE conversation SET channel = 'sms'")
    assert (await acme.get(f"/conversations/{conversation_id}"))["window"] is None


async def test_pages_show_every_conversation_once_the_latest_first(acme: Caller, salon: Salon, clock: Clock) -> None:
    written = []
    for number in range(5):
        clock.advance(seconds=number // 2)  # two at the very same moment
        written.append(str(await salon.receive(f"Hallo {number}", customer=f"+49151000000{number}")))
    walked = [each["id"] for each in await acme.walk("/conversations", limit=2)]
    assert sorted(walked) == sorted(written)
    assert len(walked) == len(set(walked)) == 5
    assert walked[0] == written[-1]
    newest = (await acme.get("/conversations", limit=1))["items"][0]
    assert newest["last_text"] == "Hallo 4"


async def test_pages_show_every_message_once_the_newest_first(acme: Caller, salon: Salon, clock: Clock) -> None:
    conversation_id = await salon.receive("Nachricht 0")
    for number in range(1, 5):
        clock.advance(seconds=number // 2)  # two at the very same moment
        await salon.receive(f"Nachricht {number}")
    walked = await acme.walk(f"/conversations/{conversation_id}/messages", limit=2)
    assert sorted(each["text"] for each in walked) == [f"Nachricht {number}" for number in range(5)]
    assert [each["created_at"] for each in walked] == sorted((each["created_at"] for each in walked), reverse=True)


async def test_a_long_conversation_shows_its_end_and_leads_to_its_beginning(
    acme: Caller, salon: Salon, clock: Clock
) -> None:
    conversation_id = await salon.receive("0")
    for number in range(1, 53):
        clock.advance(seconds=1)
        await salon.receive(f"{number}")
    whole = await acme.get(f"/conversations/{conversation_id}")
    assert [each["text"] for each in whole["messages"]] == [str(number) for number in range(3, 53)]
    before = await acme.walk(f"/conversations/{conversation_id}/messages", cursor_=whole["messages_cursor"])
    assert [each["text"] for each in before] == ["2", "1", "0"]


async def test_a_person_takes_over_pauses_and_gives_back(acme: Caller, salon: Salon) -> None:
    conversation_id = await salon.receive("Hallo")
    path = f"/conversations/{conversation_id}"
    for change, mode in (("take-over", "human"), ("pause", "paused"), ("pause", "paused"), ("give-back", "agent")):
        watched = salon.services.arrivals.watch(conversation_id)
        answer = await acme.post(f"{path}/{change}")
        assert (answer.status, answer.content["mode"]) == (200, mode)
        assert (await acme.get(path))["mode"] == mode
        assert watched.is_set(), "whoever looks at the conversation sees the change"
        [row] = await salon.sql("SELECT due_at FROM conversation")
        assert (row["due_at"] is not None) == (mode == "agent")
