"""Daily credit limits: what the owner set, or what is shipped, as the scopes a hold is counted in (pure)."""

from collections.abc import Mapping
from types import MappingProxyType
from uuid import UUID

from metering.credits import MILLICREDITS
from metering.operations import BudgetLimit

# So that one flooding customer cannot drain an owner; agents and channels have no limit unless one is set.
CONTACT_CREDITS: Mapping[str, int] = MappingProxyType({"whatsapp": 3_000, "sms": 15_000, "voice": 15_000})


def limits_for(
    *,
    channel: str,
    contact_id: UUID,
    agent_id: UUID,
    contact_credits: int | None,
    agent_credits: int | None,
    channel_credits: int | None,
) -> tuple[BudgetLimit, ...]:
    """Return the limits that a hold must keep to, narrowest first; credits per day, None as shipped.

    Raises KeyError for a channel that has no shipped limit per contact.
    """
    credits_by_scope = {
        f"contact:{contact_id}:{channel}": CONTACT_CREDITS[channel] if contact_credits is None else contact_credits,
        f"agent:{agent_id}": agent_credits,
        f"channel:{channel}": channel_credits,
    }
    return tuple(
        BudgetLimit(scope=scope, limit_millicredits=allowed * MILLICREDITS)
        for scope, allowed in credits_by_scope.items()
        if allowed is not None
    )
