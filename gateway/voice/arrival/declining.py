"""Why a call is not answered by the agent, and what its caller meets instead (pure).

Where credits are short nothing may cost anything, so the call is declined unanswered. Otherwise the owner has chosen:
a notice in Twilio's own voice, or a person.
"""

from datetime import datetime
from typing import Final, Literal, get_args

from agents.agent import AgentConfiguration
from agents.opening import agent_answers
from gateway.limits import Limits
from gateway.voice.arrival.admission import Load, why_full
from gateway.voice.call import CHANNEL, MinuteRefused

ShortOfCredits = Literal["insufficient_credits", "tenant_paused", "credits_in_flight"]
Unavailable = Literal["switched_off", "after_hours", "taken_over", "no_engine", "overloaded", "busy", "over_budget"]
Why = ShortOfCredits | Unavailable

SHORT_OF_CREDITS: Final[frozenset[str]] = frozenset(get_args(ShortOfCredits))
UNAVAILABLE: Final[frozenset[str]] = frozenset(get_args(Unavailable))


def why_unavailable(
    configuration: AgentConfiguration, *, mode: str, has_engine: bool, load: Load, limits: Limits, now: datetime
) -> Unavailable | None:
    """Return why the agent does not answer a call now, whatever there is to pay with; None: it does.

    `mode` is the conversation's: while a person has it, or it is paused, the agent is silent on the phone as well.
    """
    override = next((found for name, found in configuration.channels.items() if name == CHANNEL), None)
    if override is not None and not override.enabled:
        return "switched_off"
    if not agent_answers(configuration, now):
        return "after_hours"
    if mode != "agent":
        return "taken_over"
    return why_full(load, limits) if has_engine else "no_engine"


def why_refused(refused: MinuteRefused) -> Why:
    """Return why the wallet does not pay a call's first minute. Whatever is not a daily limit is want of credits."""
    match refused.reason:
        case "over_budget" | "tenant_paused" | "credits_in_flight":
            return refused.reason
        case _:
            return "insufficient_credits"


def is_forwarded(why: str, configuration: AgentConfiguration) -> bool:
    """Return whether a caller whom the agent does not answer is to be put through to a person."""
    return why in UNAVAILABLE and configuration.voice.when_unavailable == "forward"
