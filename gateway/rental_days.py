"""The rental months of a number: when they fall due, when their owner is told, when the number is given up (pure).

Each line has months of its own from its provisioning day, counted from there: docs/decisions/0011.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal
from uuid import UUID

from metering.cycle import Cycle, cycle_on

LineState = Literal["active", "suspended", "released"]

WARNED_DAYS_BEFORE = 7
NOTICE_DAYS = (0, 3, 7, 14)  # since a month could not be paid
RELEASED_AFTER_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Rental:
    """A line as its rent sees it. `due_on` is the first day that is not paid."""

    line_id: UUID
    kind: str
    state: LineState
    provisioned_on: date
    due_on: date
    unpaid_since: date | None = None
    has_begun: bool = True  # a month was paid, or the number bought; before that no month has begun

    @property
    def month(self) -> Cycle:
        """Return the first month that is not paid."""
        return cycle_on(self.provisioned_on, self.due_on)

    def as_of(self, day: date) -> "Rental":
        """Return the rent as it stands on a day: months that have not begun begin when the first is paid."""
        return self if self.has_begun else replace(self, provisioned_on=day, due_on=day)

    def is_due(self, day: date) -> bool:
        return self.state != "released" and self.due_on <= day

    def months_to_pay(self, day: date) -> int:
        """Return how many months must be paid for the number to be in service on a day."""
        if not self.is_due(day):
            return 0
        running = cycle_on(self.provisioned_on, day).number
        missed = running - self.month.number
        return min(missed, 1) + 1 if self.state == "suspended" else missed + 1

    def paid_until(self, day: date) -> date:
        """Return the first day not paid once the due month is.

        A suspended number owes the month that fell due and the one that runs, none between: nobody could use them.
        """
        running = cycle_on(self.provisioned_on, max(day, self.due_on))
        if self.state == "suspended" and running.number > self.month.number:
            return running.starts_on
        return self.month.ends_on


def notice_on(unpaid_since: date, day: date) -> int:
    """Return which notice is the last that was due by a day: 0, 3, 7 or 14."""
    return max(notice for notice in NOTICE_DAYS if notice <= (day - unpaid_since).days)


def released_on(unpaid_since: date) -> date:
    return unpaid_since + timedelta(days=RELEASED_AFTER_DAYS)


def is_warned_on(due_on: date, day: date) -> bool:
    """Whether a day is among those before a month falls due on which its owner is told if it cannot be paid."""
    return timedelta() < due_on - day <= timedelta(days=WARNED_DAYS_BEFORE)
