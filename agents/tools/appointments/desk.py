"""An agent's calendar as one call sees it: the rules, the customer, the moment and the open transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, NoReturn
from uuid import UUID

from agents.agent import AgentConfiguration
from agents.connection import Connection
from agents.errors import ToolFailedError
from agents.local_time import instant_at
from agents.opening import Span, local_day
from agents.parts import MINUTES_PER_DAY, Service
from agents.tools.appointments.calendar import Appointment, free_on, last_day, nearest, obstacle, overlap, slot_of
from agents.tools.appointments.offers import LOOK_AHEAD_DAYS, FreeDays
from agents.tools.appointments.store import list_busy, list_upcoming
from agents.tools.appointments.telling import list_in_words, list_own, why_not
from agents.tools.base import ToolContext

ALTERNATIVES_MAX: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything is asked for the customer that the channel vouches for, at one moment."""

    configuration: AgentConfiguration
    context: ToolContext
    connection: Connection
    now: datetime

    async def own(self) -> list[Appointment]:
        """Return the customer's own upcoming appointments."""
        context = self.context
        return await list_upcoming(
            self.connection, context.tenant_id, context.agent_id, context.contact_id, now=self.now
        )

    async def busy(self, within: Span, *, but_for: UUID | None = None) -> list[Span]:
        context = self.context
        return await list_busy(self.connection, context.tenant_id, context.agent_id, within, but_for=but_for)

    async def free_days(self, service: Service, first: date, last: date, *, but_for: UUID | None = None) -> FreeDays:
        """Return the free starts of every day from one to another, as far as can be booked."""
        zone = self.configuration.zone
        runs_until = slot_of(service, instant_at(last, MINUTES_PER_DAY, zone)).end
        busy = await self.busy(Span(instant_at(first, 0, zone), runs_until), but_for=but_for)
        days = (first + timedelta(days=ahead) for ahead in range((last - first).days + 1))
        return {day: free_on(self.configuration, service, day, busy=busy, now=self.now) for day in days}

    async def check_free(
        self, service: Service, start: datetime, own: Collection[Appointment], *, but_for: UUID | None = None
    ) -> None:
        """Raise ToolFailedError if a start is not one that `free_days` names now."""
        slot = slot_of(service, start)
        busy = await self.busy(slot, but_for=but_for)
        found = obstacle(self.configuration, service, start, busy=busy, now=self.now)
        if found is None:
            return
        reason = why_not(self.configuration, service, start, found, self.now)
        theirs = [one for one in own if one.appointment_id != but_for and overlap(one.during, slot)]
        if found == "taken" and theirs:
            reason += f": the customer's own appointment is then, {list_own(self.configuration, theirs)}"
        await self.refuse(service, start, reason, but_for=but_for)

    async def refuse(self, service: Service, wanted: datetime, reason: str, *, but_for: UUID | None = None) -> NoReturn:
        """Raise ToolFailedError with a reason and the closest free times."""
        starts = await self._alternatives(service, wanted, but_for=but_for)
        free = f"Free instead: {list_in_words(self.configuration, starts)}" if starts else "Nothing else is free then."
        raise ToolFailedError(f"{reason}. {free}")

    async def _alternatives(self, service: Service, wanted: datetime, *, but_for: UUID | None) -> Sequence[datetime]:
        """Return starts on the wanted day, else on the days after it, else on those before it."""
        today, end = local_day(self.configuration, self.now), last_day(self.configuration, self.now)
        day = min(max(local_day(self.configuration, wanted), today), end)
        ahead = timedelta(days=LOOK_AHEAD_DAYS)
        after = await self.free_days(service, day, min(day + ahead, end), but_for=but_for)
        found = after[day] or [start for starts in after.values() for start in starts]
        if not found:
            before = await self.free_days(service, max(day - ahead, today), day, but_for=but_for)
            found = [start for starts in before.values() for start in starts]
        return nearest(found, wanted, count=ALTERNATIVES_MAX)
