"""Tools within a turn: what is run, what is not run twice, and what the model is told when it goes wrong."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import asyncpg
import pytest
from structlog.testing import capture_logs

from agents.connection import Connection
from agents.errors import ToolFailedError
from agents.recorded import RecordedCall
from agents.tool_calls import list_recorded, record_result
from agents.toolbox import CALLS_PER_ROUND_MAX, Toolbox
from agents.tools.base import Tool, ToolContext
from gateway.db import Database
from gateway.errors import TurnmeterError
from tests.agents.acting import NOW, POLICY, TENANT, TURN, Action, ToolOf, calls, context_of, on

PATIENT_S = 20.0


def toolbox(*tools: Tool, context: ToolContext | None = None, tool_timeout_s: float = 60.0) -> Toolbox:
    return Toolbox(tools, context or context_of(), replace(POLICY, tool_timeout_s=tool_timeout_s), ())


def raising(error: BaseException) -> Action:
    async def act(_arguments: Mapping[str, object], _connection: Connection | None) -> str:
        raise error

    return act


async def hang(_arguments: Mapping[str, object], _connection: Connection | None) -> str:
    await asyncio.Event().wait()
    return "never"


async def count(_arguments: Mapping[str, object], connection: Connection | None) -> str:
    assert connection is not None
    return str(await connection.fetchval("SELECT count(*) FROM contact"))


async def add(arguments: Mapping[str, object], connection: Connection | None) -> str:
    assert connection is not None
    await connection.execute(
        "INSERT INTO contact (tenant_id, contact_id, name, created_at) VALUES ($1, gen_random_uuid(), $2, now())",
        TENANT,
        str(arguments.get("name", "")),
    )
    return "added"


async def added(db: Database) -> list[str]:
    async with db.transaction(TENANT) as connection:
        return [row["name"] for row in await connection.fetch("SELECT name FROM contact ORDER BY name")]


async def recorded_in(db: Database) -> tuple[RecordedCall, ...]:
    async with db.transaction(TENANT) as connection:
        return await list_recorded(connection, TENANT, TURN)


async def test_the_calls_of_a_round_are_answered_in_the_order_in_which_they_were_made() -> None:
    box = toolbox(ToolOf("a", "from a"), ToolOf("b", "from b"))
    told = await box.run([calls("b"), calls("nowhere"), calls("a"), calls("b", '{"x": 1}')], left_s=PATIENT_S)
    assert told == ["from b", "Error: there is no such tool; there are: a, b", "from a", "from b"]
    assert box.tool_names == ("b", "a", "b")


async def test_tools_that_read_run_at_the_same_time() -> None:
    all_there = asyncio.Barrier(3)

    async def meet(_arguments: Mapping[str, object], _connection: Connection | None) -> str:
        await all_there.wait()
        return "met"

    box = toolbox(ToolOf("meet", meet))
    told = await box.run([calls("meet", f'{{"seat": {seat}}}') for seat in range(3)], left_s=PATIENT_S)
    assert told == ["met"] * 3


async def test_tools_that_write_run_one_after_the_other_in_order(db: Database) -> None:
    inside: list[object] = []

    async def write(arguments: Mapping[str, object], connection: Connection | None) -> str:
        inside.append(("in", arguments["n"]))
        await asyncio.sleep(0.01 / (1 + len(inside)))
        text = await add(arguments, connection)
        inside.append(("out", arguments["n"]))
        return text

    box = toolbox(ToolOf("write", write, writes=True), context=context_of(on(db)))
    await box.run([calls("write", f'{{"n": {n}}}') for n in (2, 1, 3)], left_s=PATIENT_S)
    assert inside == [("in", 2), ("out", 2), ("in", 1), ("out", 1), ("in", 3), ("out", 3)]
    assert [call.arguments["n"] for call in await recorded_in(db)] == [2, 1, 3]


async def test_a_tool_is_given_a_connection_only_if_it_uses_the_database(db: Database) -> None:
    given: list[bool] = []

    async def look(_arguments: Mapping[str, object], connection: Connection | None) -> str:
        given.append(connection is not None)
        return ""

    tools = (ToolOf("none", look), ToolOf("some", look, uses_database=True))
    await toolbox(*tools, context=context_of(on(db))).run([calls("none")], left_s=PATIENT_S)
    await toolbox(*tools, context=context_of(on(db))).run([calls("some")], left_s=PATIENT_S)
    assert given == [False, True]


async def test_the_turn_is_told_before_a_tool_writes_and_not_when_one_reads(db: Database) -> None:
    events: list[str] = []

    async def write(_arguments: Mapping[str, object], _connection: Connection | None) -> str:
        events.append("write")
        return ""

    context = context_of(on(db), on_write=lambda: events.append("told"))
    box = toolbox(ToolOf("read", "ok"), ToolOf("write", write, writes=True), context=context)
    await box.run([calls("read")], left_s=PATIENT_S)
    assert events == []
    await box.run([calls("write")], left_s=PATIENT_S)
    assert events == ["told", "write"]


async def test_the_same_call_is_run_once_whatever_its_spacing() -> None:
    tool = ToolOf("find", "10:00")
    box = toolbox(tool)
    same = [calls("find", '{"a": 1, "b": 2}'), calls("find", '{"b":2,"a":1.0}')]
    assert await box.run(same, left_s=PATIENT_S) == ["10:00", "10:00"]
    assert await box.run(same, left_s=PATIENT_S) == ["10:00", "10:00"]
    assert len(tool.seen) == 1
    assert box.tool_names == ("find",)


async def test_a_write_is_never_tried_twice_even_if_it_failed(db: Database) -> None:
    tool = ToolOf("write", raising(ToolFailedError("the slot is taken")), writes=True)
    box = toolbox(tool, context=context_of(on(db)))
    for _ in range(2):
        assert await box.run([calls("write")], left_s=PATIENT_S) == ["Error: the slot is taken"]
    assert len(tool.seen) == 1
    assert not box.wrote


async def test_what_was_read_before_a_write_is_read_again_after_it(db: Database) -> None:
    box = toolbox(
        ToolOf("count", count, uses_database=True), ToolOf("add", add, writes=True), context=context_of(on(db))
    )
    assert await box.run([calls("count")], left_s=PATIENT_S) == ["0"]
    await box.run([calls("add")], left_s=PATIENT_S)
    assert await box.run([calls("count")], left_s=PATIENT_S) == ["1"]
    assert box.wrote


async def test_a_failed_write_makes_old_reads_stale_too(db: Database) -> None:
    find = ToolOf("find", "10:00")
    taken = ToolOf("book", raising(ToolFailedError("taken")), writes=True)
    box = toolbox(find, taken, context=context_of(on(db)))
    for call in (calls("find"), calls("book"), calls("find")):
        await box.run([call], left_s=PATIENT_S)
    assert len(find.seen) == 2


async def test_a_read_that_failed_may_be_tried_again() -> None:
    tool = ToolOf("find", raising(ToolFailedError("try later")))
    box = toolbox(tool)
    for _ in range(2):
        assert await box.run([calls("find")], left_s=PATIENT_S) == ["Error: try later"]
    assert len(tool.seen) == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"a": ', "Error: the arguments are not valid JSON"),
        ("[1]", "Error: the arguments must be a JSON object"),
        ('"' + "x" * 9000 + '"', "Error: the arguments are too long"),
    ],
    ids=["broken", "no object", "long"],
)
async def test_arguments_that_cannot_be_read_are_told_and_nothing_runs(arguments: str, told: str) -> None:
    tool = ToolOf("find", "10:00")
    box = toolbox(tool)
    assert await box.run([calls("find", arguments)], left_s=PATIENT_S) == [told]
    assert (tool.seen, box.tool_names) == ([], ())


async def test_a_tool_that_is_not_there_is_told_even_if_there_is_none() -> None:
    assert await toolbox().run([calls("find")], left_s=PATIENT_S) == ["Error: there is no such tool; there are: none"]


async def test_only_so_many_calls_are_run_at_once() -> None:
    tool = ToolOf("find", "10:00")
    many = [calls("find", f'{{"n": {n}}}') for n in range(CALLS_PER_ROUND_MAX + 1)]
    told = await toolbox(tool).run(many, left_s=PATIENT_S)
    assert told[:-1] == ["10:00"] * CALLS_PER_ROUND_MAX
    assert told[-1].startswith("Error: not run")
    assert len(tool.seen) == CALLS_PER_ROUND_MAX


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
    assert str(entry["where"]).startswith("test_toolbox.py:")


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


async def test_a_long_result_is_cut_at_a_character_and_says_so(db: Database) -> None:
    async def talk(_arguments: Mapping[str, object], _connection: Connection | None) -> str:
        return "ä" * 5000 + "\x00"

    box = toolbox(ToolOf("talk", talk, writes=True), context=context_of(on(db)))
    (told,) = await box.run([calls("talk")], left_s=PATIENT_S)
    assert POLICY.tool_result_bytes - 2 < len(told.encode()) <= POLICY.tool_result_bytes
    assert told.endswith("ä [… cut]")
    assert [call.result for call in await recorded_in(db)] == [told]


async def test_a_result_with_nul_can_be_recorded(db: Database) -> None:
    box = toolbox(ToolOf("talk", "a\x00\ud800b", writes=True), context=context_of(on(db)))
    assert await box.run([calls("talk", '{"x": "\\u0000"}')], left_s=PATIENT_S) == ["a\ufffd\ufffdb"]
    assert [(call.arguments, call.result) for call in await recorded_in(db)] == [({"x": "\ufffd"}, "a\ufffd\ufffdb")]


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
