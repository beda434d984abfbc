"""What was said in a call stands in its conversation, and asks for no answer."""

from datetime import timedelta

from gateway.takeover import give_back, take_over
from gateway.voice.transcripts import agent_words, caller_words, note_agent, note_all, note_caller
from tests.gateway.voice.a_call import Salon

_SAID = "SELECT direction, author, kind, text, content, state, created_at FROM message ORDER BY created_at"


async def test_both_sides_stand_in_the_conversation_in_the_order_in_which_they_spoke(salon: Salon) -> None:
    call = await salon.rings()
    now = salon.services.now()
    await note_agent(salon.services, call, "Guten Tag!", "Guten Tag!", now, 900, False)
    await note_agent(salon.services, call, "Gern, wann?", "Gern, wann?", now + timedelta(seconds=6), 1000, False)
    await note_caller(
        salon.services, call, " Einen Haarschnitt, bitte. ", now + timedelta(seconds=3)
    )  # understood late
    said = await salon.rows(_SAID)
    assert [(row["direction"], row["author"], row["text"]) for row in said] == [
        ("out", "agent", "Guten Tag!"),
        ("in", "customer", "Einen Haarschnitt, bitte."),
        ("out", "agent", "Gern, wann?"),
    ]
    assert {row["kind"] for row in said} == {"speech"}
    assert {row["content"]["call_id"] for row in said} == {str(call.call_id)}


async def test_an_answer_that_was_cut_off_says_what_was_heard_and_keeps_the_rest_for_the_owner(salon: Salon) -> None:
    call = await salon.rings()
    await note_agent(salon.services, call, "Das kostet 42 Euro.", "Das kostet …", salon.services.now(), 700, True)
    row = await salon.row(_SAID)
    assert row["text"] == "Das kostet …"
    assert row["content"] == {
        "call_id": str(call.call_id),
        "heard_ms": 700,
        "interrupted": True,
        "spoken": "Das kostet 42 Euro.",
    }


async def test_nothing_is_due_by_what_was_said_not_even_when_a_person_gives_the_conversation_back(salon: Salon) -> None:
    call = await salon.rings()
    conversation_id, now = call.account.conversation_id, salon.services.now()
    await note_caller(salon.services, call, "Hallo?", now + timedelta(minutes=2))
    async with salon.services.db.transaction(salon.tenant_id) as connection:
        await take_over(connection, salon.tenant_id, conversation_id, now)
        await give_back(connection, salon.tenant_id, conversation_id, now)
    row = await salon.row("SELECT due_at, pending_since, last_message_at FROM conversation")
    assert (row["due_at"], row["pending_since"]) == (None, None)
    assert row["last_message_at"] == now + timedelta(minutes=2)
    assert await salon.rows("SELECT FROM outbox") == []


async def test_several_are_written_at_once_and_who_said_nothing_is_left_out(salon: Salon) -> None:
    call = await salon.rings()
    now = salon.services.now()
    heard = agent_words("Moment.", "", now, 0, interrupted=True)
    await note_all(salon.services, call, [caller_words("  ", now), heard])
    assert await salon.rows(_SAID) == []
    later = now + timedelta(seconds=1)
    await note_all(salon.services, call, [caller_words("Ja\x00!", now), heard, caller_words("Genau.", later)])
    assert [row["text"] for row in await salon.rows(_SAID)] == ["Ja\ufffd!", "Genau."]


async def test_words_follow_a_contact_that_became_another_during_the_call(salon: Salon) -> None:
    call = await salon.rings()
    other = salon.services.new_id()
    await salon.do("UPDATE conversation SET contact_id = $1", other)
    await note_caller(salon.services, call, "Hallo?", salon.services.now())
    assert (await salon.row("SELECT contact_id FROM message"))["contact_id"] == other
