"""The agent's answer: rounds of tools, failures of models, and what is left of both after a crash."""

import itertools
from collections.abc import Mapping
from dataclasses import replace

import pytest

from agents.connection import Connection
from agents.errors import NoAnswerError
from agents.model import ChatMessage, ToolCall
from agents.responder import Answer
from tests.agents.acting import (
    BOOKED,
    Scripted,
    ToolOf,
    calls,
    prompt_of,
    respond,
    says,
)
from tests.agents.fake_openai import asked, call, completion, failing, saying


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
    assert [attempt["outcome"] for attempt in found.attempts] == ["ok", "ok"]


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


async def test_a_whole_turn_goes_over_the_wire() -> None:
    """Throttled once, then a tool, then words; all as a compatible server would see it."""
    tool = ToolOf("find_free", "10:00")
    script = [failing(429), saying(completion(None, calls=[call("find_free", "{}")])), saying(completion("Um 10."))]
    async with asked(*script) as (model, server):
        found = await respond(model, tool)
    assert (found.text, found.tool_names) == ("Um 10.", ("find_free",))
    assert [attempt["outcome"] for attempt in found.attempts] == ["unavailable", "ok", "ok"]
    messages = server.bodies[-1]["messages"]
    assert isinstance(messages, list)
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool"]
    assert messages[-1] == {"role": "tool", "tool_call_id": "call_1", "content": "10:00"}
