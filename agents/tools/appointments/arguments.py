"""What the model may ask of the appointments, read and checked (pure).

Models leave out what they do not know, or write it as null or as an empty text: all three mean the same.
Raises ToolFailedError throughout, whose text is for the model.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Annotated, Final, Literal, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from agents.agent import AgentConfiguration
from agents.errors import ToolFailedError
from agents.parts import Service
from agents.problems import problems_of

PartOfDay = Literal["morning", "afternoon", "evening"]

_YEARS: Final = range(1980, 2200)  # far from where dates end, so that a day more or less is always one


class _Arguments(BaseModel):
    """Arguments of one tool; an unknown one is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        return {
            name: inner
            for name, inner in value.items()
            if inner is not None and not (isinstance(inner, str) and not inner.strip())
        }


def _day(value: object) -> object:
    try:
        day = date.fromisoformat(str(value))
    except ValueError:
        raise ValueError("must be a day like 2026-11-27") from None
    if day.year not in _YEARS:
        raise ValueError("must be a day like 2026-11-27")
    return day


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
Day = Annotated[date, BeforeValidator(_day)]
Clock = Annotated[time, BeforeValidator(_time)]
AppointmentId = Annotated[UUID, BeforeValidator(_id)]


class FreeArguments(_Arguments):
    """When the customer would like to come."""

    service: ServiceName | None = None
    day: Day | None = None
    part_of_day: PartOfDay | None = None
    from_time: Clock | None = None


class BookArguments(_Arguments):
    """What is booked, and for when."""

    service: ServiceName | None = None
    start: Moment
    customer_name: str = Field(default="", max_length=120)
    note: str = Field(default="", max_length=500)


class NoArguments(_Arguments):
    """Nothing to say."""


class CancelArguments(_Arguments):
    """Which of the customer's own appointments is meant."""

    appointment_id: AppointmentId | None = None
    start: Moment | None = None


class MoveArguments(CancelArguments):
    """Which of the customer's own appointments is meant, and its new time."""

    new_start: Moment


_ArgumentsOf = TypeVar("_ArgumentsOf", bound=_Arguments)


def read(model: type[_ArgumentsOf], arguments: Mapping[str, object]) -> _ArgumentsOf:
    """Return a tool's arguments, checked."""
    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        raise ToolFailedError("; ".join(problems_of(error, model))) from None


def moment(text: str, zone: ZoneInfo) -> datetime:
    """Return the UTC instant of an ISO 8601 date and time; without an offset it is the wall clock of `zone`.

    Of an hour that comes twice the first is meant.
    """
    try:
        written = datetime.fromisoformat(text)
    except ValueError:
        written = None
    if written is None or len(text) <= len("2026-11-27") or written.year not in _YEARS:
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
