"""What becomes of a turn when its tools fail, hang, or lose their database."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

import asyncpg
import pytest
from structlog.testing import capture_logs

from agents.connection import Connection
from agents.errors import ToolFailedError
from agents.tool_calls import record_result
from gateway.db import Database
from gateway.errors import TurnmeterError
from tests.agents.acting import (
    NOW,
    PATIENT_S,
    TENANT,
    TURN,
    ToolOf,
    add,
    added,
    calls,
    context_of,
    on,
    raising,
    recorded_in,
    toolbox,
)


async def hang(_arguments: Mapping[str, object], _connection: Connection | None) -> str:
    await asyncio.Event().wait()
    return "never"


async def test_a_tool_that_breaks_is_told_as_a_failure_and_logged_without_its_words() -> None:
    box = toolbox(ToolOf("find", raising(KeyError("Erika, +491701234567"))), ToolOf("other", "fine"))
    with capture_logs() as logs:
        told = await box.run([calls("find"), calls("other")], left_s=PATIENT_S)
    assert told == ["Error: this does not work at the moment", "fine"]
    assert "Erika" not in str(logs)
    (entry,) = logs
    assert (entry["event"], entry["turn_id"], entry["tool"], entry["error"]) == (
        "tool_broke",
        str(TURN),
        "find",
        "KeyError",
    )
    assert str(entry["where"]).startswith("acting.py:")


@pytest.mark.parametrize("error", [ToolFailedError("taken"), ZeroDivisionError()], ids=["failed", "broke"])
async def test_a_tool_that_fails_after_it_wrote_has_written_nothing(db: Database, error: Exception) -> None:
    async def write_and_fail(arguments: Mapping[str, object], connection: Connection | None) -> str:
        await add(arguments, connection)
        raise error

    tools = (ToolOf("broken", write_and_fail, writes=True), ToolOf("add", add, writes=True))
    box = toolbox(*tools, context=context_of(on(db)))
    told = await box.run([calls("broken", '{"name": "a"}'), calls("add", '{"name": "b"}')], left_s=PATIENT_S)
    assert told[0].startswith("Error: ")
    assert told[1] == "added"
    assert await added(db) == ["b"]
    assert [(call.position, call.name) for call in await recorded_in(db)] == [(0, "add")]


async def test_a_database_error_in_a_tool_is_a_failure_of_the_tool(db: Database) -> None:
    async def write(_arguments: Mapping[str, object], connection: Connection | None) -> str:
        assert connection is not None
        await connection.execute("SELECT 1/0")
        return "never"

    box = toolbox(ToolOf("write", write, writes=True), context=context_of(on(db)))
    assert await box.run([calls("write")], left_s=PATIENT_S) == ["Error: this does not work at the moment"]
    assert await recorded_in(db) == ()


async def test_a_tool_that_hangs_is_given_up_and_the_others_are_not() -> None:
    box = toolbox(ToolOf("hang", hang), ToolOf("fine", "fine"), tool_timeout_s=0.02)
    assert await box.run([calls("hang"), calls("fine")], left_s=PATIENT_S) == ["Error: this took too long", "fine"]


async def test_a_write_that_hangs_is_rolled_back(db: Database) -> None:
    async def write_and_hang(arguments: Mapping[str, object], connection: Connection | None) -> str:
        await add(arguments, connection)
        return await hang(arguments, connection)

    box = toolbox(ToolOf("write", write_and_hang, writes=True), context=context_of(on(db)), tool_timeout_s=0.2)
    (told,) = await box.run([calls("write")], left_s=PATIENT_S)
    assert told == "Error: this took too long and was given up; nothing has changed"
    assert await added(db) == []
    assert not box.wrote


async def test_a_tool_that_ignores_being_given_up_has_written_nothing(db: Database) -> None:
    async def stubborn(arguments: Mapping[str, object], connection: Connection | None) -> str:
        await add(arguments, connection)
        with contextlib.suppress(asyncio.CancelledError):
            await hang(arguments, connection)
        return "done after all"

    box = toolbox(ToolOf("write", stubborn, writes=True), context=context_of(on(db)), tool_timeout_s=0.2)
    assert await box.run([calls("write")], left_s=PATIENT_S) == ["Error: this took too long"]
    assert await added(db) == []


async def test_a_commit_is_not_cut_short_by_the_tools_time() -> None:
    committed: list[str] = []

    class Recording:
        async def fetchval(self, *_arguments: object) -> int:
            await asyncio.sleep(0.05)
            return 1

    @contextlib.asynccontextmanager
    async def slow() -> AsyncIterator[Connection]:
        yield Recording()  # type: ignore[misc]  # a record is all that is asked of it
        await asyncio.sleep(0.05)
        committed.append("committed")

    box = toolbox(ToolOf("write", "ok", writes=True), context=context_of(slow), tool_timeout_s=0.03)
    assert await box.run([calls("write")], left_s=PATIENT_S) == ["ok"]
    assert committed == ["committed"]


async def test_what_is_left_of_the_turn_limits_its_tools() -> None:
    box = toolbox(ToolOf("hang", hang))
    assert await box.run([calls("hang")], left_s=-5.0) == ["Error: this took too long"]


class LeaseLostError(Exception):
    """Stands for whatever a transaction raises when the turn is somebody else's."""


class Refusing:
    """A transaction that cannot be begun."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def __aenter__(self) -> Connection:
        await asyncio.sleep(0)
        raise self._error

    async def __aexit__(self, *_error: object) -> None:
        raise AssertionError("it never began")


@pytest.mark.parametrize("writes", [True, False], ids=["writing", "reading"])
async def test_a_lost_lease_ends_the_turn_and_every_tool_of_the_round(writes: bool) -> None:
    ended = asyncio.Event()

    async def wait(_arguments: Mapping[str, object], _connection: Connection | None) -> str:
        try:
            return await hang({}, None)
        finally:
            ended.set()

    box = toolbox(
        ToolOf("wait", wait),
        ToolOf("act", "ok", writes=writes, uses_database=True),
        context=context_of(lambda: Refusing(LeaseLostError())),
    )
    with pytest.raises(LeaseLostError):
        await box.run([calls("wait"), calls("act")], left_s=PATIENT_S)
    assert ended.is_set()


async def test_a_time_out_of_the_database_itself_is_no_tools_failure() -> None:
    for writes in (True, False):
        box = toolbox(
            ToolOf("act", "ok", writes=writes, uses_database=True), context=context_of(lambda: Refusing(TimeoutError()))
        )
        with pytest.raises(TimeoutError):
            await box.run([calls("act")], left_s=PATIENT_S)


async def test_a_record_that_another_attempt_made_meanwhile_undoes_the_write(db: Database) -> None:
    async with db.transaction(TENANT) as connection:
        await record_result(
            connection,
            TENANT,
            TURN,
            position=0,
            attempt=2,
            name="other",
            arguments={},
            writes=True,
            result="done",
            now=NOW,
        )
    box = toolbox(ToolOf("add", add, writes=True), context=context_of(on(db)))
    with pytest.raises(ValueError, match="is taken"):
        await box.run([calls("add")], left_s=PATIENT_S)
    assert await added(db) == []


async def test_a_connection_that_breaks_within_a_write_leaves_nothing(db: Database) -> None:
    async def die(arguments: Mapping[str, object], connection: Connection | None) -> str:
        text = await add(arguments, connection)
        assert connection is not None
        connection.terminate()
        return text

    box = toolbox(ToolOf("write", die, writes=True), context=context_of(on(db)))
    with pytest.raises((asyncpg.InterfaceError, asyncpg.PostgresConnectionError, TurnmeterError)):
        await box.run([calls("write")], left_s=PATIENT_S)
    assert await added(db) == []
