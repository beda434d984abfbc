"""A tool's arguments as the model wrote them: a JSON object that can be stored, or words about what is wrong (pure)."""

import json

from agents.errors import ToolFailedError
from agents.safe_text import safe_text

ARGUMENTS_CHARACTERS_MAX = 8192
DEPTH_MAX = 16
_NUMBER_MAX = 2**63 - 1


def parse_arguments(text: str) -> dict[str, object]:
    """Return the arguments; nothing at all and `null` mean none. Raises ToolFailedError, whose text is for the model.

    What the arguments mean is for the tool to check.
    """
    if len(text) > ARGUMENTS_CHARACTERS_MAX:
        raise ToolFailedError("the arguments are too long")
    try:
        found = json.loads(text if text.strip() else "{}", parse_constant=_refuse)
        arguments = _storable({} if found is None else found, DEPTH_MAX)
    except (ValueError, RecursionError):
        raise ToolFailedError("the arguments are not valid JSON") from None
    if not isinstance(arguments, dict):
        raise ToolFailedError("the arguments must be a JSON object")
    return arguments


def _refuse(constant: str) -> object:
    raise ValueError(constant)


def _storable(value: object, depth: int) -> object:
    """Return the value with its texts made safe. Raises ValueError for what cannot be stored."""
    if depth == 0:
        raise ValueError("too deep")
    match value:
        case str():
            return safe_text(value)
        case dict():
            return {safe_text(key): _storable(inner, depth - 1) for key, inner in value.items()}
        case list():
            return [_storable(inner, depth - 1) for inner in value]
        case bool() | None:
            return value
        case int() | float() if abs(value) > _NUMBER_MAX:
            raise ValueError("too large a number")
        case _:
            return value
