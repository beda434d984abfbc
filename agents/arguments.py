"""A tool's arguments as the model wrote them: a JSON object that can be stored, or words about what is wrong (pure)."""

import json

from agents.errors import ToolFailedError
from agents.safe_text import storable

ARGUMENTS_CHARACTERS_MAX = 8192


def parse_arguments(text: str) -> dict[str, object]:
    """Return the arguments; nothing at all and `null` mean none. Raises ToolFailedError, whose text is for the model.

    What the arguments mean is for the tool to check.
    """
    if len(text) > ARGUMENTS_CHARACTERS_MAX:
        raise ToolFailedError("the arguments are too long")
    try:
        found = json.loads(text if text.strip() else "{}")
        arguments = storable({} if found is None else found)
    except (ValueError, RecursionError):
        raise ToolFailedError("the arguments are not valid JSON") from None
    if not isinstance(arguments, dict):
        raise ToolFailedError("the arguments must be a JSON object")
    return arguments
