"""Appointments for the customer of a conversation: free times, book, look up, move, cancel.

A time is written only if it would be named as free at that moment. Whoever writes holds the agent's calendar
until the commit; the database's own constraint against overlaps is the last word.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from agents.agent import AgentConfiguration
from agents.connection import Connection
from agents.errors import ToolFailedError
from agents.local_time import say_day
from agents.model import ToolDefinition
from agents.opening import local_day
from agents.parts import Service
from agents.tools.appointments import definitions
from agents.tools.appointments.arguments import (
    BookArguments,
    CancelArguments,
    FreeArguments,
    MoveArguments,
    NoArguments,
    moment,
    service_of,
)
from agents.tools.appointments.calendar import Appointment, last_day, slot_of
from agents.tools.appointments.desk import Desk
from agents.tools.appointments.offers import LOOK_AHEAD_DAYS, Wish, choose
from agents.tools.appointments.store import JustTakenError, book, cancel, lock_calendar, move
from agents.tools.appointments.telling import APPOINTMENTS_TOLD_MAX, as_json, list_own, tell_appointment, tell_time
from agents.tools.arguments import read
from agents.tools.base import Tool, ToolContext

_JUST_TAKEN = "this time has just been taken"

Told = Mapping[str, object]
Act = Callable[[Desk, Mapping[str, object]], Awaitable[Told]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppointmentTool:
    """One of the five; what it does is `act`."""

    configuration: AgentConfiguration
    definition: ToolDefinition
    act: Act
    writes: bool = False
    uses_database: bool = True

    async def call(self, context: ToolContext, arguments: Mapping[str, object], connection: Connection | None) -> str:
        if connection is None:
            raise TypeError("appointments are kept in the database")
        desk = Desk(configuration=self.configuration, context=context, connection=connection, now=context.now())
        if self.writes:
            await lock_calendar(connection, context.tenant_id, context.agent_id)
        return as_json(await self.act(desk, arguments))


def appointment_tools(configuration: AgentConfiguration) -> tuple[Tool, ...]:
    """Return the five tools of an agent that gives appointments."""
    return (
        AppointmentTool(configuration=configuration, definition=definitions.FREE, act=_free),
        AppointmentTool(configuration=configuration, definition=definitions.BOOK, act=_book, writes=True),
        AppointmentTool(configuration=configuration, definition=definitions.MINE, act=_mine),
        AppointmentTool(configuration=configuration, definition=definitions.MOVE, act=_move, writes=True),
        AppointmentTool(configuration=configuration, definition=definitions.CANCEL, act=_cancel, writes=True),
    )


async def _free(desk: Desk, arguments: Mapping[str, object]) -> Told:
    wanted = read(FreeArguments, arguments)
    configuration = desk.configuration
    service = service_of(configuration, wanted.service)
    today, end = local_day(configuration, desk.now), last_day(configuration, desk.now)
    first = wanted.day or today
    if not today <= first <= end:
        bounds = f"from {say_day(today, configuration.language)} to {say_day(end, configuration.language)}"
        raise ToolFailedError(f"{say_day(first, configuration.language)} cannot be booked, only days {bounds}")
    days = await desk.free_days(service, first, min(first + timedelta(days=LOOK_AHEAD_DAYS), end))
    wish = Wish(day=wanted.day, part_of_day=wanted.part_of_day, from_time=wanted.from_time)
    offer = choose(configuration, wish, days)
    note = {} if offer.note is None else {"note": offer.note}
    free = [tell_time(configuration, start) for start in offer.starts]
    return {"service": service.name, "minutes": service.minutes, "free": free, **note}


async def _book(desk: Desk, arguments: Mapping[str, object]) -> Told:
    wanted = read(BookArguments, arguments)
    configuration, context = desk.configuration, desk.context
    service = service_of(configuration, wanted.service)
    start = moment(wanted.start, configuration.zone)
    own = await desk.own()
    for one in own:
        if one.start == start and configuration.find_service(one.service) == service:
            return {"booked": tell_appointment(configuration, one), "note": "this was booked already"}
    if len(own) >= configuration.booking.open_per_contact:
        raise ToolFailedError(
            f"this customer has {len(own)} upcoming appointments and may have no more; one of them can be moved "
            f"or cancelled: {list_own(configuration, own)}"
        )
    await desk.check_free(service, start, own)
    try:
        booked = await book(
            desk.connection,
            context.tenant_id,
            context.agent_id,
            context.contact_id,
            appointment_id=context.new_id(),
            service=service.name,
            during=slot_of(service, start),
            customer_name=wanted.customer_name,
            note=wanted.note,
            now=desk.now,
        )
    except JustTakenError:
        await desk.refuse(service, start, _JUST_TAKEN)
    return {"booked": tell_appointment(configuration, booked)}


async def _mine(desk: Desk, arguments: Mapping[str, object]) -> Told:
    read(NoArguments, arguments)
    own = await desk.own()
    told = [tell_appointment(desk.configuration, one) for one in own[:APPOINTMENTS_TOLD_MAX]]
    left = len(own) - len(told)
    return {"appointments": told, **({"note": f"and {left} later ones"} if left else {})}


async def _move(desk: Desk, arguments: Mapping[str, object]) -> Told:
    wanted = read(MoveArguments, arguments)
    configuration = desk.configuration
    own = await desk.own()
    old = _meant(configuration, own, appointment_id=wanted.appointment_id, start=wanted.start)
    start = moment(wanted.new_start, configuration.zone)
    service = _still_offered(configuration, old)
    before = tell_time(configuration, old.start)
    if start == old.start:
        return {"moved": {**tell_appointment(configuration, old), "before": before}, "note": "it was then already"}
    await desk.check_free(service, start, own, but_for=old.appointment_id)
    moved = Appointment(appointment_id=old.appointment_id, service=old.service, during=slot_of(service, start))
    try:
        await _move_row(desk, moved)
    except JustTakenError:
        await desk.refuse(service, start, _JUST_TAKEN, but_for=old.appointment_id)
    return {"moved": {**tell_appointment(configuration, moved), "before": before}}


async def _cancel(desk: Desk, arguments: Mapping[str, object]) -> Told:
    wanted = read(CancelArguments, arguments)
    own = await desk.own()
    old = _meant(desk.configuration, own, appointment_id=wanted.appointment_id, start=wanted.start)
    context = desk.context
    if not await cancel(desk.connection, context.tenant_id, context.contact_id, old.appointment_id, now=desk.now):
        raise ToolFailedError("this appointment is no longer there")
    return {"cancelled": tell_appointment(desk.configuration, old)}


async def _move_row(desk: Desk, moved: Appointment) -> None:
    context = desk.context
    if not await move(
        desk.connection,
        context.tenant_id,
        context.contact_id,
        moved.appointment_id,
        during=moved.during,
        now=desk.now,
    ):
        raise ToolFailedError("this appointment is no longer there")


def _meant(
    configuration: AgentConfiguration, own: list[Appointment], *, appointment_id: UUID | None, start: str | None
) -> Appointment:
    """Return the one of the customer's own appointments that is named, or the only one if none is."""
    if not own:
        raise ToolFailedError("this customer has no upcoming appointment")
    at: datetime | None = None if start is None else moment(start, configuration.zone)
    meant = [one for one in own if appointment_id in (None, one.appointment_id) and at in (None, one.start)]
    if len(meant) == 1:
        return meant[0]
    which = "say which of them is meant" if meant else "there is no such appointment"
    raise ToolFailedError(f"{which}. This customer has: {list_own(configuration, own)}")


def _still_offered(configuration: AgentConfiguration, old: Appointment) -> Service:
    service = configuration.find_service(old.service)
    if service is None:
        raise ToolFailedError(f'"{old.service}" is not offered any more; cancel it and book another service')
    return service
