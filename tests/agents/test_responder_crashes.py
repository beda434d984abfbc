"""A turn that crashes or is cancelled: nothing half done is left, and nothing is done twice."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest

from agents.connection import Connection
from agents.errors import NoAnswerError
from agents.responder import Answer
from gateway.db import Database
from tests.agents.acting import (
    BOOKED,
    POLICY,
    REFUSED,
    TENANT,
    Scripted,
    ToolOf,
    calls,
    context_of,
    on,
    recorded_in,
    respond,
    says,
)


async def book(arguments: Mapping[str, object], connection: Connection | None) -> str:
    assert connection is not None
    await connection.execute(
        """INSERT INTO contact (tenant_id, contact_id, name, created_at)
           VALUES ($1, gen_random_uuid(), $2, now())""",
        TENANT,
        str(arguments["at"]),
    )
    return f"Gebucht: {arguments['at']}"


def booking() -> ToolOf:
    return ToolOf("book", book, writes=True)


async def bookings(db: Database) -> list[str]:
    async with db.transaction(TENANT) as connection:
        return [row["name"] for row in await connection.fetch("SELECT name FROM contact ORDER BY name")]


async def test_a_write_and_its_record_are_there_together(db: Database) -> None:
    model = Scripted(says("", calls("book", '{"at": "10:00"}')), says("Gebucht."))
    found = await respond(model, booking(), context=context_of(on(db)))
    assert (found.wrote, found.tool_names) == (True, ("book",))
    assert await bookings(db) == ["10:00"]
    assert await recorded_in(db) == (replace(BOOKED, result="Gebucht: 10:00"),)


async def test_a_turn_answered_again_after_a_crash_does_not_book_twice(db: Database) -> None:
    class CrashError(BaseException):
        pass

    async def crash() -> None:
        raise CrashError

    first = Scripted(says("", calls("book", '{"at": "10:00"}')), crash)  # type: ignore[arg-type]  # never returns
    with pytest.raises(CrashError):
        await respond(first, booking(), context=context_of(on(db)))

    again = says("", calls("book", '{"at": "10:00"}'), calls("book", '{"at": "11:00"}', call_id="c2"))
    found = await respond(
        Scripted(again, says("Beide gebucht.")),
        booking(),
        context=context_of(on(db), attempt=2),
        recorded=await recorded_in(db),
    )
    assert found.text == "Beide gebucht."
    assert found.tool_names == ("book", "book")
    assert await bookings(db) == ["10:00", "11:00"]
    assert [(call.position, call.arguments["at"]) for call in await recorded_in(db)] == [(0, "10:00"), (1, "11:00")]


async def test_a_model_that_goes_away_after_a_write_leaves_the_write_and_says_so(db: Database) -> None:
    policy = replace(POLICY, fallback_model=None)
    model = Scripted(says("", calls("book", '{"at": "10:00"}')), REFUSED)
    with pytest.raises(NoAnswerError) as caught:
        await respond(model, booking(), context=context_of(on(db)), policy=policy)
    assert caught.value.wrote
    assert await bookings(db) == ["10:00"]


async def test_a_turn_cancelled_within_a_write_leaves_neither_the_write_nor_its_record(db: Database) -> None:
    written = asyncio.Event()

    async def book_slowly(arguments: Mapping[str, object], connection: Connection | None) -> str:
        await book(arguments, connection)
        written.set()
        await asyncio.Event().wait()
        return "never"

    tool = ToolOf("book", book_slowly, writes=True)
    model = Scripted(says("", calls("book", '{"at": "10:00"}')))
    turn = asyncio.create_task(respond(model, tool, context=context_of(on(db))))
    await written.wait()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert await bookings(db) == []
    assert await recorded_in(db) == ()


class StepByStep:
    """A database that takes one step of the loop for everything, and remembers how its transactions ended."""

    def __init__(self) -> None:
        self.ends: list[str] = []

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        await asyncio.sleep(0)
        try:
            yield self  # type: ignore[misc]  # a record is all that is asked of it
            await asyncio.sleep(0)
        except BaseException:
            self.ends.append("rolled back")
            raise
        self.ends.append("committed")

    async def fetchval(self, *_arguments: object) -> int:
        await asyncio.sleep(0)
        return 1


async def test_a_turn_can_be_cancelled_at_any_moment() -> None:
    async def act(_arguments: Mapping[str, object], _connection: Connection | None) -> str:
        await asyncio.sleep(0)
        return "ok"

    def ask(database: StepByStep) -> "asyncio.Task[Answer]":
        tools = (ToolOf("look", act, uses_database=True), ToolOf("book", act, writes=True))
        round_1 = says("", calls("look"), calls("book", call_id="c2"), calls("look", '{"a": 1}', call_id="c3"))
        model = Scripted(round_1, says("Fertig."))
        return asyncio.create_task(respond(model, *tools, context=context_of(database.transaction)))

    for steps in itertools.count():
        database = StepByStep()
        task = ask(database)
        for _ in range(steps):
            await asyncio.sleep(0)
        if task.done():
            assert (await task).text == "Fertig."
            assert database.ends == ["committed"] * 3
            assert steps > 5
            return
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}
