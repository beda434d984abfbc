"""The agent's tools in a call: run once, for the caller, as long as the stream has the call."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from agents.tools.base import ToolContext
from gateway.services import Services
from gateway.voice.call import Call
from gateway.voice.call_tools import NOT_NOW, TOO_MANY, CallTools
from gateway.voice.engines.base import ToolAsked
from gateway.voice.taken_messages import TAKEN
from tests.gateway.voice.a_call import Salon

START = "2026-11-25T10:00"
_APPOINTMENTS = "SELECT contact_id, during FROM appointment"
_RECORDED = "SELECT name, state FROM tool_call ORDER BY created_at"


def asked(name: str, tool_call_id: str = "call_1", response_id: str = "resp_1", **arguments: object) -> ToolAsked:
    return ToolAsked(response_id=response_id, tool_call_id=tool_call_id, name=name, arguments=json.dumps(arguments))


def booking(tool_call_id: str = "call_1", response_id: str = "resp_1", start: str = START) -> ToolAsked:
    return asked("book_appointment", tool_call_id, response_id, service="Haarschnitt", start=start)


async def test_a_booking_is_the_callers_and_recorded_with_it(salon: Salon) -> None:
    call = await salon.rings()
    told = await CallTools(salon.services, call).run(booking())
    assert json.loads(told)["booked"]["service"] == "Haarschnitt"
    row = await salon.row(_APPOINTMENTS)
    assert row["contact_id"] == call.account.contact_id
    assert row["during"].lower == datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
    assert await salon.rows(_RECORDED) == [{"name": "book_appointment", "state": "done"}]


async def test_who_hides_the_number_books_all_the_same(salon: Salon) -> None:
    call = await salon.rings(caller=None)
    await CallTools(salon.services, call).run(booking())
    assert (await salon.row(_APPOINTMENTS))["contact_id"] == call.account.contact_id


async def test_a_call_asked_again_by_its_id_is_answered_and_not_run_again(salon: Salon) -> None:
    tools = CallTools(salon.services, await salon.rings())
    first, again = await asyncio.gather(tools.run(booking()), tools.run(booking()))
    assert first == again == await tools.run(booking())
    assert len(await salon.rows(_RECORDED)) == 1


async def test_the_same_wish_twice_in_one_answer_is_one_booking(salon: Salon) -> None:
    tools = CallTools(salon.services, await salon.rings())
    first, second = await asyncio.gather(tools.run(booking("call_1")), tools.run(booking("call_2")))
    assert first == second
    assert len(await salon.rows(_APPOINTMENTS)) == 1


async def test_several_writes_of_one_answer_are_all_recorded(salon: Salon) -> None:
    tools = CallTools(salon.services, await salon.rings())
    wishes = [booking(f"call_{hour}", start=f"2026-11-25T{hour}:00") for hour in (10, 12, 14)]
    told = await asyncio.gather(*(tools.run(wish) for wish in wishes), tools.run(asked("opening_hours", "call_o")))
    assert all("booked" in each for each in told[:3])
    assert len(await salon.rows(_APPOINTMENTS)) == len(await salon.rows(_RECORDED)) == 3


async def test_a_process_that_goes_on_with_the_call_does_not_write_again_what_was_written(salon: Salon) -> None:
    call = await salon.rings()
    first = await CallTools(salon.services, call).run(booking())
    await salon.do("UPDATE call SET lease_epoch = 2")
    assert await CallTools(salon.services, call.at(2)).run(booking("call_9")) == first
    assert len(await salon.rows(_APPOINTMENTS)) == 1


async def test_a_stream_that_has_lost_the_call_changes_nothing(salon: Salon) -> None:
    call = await salon.rings()
    tools = CallTools(salon.services, call)
    assert "Error" not in await tools.run(asked("my_appointments", "call_0"))
    await salon.do("UPDATE call SET lease_epoch = 2")
    assert await tools.run(booking()) == NOT_NOW
    assert await CallTools(salon.services, call).run(booking("call_2", "resp_2")) == NOT_NOW
    assert await salon.rows(_APPOINTMENTS) == []


async def test_nothing_is_written_for_a_contact_that_is_another_by_now(salon: Salon) -> None:
    call = await salon.rings()
    tools = CallTools(salon.services, call)
    await tools.run(asked("my_appointments", "call_0"))
    other = salon.services.new_id()
    await salon.do("UPDATE conversation SET contact_id = $1", other)
    assert await tools.run(booking()) == NOT_NOW
    await tools.run(booking("call_2", "resp_2"))
    assert (await salon.row(_APPOINTMENTS))["contact_id"] == other


async def test_what_goes_wrong_is_told_to_the_model(salon: Salon) -> None:
    tools = CallTools(salon.services, await salon.rings())
    assert "no such tool" in await tools.run(asked("sing", "call_1"))
    assert "not valid JSON" in await tools.run(
        ToolAsked(response_id="resp_1", tool_call_id="call_2", name="opening_hours", arguments="{")
    )
    assert "must be a day" in await tools.run(asked("opening_hours", "call_3", day="morgen"))


async def test_an_answer_that_asks_without_end_is_stopped_and_the_next_one_is_heard(salon: Salon) -> None:
    tools = CallTools(salon.services, await salon.rings())
    told = [await tools.run(asked("opening_hours", f"call_{number}")) for number in range(10)]
    assert told.count(TOO_MANY) == 2
    assert await tools.run(asked("opening_hours", "call_99", "resp_2")) != TOO_MANY


async def test_a_database_that_is_away_is_said_and_not_raised(salon: Salon) -> None:
    tools = CallTools(salon.services, await salon.rings())
    await salon.services.db.close()
    assert await tools.run(asked("opening_hours")) == NOT_NOW
    assert "unknown" in await tools.run(booking("call_2"))


async def test_the_phone_has_no_handover_but_messages_and_an_end(salon: Salon) -> None:
    names = [tool.name for tool in CallTools(salon.services, await salon.rings()).definitions]
    assert {"take_message", "end_call", "book_appointment", "opening_hours"} <= set(names)
    assert "handover" not in names
    assert "transfer_call" not in names
    assert len(names) == len(set(names))
    await salon.publish(voice={"transfer_to": "+49 30 1234567"})
    assert "transfer_call" in [tool.name for tool in CallTools(salon.services, await salon.rings()).definitions]


async def test_a_message_stands_in_the_conversation_and_the_owner_is_told_without_a_word_of_it(salon: Salon) -> None:
    call = await salon.rings()
    tools = CallTools(salon.services, call)
    assert await tools.run(asked("take_message", text="Frau Albers bittet um Rückruf.", callback="030 555")) == TAKEN
    message = await salon.row("SELECT message_id, direction, author, kind, text, content, state FROM message")
    assert (message["direction"], message["author"], message["kind"]) == ("in", "customer", "note")
    assert (message["text"], message["state"]) == ("Frau Albers bittet um Rückruf.", "recorded")
    assert message["content"] == {"call_id": str(call.call_id), "callback": "030 555"}
    alert = await salon.row("SELECT kind, detail FROM alert")
    assert alert["kind"] == "message_taken"
    assert alert["detail"] == {
        "conversation_id": str(call.account.conversation_id),
        "call_id": str(call.call_id),
        "message_id": str(message["message_id"]),
    }
    assert (await salon.row("SELECT due_at FROM conversation"))["due_at"] is None


async def test_a_message_without_words_is_not_taken(salon: Salon) -> None:
    told = await CallTools(salon.services, await salon.rings()).run(asked("take_message", text=" "))
    assert told.startswith("Error")
    assert await salon.rows("SELECT FROM message") == []


class _Slow(CallTools):
    """Tools of which one takes its time, until it may go on."""

    def __init__(self, services: Services, call: Call) -> None:
        super().__init__(services, call)
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        for tool in self._tools:
            if tool.definition.name == "opening_hours":
                self._tools = (*(each for each in self._tools if each is not tool), _SlowHours(self))


class _SlowHours:
    writes = False
    uses_database = False

    def __init__(self, tools: _Slow) -> None:
        self._tools = tools
        self.definition = next(each for each in tools.definitions if each.name == "opening_hours")

    async def call(self, context: ToolContext, arguments: object, connection: Any) -> str:  # noqa: ANN401 - unused
        del context, arguments, connection
        self._tools.begun.set()
        await self._tools.go_on.wait()
        return "Offen."


async def test_a_tool_that_takes_its_time_keeps_no_other_waiting(salon: Salon) -> None:
    tools = _Slow(salon.services, await salon.rings())
    slow = asyncio.create_task(tools.run(asked("opening_hours", "call_1")))
    await tools.begun.wait()
    assert "booked" in await tools.run(booking("call_2"))
    assert not slow.done()
    tools.go_on.set()
    assert await slow == "Offen."


async def test_who_waits_for_a_call_that_was_cancelled_is_not_left_waiting(salon: Salon) -> None:
    tools = _Slow(salon.services, await salon.rings())
    first = asyncio.create_task(tools.run(asked("opening_hours", "call_1")))
    await tools.begun.wait()
    second = asyncio.create_task(tools.run(asked("opening_hours", "call_1")))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert "unknown" in await second
