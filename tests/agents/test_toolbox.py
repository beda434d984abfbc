"""Tools within a turn: what is run, what is not run twice, and what the model is told when it goes wrong."""

import asyncio
from collections.abc import Mapping

import pytest

from agents.connection import Connection
from agents.errors import ToolFailedError
from agents.toolbox import CALLS_PER_ROUND_MAX
from gateway.db import Database
from tests.agents.acting import (
    PATIENT_S,
    POLICY,
    ToolOf,
    add,
    calls,
    context_of,
    on,
    raising,
    recorded_in,
    toolbox,
)


async def count(_arguments: Mapping[str, object], connection: Connection | None) -> str:
    assert connection is not None
    return str(await connection.fetchval("SELECT count(*) FROM contact"))


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
