"""What the model is told of times: JSON with an exact and a spoken form, and reasons in words (pure)."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from agents.agent import AgentConfiguration
from agents.local_time import local_iso, say_day, say_moment
from agents.opening import blocks_on, closed_because, local_day
from agents.parts import Service
from agents.tools.appointments.calendar import Appointment, Obstacle, last_day

APPOINTMENTS_TOLD_MAX: Final = 6

_REASONS: Final[Mapping[Obstacle, str]] = {
    "past": "{spoken} is past; it is now {now}",
    "too_soon": "{spoken} is too soon; appointments need {lead} minutes' notice",
    "too_far": "{spoken} is too far ahead; the last day is {last_day}",
    "closed_day": "closed on {day}",
    "closed_then": "{spoken} is outside the opening hours of that day, {hours}",
    "too_long": "{spoken} is too late: {minutes} minutes do not fit into the opening hours, {hours}",
    "off_grid": "{spoken} is not a time that can be booked; there is one every {grid} minutes",
    "taken": "{spoken} is not free",
}


def as_json(told: Mapping[str, object]) -> str:
    return json.dumps(told, ensure_ascii=False)


def tell_time(configuration: AgentConfiguration, start: datetime) -> dict[str, object]:
    """Return a start as it is written to a tool and as it is said to people."""
    return {
        "start": local_iso(start, configuration.zone),
        "spoken": say_moment(start, configuration.zone, configuration.language),
    }


def tell_appointment(configuration: AgentConfiguration, appointment: Appointment) -> dict[str, object]:
    """Return an appointment without its buffer, which is nobody's business; minutes if the service still exists."""
    service = configuration.find_service(appointment.service)
    minutes = {} if service is None else {"minutes": service.minutes}
    return {
        "appointment_id": str(appointment.appointment_id),
        "service": appointment.service,
        **minutes,
        **tell_time(configuration, appointment.start),
    }


def list_in_words(configuration: AgentConfiguration, starts: Iterable[datetime]) -> str:
    """Return starts for the text of an error: `2026-11-27T09:00+01:00 (Freitag, …); …`."""
    zone, language = configuration.zone, configuration.language
    return "; ".join(f"{local_iso(start, zone)} ({say_moment(start, zone, language)})" for start in starts)


def list_own(configuration: AgentConfiguration, appointments: Iterable[Appointment]) -> str:
    """Return a customer's own appointments for the text of an error."""
    return "; ".join(
        f"{appointment.appointment_id}: {appointment.service}, {list_in_words(configuration, [appointment.start])}"
        for appointment in list(appointments)[:APPOINTMENTS_TOLD_MAX]
    )


def why_not(
    configuration: AgentConfiguration, service: Service, start: datetime, obstacle: Obstacle, now: datetime
) -> str:
    """Return an obstacle in words, with the rule that is behind it."""
    language, day = configuration.language, local_day(configuration, start)
    label = closed_because(configuration, day)
    return _REASONS[obstacle].format(
        spoken=say_moment(start, configuration.zone, language),
        now=say_moment(now, configuration.zone, language),
        day=say_day(day, language) + (f" ({label})" if label else ""),
        last_day=say_day(last_day(configuration, now), language),
        hours=", ".join(block.text for block in blocks_on(configuration, day)),
        minutes=service.minutes,
        lead=configuration.booking.lead_minutes,
        grid=configuration.booking.grid_minutes,
    )
