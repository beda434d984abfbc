"""The agent's answer: rounds of tools, failures of models, and what is left of both after a crash."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest

from agents.connection import Connection
from agents.errors import ModelRefusedError, ModelUnavailableError, NoAnswerError
from agents.model import ChatMessage, ToolCall
from agents.recorded import RecordedCall
from agents.responder import Answer, ModelPolicy, answer
from agents.tool_calls import list_recorded
from agents.tools.base import Tool, ToolContext
from gateway.db import Database
from tests.agents.acting import (
    POLICY,
    TENANT,
    TURN,
    Scripted,
    Takes,
    Time,
    ToolOf,
    calls,
    context_of,
    on,
    prompt_of,
    says,
)

BOOKED = RecordedCall(
    position=0, name="book", arguments={"at": "10:00"}, writes=True, state="done", result="Gebucht: Samstag, 10 Uhr."
)
DOWN = ModelUnavailableError("HTTP 503")
REFUSED = ModelRefusedError("HTTP 401")


async def respond(
    model: Scripted,
    *tools: Tool,
    context: ToolContext | None = None,
    policy: ModelPolicy = POLICY,
    time: Time | None = None,
    recorded: tuple[RecordedCall, ...] = (),
) -> Answer:
    clock = time or Time()
    return await answer(
        model,
        prompt_of(*recorded),
        tools,
        context or context_of(),
        policy,
        monotonic=clock.monotonic,
        sleep=clock.sleep,
    )


def outcomes(found: Answer | NoAnswerError) -> list[tuple[object, object]]:
    return [(attempt["model"], attempt["outcome"]) for attempt in found.attempts]


async def test_the_models_words_are_the_answer() -> None:
    model = Scripted(says(" Gern!\n"))
    assert await respond(model) == Answer(
        text="Gern!",
        cut_off=False,
        model="standard",
        attempts=(
            {
                "model": "standard",
                "outcome": "ok",
                "took_ms": 0,
                "answered_by": "standard-2026",
                "usage": {"total_tokens": 5},
            },
        ),
        tool_names=(),
        wrote=False,
        handed_over=None,
    )
    request = model.requests[0]
    assert (request.model, request.messages, request.tools) == ("standard", prompt_of().messages, ())
    assert request.max_output_tokens == 800


async def test_an_answer_cut_off_at_the_cap_says_so() -> None:
    assert (await respond(Scripted(says("Das ist eine lan", cut_off=True)))).cut_off


async def test_nul_and_lone_surrogates_in_the_models_words_become_replacement_characters() -> None:
    assert (await respond(Scripted(says("a\x00b\ud800c😀")))).text == "a\ufffdb\ufffdc😀"


async def test_a_tools_result_goes_back_to_the_model_which_then_answers() -> None:
    tool = ToolOf("find_free", "10:00, 11:00")
    model = Scripted(says("Ich sehe nach.", calls("find_free", '{"day": "2026-11-28"}')), says("Um 10 oder 11 Uhr."))
    found = await respond(model, tool)
    assert (found.text, found.tool_names, found.wrote) == ("Um 10 oder 11 Uhr.", ("find_free",), False)
    assert tool.seen == [{"day": "2026-11-28"}]
    assert model.requests[0].tools == (tool.definition,)
    assert model.requests[1].messages == (
        *prompt_of().messages,
        ChatMessage(role="assistant", text="Ich sehe nach.", tool_calls=(calls("find_free", '{"day": "2026-11-28"}'),)),
        ChatMessage(role="tool", text="10:00, 11:00", tool_call_id="c1"),
    )
    assert outcomes(found) == [("standard", "ok")] * 2


async def test_after_three_rounds_of_tools_the_model_must_answer_without_them() -> None:
    days = (calls("find_free", f'{{"day": {number}}}') for number in itertools.count())
    model = Scripted(*(says("", next(days)) for _ in range(3)), says("Samstag um 10.", next(days)))
    found = await respond(model, ToolOf("find_free", "nichts frei"))
    assert found.text == "Samstag um 10."
    assert [bool(request.tools) for request in model.requests] == [True, True, True, False]
    assert found.tool_names == ("find_free",) * 3


async def test_calls_of_a_model_that_was_offered_no_tools_are_not_run() -> None:
    assert (await respond(Scripted(says("Hallo.", calls("book"))))).text == "Hallo."
    with pytest.raises(NoAnswerError):
        await respond(Scripted(says("", calls("book"))))


async def test_an_unavailable_model_is_asked_again_after_a_short_pause() -> None:
    time = Time()
    found = await respond(Scripted(DOWN, says("Gern!")), time=time)
    assert found.text == "Gern!"
    assert outcomes(found) == [("standard", "unavailable"), ("standard", "ok")]
    assert found.attempts[0]["reason"] == "HTTP 503"
    assert found.attempts[0]["usage"] == {}
    assert time.slept == [0.5]


async def test_when_a_model_stays_away_the_fallback_answers_and_stays_for_the_turn() -> None:
    model = Scripted(DOWN, DOWN, says("", calls("find_free")), says("Um 10."))
    found = await respond(model, ToolOf("find_free", "10:00"))
    assert (found.text, found.model) == ("Um 10.", "small")
    assert model.models == ["standard", "standard", "small", "small"]


async def test_a_refused_request_goes_straight_to_the_fallback() -> None:
    time = Time()
    found = await respond(Scripted(REFUSED, says("Gern!")), time=time)
    assert outcomes(found) == [("standard", "refused"), ("small", "ok")]
    assert time.slept == []


@pytest.mark.parametrize("empty", ["", " \n"])
async def test_an_empty_answer_is_a_failed_attempt(empty: str) -> None:
    found = await respond(Scripted(says(empty), says(empty), says("Gern!")))
    assert outcomes(found) == [("standard", "empty"), ("standard", "empty"), ("small", "ok")]
    assert found.attempts[0]["usage"] == {"total_tokens": 5}


async def test_when_no_model_answers_the_caller_learns_what_was_tried() -> None:
    with pytest.raises(NoAnswerError) as caught:
        await respond(Scripted(DOWN, says(""), REFUSED))
    assert outcomes(caught.value) == [("standard", "unavailable"), ("standard", "empty"), ("small", "refused")]
    assert not caught.value.wrote


async def test_all_tries_share_twenty_seconds() -> None:
    time = Time()
    model = Scripted(Takes(14.0, DOWN), Takes(6.0, DOWN), time=time)
    with pytest.raises(NoAnswerError) as caught:
        await respond(model, time=time)
    assert model.timeouts_s == [14.0, 6.0]
    assert model.models == ["standard", "small"]
    assert [attempt["took_ms"] for attempt in caught.value.attempts] == [14_000, 6_000]


async def test_rounds_share_the_time_too() -> None:
    time = Time()
    model = Scripted(Takes(10.0, says("", calls("find_free"))), Takes(1.0, says("Um 10.")), time=time)
    await respond(model, ToolOf("find_free", "10:00"), time=time)
    assert model.timeouts_s == [14.0, 7.0]


async def test_what_an_earlier_attempt_did_is_shown_to_the_model_and_belongs_to_the_turn() -> None:
    model = Scripted(says("Ihr Termin steht."))
    found = await respond(model, ToolOf("book", "noch einmal gebucht", writes=True), recorded=(BOOKED,))
    assert (found.text, found.tool_names, found.wrote) == ("Ihr Termin steht.", ("book",), True)
    assert model.requests[0].messages[2:] == (
        ChatMessage(
            role="assistant",
            text="",
            tool_calls=(ToolCall(call_id="earlier00", name="book", arguments='{"at": "10:00"}'),),
        ),
        ChatMessage(role="tool", text="Gebucht: Samstag, 10 Uhr.", tool_call_id="earlier00"),
    )


async def test_a_call_that_an_earlier_attempt_made_is_not_made_again() -> None:
    tool = ToolOf("book", "noch einmal gebucht", writes=True)
    model = Scripted(says("", calls("book", '{"at":  "10:00"}')), says("Steht."))
    found = await respond(model, tool, recorded=(BOOKED,))
    assert tool.seen == []
    assert model.told[-1] == "Gebucht: Samstag, 10 Uhr."
    assert found.tool_names == ("book",)


async def test_a_write_of_unknown_outcome_is_told_as_such_and_not_repeated() -> None:
    unknown = replace(BOOKED, state="intended", result=None)
    tool = ToolOf("book", "gebucht", writes=True)
    model = Scripted(says("", calls("book", '{"at": "10:00"}')), says("Jemand meldet sich."))
    found = await respond(model, tool, recorded=(unknown,))
    assert tool.seen == []
    assert "unknown whether this happened" in model.told[0]
    assert "a person will confirm" in model.told[1]
    assert (found.tool_names, found.wrote) == ((), True)


async def test_a_handover_ends_the_turn_with_whatever_was_written() -> None:
    tool = ToolOf("handover", "ok")
    model = Scripted(says("Ich hole jemanden.", calls("handover", '{"reason": " Beschwerde "}')), says("nie gefragt"))
    found = await respond(model, tool)
    assert (found.text, found.handed_over, found.tool_names) == ("Ich hole jemanden.", "Beschwerde", ("handover",))
    assert len(model.requests) == 1


async def test_a_handover_needs_neither_words_nor_a_reason() -> None:
    found = await respond(Scripted(says("", calls("handover"))), ToolOf("handover", "ok"))
    assert (found.text, found.handed_over) == ("", "")


async def test_a_handover_that_failed_is_none() -> None:
    async def fail(_arguments: Mapping[str, object], _connection: Connection | None) -> str:
        raise RuntimeError

    found = await respond(Scripted(says("", calls("handover")), says("Hm.")), ToolOf("handover", fail))
    assert (found.text, found.handed_over) == ("Hm.", None)


async def test_a_handover_of_a_crashed_attempt_still_counts() -> None:
    handed_over = replace(BOOKED, name="handover", arguments={"reason": "Beschwerde"})
    model = Scripted(says("nie gefragt"))
    found = await respond(model, recorded=(handed_over,))
    assert (found.handed_over, found.text, found.attempts) == ("Beschwerde", "", ())
    assert model.requests == []


async def test_past_calls_go_back_in_a_form_that_every_server_takes() -> None:
    odd = (calls("buche termin!", '{"at": ', call_id="c1"), calls("", "", call_id="c2"), calls("\ud800", "5"))
    model = Scripted(says("", *odd), says("Hm."))
    await respond(model, ToolOf("book", "ok"))
    made = model.requests[1].messages[2].tool_calls
    assert [(call.name, call.arguments) for call in made] == [
        ("buche_termin_", "{}"),
        ("unknown", "{}"),
        ("_", "{}"),
    ]


# ---------------------------------------------------------------- with PostgreSQL


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


async def recorded_in(db: Database) -> tuple[RecordedCall, ...]:
    async with db.transaction(TENANT) as connection:
        return await list_recorded(connection, TENANT, TURN)


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
