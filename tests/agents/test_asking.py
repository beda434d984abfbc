"""Which model is asked, how often and for how long, until one answers."""

import pytest

from agents.errors import NoAnswerError
from agents.responder import Answer
from tests.agents.acting import (
    DOWN,
    REFUSED,
    Scripted,
    Takes,
    Time,
    ToolOf,
    calls,
    respond,
    says,
)


def outcomes(found: Answer | NoAnswerError) -> list[tuple[object, object]]:
    return [(attempt["model"], attempt["outcome"]) for attempt in found.attempts]


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
