from uuid import UUID

import pytest

from metering.budgets import limits_for
from metering.operations import BudgetLimit

CONTACT = UUID(int=1)
AGENT = UUID(int=2)


def limits(
    channel: str, *, contact: int | None = None, agent: int | None = None, of_channel: int | None = None
) -> tuple[BudgetLimit, ...]:
    return limits_for(
        channel=channel,
        contact_id=CONTACT,
        agent_id=AGENT,
        contact_credits=contact,
        agent_credits=agent,
        channel_credits=of_channel,
    )


@pytest.mark.parametrize(("channel", "credits_a_day"), [("whatsapp", 3_000), ("sms", 15_000), ("voice", 15_000)])
def test_a_contact_has_a_shipped_limit_on_each_channel(channel: str, credits_a_day: int) -> None:
    assert limits(channel) == (
        BudgetLimit(scope=f"contact:{CONTACT}:{channel}", limit_millicredits=credits_a_day * 1_000),
    )


def test_the_owners_limits_count_narrowest_first() -> None:
    assert limits("sms", contact=7, agent=8, of_channel=9) == (
        BudgetLimit(scope=f"contact:{CONTACT}:sms", limit_millicredits=7_000),
        BudgetLimit(scope=f"agent:{AGENT}", limit_millicredits=8_000),
        BudgetLimit(scope="channel:sms", limit_millicredits=9_000),
    )


def test_a_limit_of_nothing_is_a_limit() -> None:
    assert [limit.limit_millicredits for limit in limits("whatsapp", contact=0, agent=0)] == [0, 0]


def test_an_unknown_channel_is_not_unlimited() -> None:
    with pytest.raises(KeyError):
        limits("fax")
