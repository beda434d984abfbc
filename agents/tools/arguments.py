"""What the model writes to a tool, read into a checked value (pure).

Models leave out what they do not know, or write it as null or as an empty text: all three mean the same.
"""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from agents.errors import ToolFailedError
from agents.problems import problems_of

YEARS: Final = range(1980, 2200)  # far from where dates end, so that some days more or less are always dates


class ToolArguments(BaseModel):
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
    if day.year not in YEARS:
        raise ValueError("must be a day like 2026-11-27")
    return day


Day = Annotated[date, BeforeValidator(_day)]

_ArgumentsOf = TypeVar("_ArgumentsOf", bound=ToolArguments)


def read(model: type[_ArgumentsOf], arguments: Mapping[str, object]) -> _ArgumentsOf:
    """Return a tool's arguments, checked. Raises ToolFailedError, whose text is for the model."""
    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        raise ToolFailedError("; ".join(problems_of(error, model))) from None
