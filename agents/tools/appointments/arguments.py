"""What the model may ask of the appointments (pure). Raises ToolFailedError, whose text is for the model."""

from datetime import UTC, datetime, time
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field

from agents.agent import AgentConfiguration
from agents.errors import ToolFailedError
from agents.parts import Service
from agents.tools.arguments import YEARS, Day, ToolArguments

PartOfDay = Literal["morning", "afternoon", "evening"]


def _time(value: object) -> object:
    try:
        return time.fromisoformat(str(value)).replace(tzinfo=None)
    except ValueError:
        raise ValueError("must be a time like 14:30") from None


def _id(value: object) -> object:
    try:
        return UUID(str(value))
    except ValueError:
        raise ValueError("must be an appointment_id as a tool has named it") from None


ServiceName = Annotated[str, Field(max_length=200)]
Moment = Annotated[str, Field(max_length=40)]
Clock = Annotated[time, BeforeValidator(_time)]
AppointmentId = Annotated[UUID, BeforeValidator(_id)]


class FreeArguments(ToolArguments):
    """When the customer would like to come."""

    service: ServiceName | None = None
    day: Day | None = None
    part_of_day: PartOfDay | None = None
    from_time: Clock | None = None


class BookArguments(ToolArguments):
    """What is booked, and for when."""

    service: ServiceName | None = None
    start: Moment
    customer_name: str = Field(default="", max_length=120)
    note: str = Field(default="", max_length=500)


class NoArguments(ToolArguments):
    """Nothing to say."""


class CancelArguments(ToolArguments):
    """Which of the customer's own appointments is meant."""

    appointment_id: AppointmentId | None = None
    start: Moment | None = None


class MoveArguments(CancelArguments):
    """Which of the customer's own appointments is meant, and its new time."""

    new_start: Moment


def moment(text: str, zone: ZoneInfo) -> datetime:
    """Return the UTC instant of an ISO 8601 date and time; without an offset it is the wall clock of `zone`.

    Of an hour that comes twice the first is meant.
    """
    try:
        written = datetime.fromisoformat(text)
    except ValueError:
        written = None
    if written is None or len(text) <= len("2026-11-27") or written.year not in YEARS:
        raise ToolFailedError("write a date and time like 2026-11-27T09:00")
    if written.tzinfo is not None:
        return written.astimezone(UTC)
    instant = written.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) != written:
        raise ToolFailedError("this time does not exist: the clocks are put forward over it")
    return instant


def service_of(configuration: AgentConfiguration, name: str | None) -> Service:
    """Return the service of that name, whatever its case; the only one needs no name."""
    found = configuration.find_service(name) if name else None
    if found is None and not name and len(configuration.services) == 1:
        found = configuration.services[0]
    if found is None:
        names = ", ".join(f'"{service.name}"' for service in configuration.services)
        raise ToolFailedError(f"{'there is no such service' if name else 'say which service'}; there are: {names}")
    return found
