"""What a subscriber may change, and what it can buy beside its package (pure).

A change takes effect with the next cycle. An upgrade may be refilled at once: the difference of the packages, for the
difference of the prices; it is committed then. On the top plan a refill is one more package at its price.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.errors import ProblemError
from metering.plans import Plan, Plans


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """One upgrade of the running cycle that was refilled: how many credits more, for how much."""

    credits: int
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A subscription as its choices see it. `next_plan` is None if the plan stays, or is no longer on offer."""

    plan: Plan
    next_plan: Plan | None
    bought: Sequence[Bought]
    is_cancelled: bool

    @property
    def credits(self) -> int:
        """The package of this cycle with the upgrades that were refilled: the next plan has no less."""
        return self.plan.credits + sum(upgrade.credits for upgrade in self.bought)

    @property
    def price_minor(self) -> int:
        return self.plan.price_minor + sum(upgrade.amount_minor for upgrade in self.bought)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """Credits for money, beside the package."""

    purpose: Literal["upgrade", "refill"]
    plan: Plan
    credits: int
    amount_minor: int


def decide_change(standing: Standing, wanted: Plan) -> str | None:
    """Return the plan for the next cycle, None if it stays as it is. Raises ProblemError."""
    _expect_active(standing)
    if standing.bought and wanted.credits < standing.credits:
        raise ProblemError(
            409, "upgrade_committed", "The upgrade was refilled already: until the next cycle begins it stands."
        )
    return None if wanted.name == standing.plan.name else wanted.name


def decide_upgrade(standing: Standing, wanted: Plan) -> Purchase | None:
    """Return what refilling an upgrade at once costs, None if that much was bought before. Raises ProblemError."""
    decide_change(standing, wanted)
    if not wanted.is_above(standing.plan):
        raise ProblemError(409, "not_an_upgrade", f"{wanted.name} has no larger package: there is nothing to refill.")
    if wanted.currency != standing.plan.currency:
        raise ProblemError(
            409, "other_currency", f"{wanted.name} is sold in another currency: change to it without refilling."
        )
    if wanted.credits <= standing.credits:
        return None
    return Purchase(
        purpose="upgrade",
        plan=wanted,
        credits=wanted.credits - standing.credits,
        amount_minor=max(0, wanted.price_minor - standing.price_minor),
    )


def decide_refill(standing: Standing, plans: Plans) -> Purchase:
    """Return what a refill is: an upgrade's difference, or on the top plan one more package. Raises ProblemError."""
    _expect_active(standing)
    following = standing.next_plan
    if following is not None and following.credits > standing.credits:
        purchase = decide_upgrade(standing, following)
        if purchase is not None:
            return purchase
    owned = following if following is not None and standing.bought else standing.plan
    if not plans.is_top(owned):
        raise ProblemError(
            409, "not_refillable", "Only the top plan is refilled as it is: change to a higher one, and refill now."
        )
    return Purchase(purpose="refill", plan=owned, credits=owned.credits, amount_minor=owned.price_minor)


def _expect_active(standing: Standing) -> None:
    if standing.is_cancelled:
        raise ProblemError(409, "subscription_cancelled", "The subscription is cancelled: resume it first.")
