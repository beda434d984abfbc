"""Calls that the agent does not answer: why, and what the caller meets."""

from datetime import UTC, datetime
from typing import Any

import pytest

from agents.agent import AgentConfiguration, parse_agent
from gateway.limits import Limits
from gateway.voice.arrival.admission import Load
from gateway.voice.arrival.declining import SHORT_OF_CREDITS, UNAVAILABLE, is_forwarded, why_refused, why_unavailable
from gateway.voice.call import MinuteRefused
from metering.operations import RefusalReason

TUESDAY_NOON = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)
TUESDAY_NIGHT = datetime(2026, 11, 24, 22, 0, tzinfo=UTC)
IDLE = Load(calls_here=0, loop_lag_p95_s=0.0, calls_of_tenant=0)
FULL = Load(calls_here=0, loop_lag_p95_s=0.0, calls_of_tenant=10)
HOURS = {"hours": {"tuesday": ["09:00-18:00"]}}


def agent(**changes: Any) -> AgentConfiguration:  # noqa: ANN401 - a configuration's keys
    return parse_agent({"name": "Rezeption", "instructions": "Du bist die Rezeption.", **changes})


def why(configuration: AgentConfiguration, **changes: Any) -> str | None:  # noqa: ANN401 - arguments
    arguments: dict[str, Any] = {
        "mode": "agent",
        "has_engine": True,
        "load": IDLE,
        "limits": Limits(),
        "now": TUESDAY_NOON,
        **changes,
    }
    return why_unavailable(configuration, **arguments)


def test_an_agent_answers_unless_something_stands_in_the_way() -> None:
    assert why(agent()) is None


def test_an_agent_that_is_switched_off_on_the_phone_does_not_answer_there() -> None:
    assert why(agent(channel={"voice": {"enabled": False}})) == "switched_off"
    assert why(agent(channel={"sms": {"enabled": False}})) is None


def test_the_setting_for_closing_time_counts_on_the_phone_too() -> None:
    during, outside = agent(after_hours="during", **HOURS), agent(after_hours="outside", **HOURS)
    assert [why(during, now=at) for at in (TUESDAY_NOON, TUESDAY_NIGHT)] == [None, "after_hours"]
    assert [why(outside, now=at) for at in (TUESDAY_NOON, TUESDAY_NIGHT)] == ["after_hours", None]


@pytest.mark.parametrize("mode", ["human", "paused"])
def test_a_conversation_that_a_person_has_is_not_answered_by_the_agent(mode: str) -> None:
    assert why(agent(), mode=mode) == "taken_over"


def test_without_an_engine_or_without_room_nobody_is_answered() -> None:
    assert why(agent(), has_engine=False) == "no_engine"
    assert why(agent(), load=FULL) == "busy"


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("over_budget", "over_budget"),
        ("tenant_paused", "tenant_paused"),
        ("credits_in_flight", "credits_in_flight"),
        ("insufficient_credits", "insufficient_credits"),
        ("hold_ended", "insufficient_credits"),
        ("key_reused", "insufficient_credits"),
    ],
)
def test_a_wallet_that_says_no_is_a_reason(reason: RefusalReason, expected: str) -> None:
    assert why_refused(MinuteRefused(reason=reason)) == expected


def test_nobody_is_put_through_where_credits_are_short_or_the_owner_wants_a_notice() -> None:
    forwarding = agent(voice={"when_unavailable": "forward", "transfer_to": "+4930123456"})
    assert all(is_forwarded(reason, forwarding) for reason in UNAVAILABLE)
    assert not any(is_forwarded(reason, forwarding) for reason in SHORT_OF_CREDITS)
    assert not any(is_forwarded(reason, agent()) for reason in UNAVAILABLE)
