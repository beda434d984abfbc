"""What tools did in a turn, as a later attempt finds it."""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

import asyncpg
import pytest

from agents.arguments import parse_arguments
from agents.connection import Connection
from agents.recorded import RecordedCall
from agents.tool_calls import list_recorded, record_intent, record_result
from gateway.db import Database
from tests.agents.acting import NOW, TENANT, TURN

MALLORY = UUID(int=99)
BOOKED = RecordedCall(position=0, name="book", arguments={"at": "10:00"}, writes=True, state="done", result="Gebucht.")


async def record(
    connection: Connection, call: RecordedCall = BOOKED, *, attempt: int = 1, turn_id: UUID = TURN
) -> None:
    await record_result(
        connection,
        TENANT,
        turn_id,
        position=call.position,
        attempt=attempt,
        name=call.name,
        arguments=call.arguments,
        writes=call.writes,
        result=call.result or "",
        now=NOW,
        failed=call.state == "failed",
    )


async def intend(connection: Connection, call: RecordedCall) -> None:
    await record_intent(
        connection,
        TENANT,
        TURN,
        position=call.position,
        attempt=1,
        name=call.name,
        arguments=call.arguments,
        now=NOW,
    )


async def found(db: Database) -> tuple[RecordedCall, ...]:
    async with db.transaction(TENANT) as connection:
        return await list_recorded(connection, TENANT, TURN)


async def test_recorded_calls_come_back_in_the_order_in_which_they_were_made(db: Database) -> None:
    failed = replace(BOOKED, position=1, name="move", state="failed", result="Besetzt.")
    last = replace(BOOKED, position=10, writes=False)
    async with db.transaction(TENANT) as connection:
        for call in (last, failed, BOOKED):
            await record(connection, call)
    assert await found(db) == (BOOKED, failed, last)


async def test_a_turn_sees_its_own_calls_only(db: Database) -> None:
    async with db.transaction(TENANT) as connection:
        await record(connection, turn_id=UUID(int=77))
    assert await found(db) == ()


async def test_another_tenant_sees_nothing(db: Database) -> None:
    async with db.transaction(TENANT) as connection:
        await record(connection)
    async with db.transaction(MALLORY) as connection:
        assert await list_recorded(connection, MALLORY, TURN) == ()
        assert await list_recorded(connection, TENANT, TURN) == ()


async def test_what_is_rolled_back_was_never_recorded(db: Database) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with db.transaction(TENANT) as connection:
            await record(connection)
            raise ZeroDivisionError
    assert await found(db) == ()


async def test_an_intent_is_there_until_its_result_is_known(db: Database) -> None:
    intended = replace(BOOKED, state="intended", result=None)
    async with db.transaction(TENANT) as connection:
        await intend(connection, intended)
    assert await found(db) == (intended,)
    async with db.transaction(TENANT) as connection:
        await record(connection)
    assert await found(db) == (BOOKED,)


async def test_an_intent_is_recorded_once(db: Database) -> None:
    async with db.transaction(TENANT) as connection:
        await intend(connection, BOOKED)
    with pytest.raises(asyncpg.UniqueViolationError):
        async with db.transaction(TENANT) as connection:
            await intend(connection, BOOKED)


@pytest.mark.parametrize(
    "other",
    [BOOKED, replace(BOOKED, name="cancel"), replace(BOOKED, arguments={"at": "11:00"})],
    ids=["the same again", "another tool", "other arguments"],
)
async def test_a_result_is_never_written_over(db: Database, other: RecordedCall) -> None:
    async with db.transaction(TENANT) as connection:
        await record(connection)
    with pytest.raises(ValueError, match="is taken"):
        async with db.transaction(TENANT) as connection:
            await record(connection, replace(other, result="anders"), attempt=2)
    assert await found(db) == (BOOKED,)


@pytest.mark.parametrize(
    "other",
    [replace(BOOKED, name="cancel"), replace(BOOKED, arguments={"at": "11:00"})],
    ids=["another tool", "other arguments"],
)
async def test_a_result_does_not_answer_another_calls_intent(db: Database, other: RecordedCall) -> None:
    async with db.transaction(TENANT) as connection:
        await intend(connection, other)
    with pytest.raises(ValueError, match="is taken"):
        async with db.transaction(TENANT) as connection:
            await record(connection)


@pytest.mark.parametrize(
    "text",
    [
        '{"b": 1, "a": [1.0, 2.5, 1e2, 1e17, -0.0, 9007199254740993, null, true]}',
        '{"text": "ä 😀 \\u0000 \\ud800 <|endoftext|> \\u202e", "": {"x": {}}}',
        '{"a": 0.1, "b": 1e-7, "c": 123456789.123456789, "d": 4.9e-324}',
        "{}",
    ],
)
async def test_a_call_is_known_again_by_its_arguments_after_they_were_stored(db: Database, text: str) -> None:
    arguments = parse_arguments(text)
    made = replace(BOOKED, arguments=arguments)
    async with db.transaction(TENANT) as connection:
        await record(connection, made)
    (again,) = await found(db)
    assert again.key == made.key


@pytest.mark.parametrize(
    ("arguments", "others"),
    [
        ({"a": 1}, {"a": "1"}),
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": 1.5}),
        ({"a": None}, {}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
    ],
)
def test_other_arguments_are_another_call(arguments: Mapping[str, object], others: Mapping[str, object]) -> None:
    assert replace(BOOKED, arguments=arguments).key != replace(BOOKED, arguments=others).key


def test_the_same_arguments_for_another_tool_are_another_call() -> None:
    assert BOOKED.key != replace(BOOKED, name="cancel").key


def test_the_order_and_notation_of_arguments_do_not_matter() -> None:
    one = replace(BOOKED, arguments=parse_arguments('{"a": 1, "b": {"c": 2.0, "d": [1.0]}}'))
    other = replace(BOOKED, arguments=parse_arguments('{"b":{"d":[1],"c":2},"a":1.0}'))
    assert one.key == other.key
