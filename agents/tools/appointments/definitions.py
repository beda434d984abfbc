"""The appointments as the model sees them: five tools and what may be said to each (pure)."""

from collections.abc import Mapping
from typing import Final

from agents.model import ToolDefinition

_SERVICE: Final = {"type": "string", "description": "Name of the service; not needed if there is only one."}
_WHICH_ID: Final = {"type": "string", "description": "appointment_id as my_appointments has named it."}
_WHICH_START: Final = {"type": "string", "description": "Or its present start, like 2026-11-27T09:00."}
_NEW_START: Final = "Local date and time like 2026-11-27T09:00, one that free_appointments has named."


def _definition(
    name: str, description: str, properties: Mapping[str, object], required: tuple[str, ...] = ()
) -> ToolDefinition:
    return ToolDefinition(
        name=name,
        description=description,
        parameters={
            "type": "object",
            "properties": dict(properties),
            "required": list(required),
            "additionalProperties": False,
        },
    )


FREE: Final = _definition(
    "free_appointments",
    "Free times for a service, at most six. If the wished day has none, the next days' are named.",
    {
        "service": _SERVICE,
        "day": {"type": "string", "description": "Wished day as YYYY-MM-DD; the next days if left out."},
        "part_of_day": {"type": "string", "enum": ["morning", "afternoon", "evening"]},
        "from_time": {"type": "string", "description": "Earliest time of day, like 14:30."},
    },
)
BOOK: Final = _definition(
    "book_appointment",
    "Book a free time for this customer, once they have agreed to it.",
    {
        "service": _SERVICE,
        "start": {"type": "string", "description": _NEW_START},
        "customer_name": {"type": "string", "description": "The customer's name, if they have said it."},
        "note": {"type": "string", "description": "What the business should know, in a few words."},
    },
    ("start",),
)
MINE: Final = _definition("my_appointments", "This customer's own upcoming appointments.", {})
MOVE: Final = _definition(
    "move_appointment",
    "Give one of this customer's own appointments another time; say which if there are several.",
    {
        "appointment_id": _WHICH_ID,
        "start": _WHICH_START,
        "new_start": {"type": "string", "description": _NEW_START},
    },
    ("new_start",),
)
CANCEL: Final = _definition(
    "cancel_appointment",
    "Cancel one of this customer's own appointments; say which if there are several.",
    {"appointment_id": _WHICH_ID, "start": _WHICH_START},
)
