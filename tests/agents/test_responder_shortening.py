"""An answer that is too long for where it goes: asked for once more, never at the price of having none."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from agents.errors import ModelError
from agents.model import ChatMessage, ChatModel, ChatReply
from agents.responder import Answer, LengthLimit, answer
from agents.retry import ModelPolicy
from agents.tools.base import Tool
from tests.agents.acting import (
    DOWN,
    POLICY,
    REFUSED,
    Scripted,
    Takes,
    Time,
    ToolOf,
    calls,
    context_of,
    prompt_of,
    says,
)
from tests.agents.fake_openai import asked, call, completion, failing, saying

WISH = "Kürzer, bitte."
LONG, SHORT = "Sehr gern, am Samstag um 10 Uhr ist noch frei.", "Samstag um 10."


async def respond(
    model: ChatModel,
    *tools: Tool,
    fits: Callable[[str], bool] | None = None,
    policy: ModelPolicy = POLICY,
    time: Time | None = None,
) -> Answer:
    clock = time or Time()
    length = None if fits is None else LengthLimit(fits=fits, request=WISH)
    return await answer(
        model, prompt_of(), tools, context_of(), policy, monotonic=clock.monotonic, sleep=clock.sleep, length=length
    )


def is_short(text: str) -> bool:
    return len(text) <= 20


async def test_an_answer_that_does_not_fit_is_asked_for_once_more() -> None:
    model = Scripted(says(LONG), says(SHORT))
    found = await respond(model, fits=is_short)
    assert found.text == SHORT
    assert [attempt["outcome"] for attempt in found.attempts] == ["ok", "ok"]
    assert model.requests[1].messages == (
        *prompt_of().messages,
        ChatMessage(role="assistant", text=LONG),
        ChatMessage(role="user", text=WISH),
    )


async def test_an_answer_that_fits_is_not_asked_for_again() -> None:
    model = Scripted(says(SHORT), says("nie gefragt"))
    assert (await respond(model, fits=is_short)).text == SHORT
    assert len(model.requests) == 1


async def test_where_length_costs_nothing_no_answer_is_too_long() -> None:
    model = Scripted(says(LONG), says(SHORT))
    assert (await respond(model)).text == LONG
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    ("second", "kept"),
    [
        ("Am Samstag um 10 ist noch frei.", "Am Samstag um 10 ist noch frei."),
        (LONG + " Passt das?", LONG),
    ],
    ids=["shorter", "longer"],
)
async def test_if_neither_fits_the_shorter_one_is_kept_and_nobody_asks_a_third_time(second: str, kept: str) -> None:
    model = Scripted(says(LONG), says(second), says(SHORT))
    assert (await respond(model, fits=is_short)).text == kept
    assert len(model.requests) == 2


async def test_a_longer_answer_that_fits_is_better_than_a_shorter_one_that_does_not() -> None:
    found = await respond(Scripted(says("Um 10 \U0001f600"), says("Um 10 Uhr, gern.")), fits=str.isascii)
    assert found.text == "Um 10 Uhr, gern."


@pytest.mark.parametrize("second", [DOWN, REFUSED, says(" \n"), says("", calls("find_free"))])
async def test_whatever_goes_wrong_with_the_second_request_the_first_answer_is_kept(
    second: ChatReply | ModelError,
) -> None:
    time = Time()
    model = Scripted(says(LONG), second, says("nie gefragt"), time=time)
    found = await respond(model, time=time, fits=is_short)
    assert (found.text, found.model, len(model.requests), time.slept) == (LONG, "standard", 2, [])
    assert len(found.attempts) == 2
    assert found.attempts[1]["outcome"] != "ok"


async def test_with_less_than_three_seconds_left_the_answer_stays_long() -> None:
    for took_s, text, timeouts_s in ((17.0, SHORT, [14.0, 3.0]), (17.1, LONG, [14.0])):
        time = Time()
        model = Scripted(Takes(took_s, says(LONG)), says(SHORT), time=time)
        assert (await respond(model, time=time, fits=is_short)).text == text
        assert model.timeouts_s == timeouts_s


async def test_the_model_that_had_to_step_in_is_asked_for_the_shorter_answer_too() -> None:
    model = Scripted(REFUSED, says(LONG), says(SHORT))
    found = await respond(model, fits=is_short)
    assert (found.text, found.model, model.models) == (SHORT, "small", ["standard", "small", "small"])


async def test_the_rounds_of_tools_are_as_many_as_ever_and_none_is_offered_afterwards() -> None:
    tool = ToolOf("find_free", "10:00")
    policy = replace(POLICY, rounds_max=2)
    model = Scripted(says("", calls("find_free")), says(LONG), says(SHORT, calls("find_free")))
    found = await respond(model, tool, policy=policy, fits=is_short)
    assert (found.text, found.tool_names) == (SHORT, ("find_free",))
    assert [bool(request.tools) for request in model.requests] == [True, False, False]
    assert [message.role for message in model.requests[2].messages[2:]] == ["assistant", "tool", "assistant", "user"]


async def test_words_beside_a_handover_are_never_asked_for_again() -> None:
    model = Scripted(says(LONG, calls("handover")), says(SHORT))
    found = await respond(model, ToolOf("handover", "ok"), fits=is_short)
    assert (found.text, found.handed_over, len(model.requests)) == (LONG, "", 1)


async def test_whether_an_answer_was_cut_off_is_said_of_the_one_that_is_kept() -> None:
    assert not (await respond(Scripted(says(LONG, cut_off=True), says(SHORT)), fits=is_short)).cut_off
    assert (await respond(Scripted(says(LONG, cut_off=True), DOWN), fits=is_short)).cut_off


async def test_a_shorter_answer_goes_over_the_wire() -> None:
    script = (saying(completion(None, calls=[call("find_free", "{}")])), saying(completion(LONG)))
    async with asked(*script, saying(completion(SHORT))) as (model, server):
        found = await respond(model, ToolOf("find_free", "10:00"), fits=is_short)
    assert found.text == SHORT
    assert "tools" not in server.bodies[2]
    messages = server.bodies[2]["messages"]
    assert isinstance(messages, list)
    assert messages[-2:] == [
        {"role": "assistant", "content": LONG},
        {"role": "user", "content": WISH},
    ]


async def test_a_server_that_fails_at_the_second_request_costs_no_answer() -> None:
    async with asked(saying(completion(LONG)), failing(500)) as (model, server):
        found = await respond(model, fits=is_short)
    assert (found.text, len(server.seen)) == (LONG, 2)
    assert [attempt["outcome"] for attempt in found.attempts] == ["ok", "unavailable"]
