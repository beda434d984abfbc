"""Events written down as JSON, so that a payload and what it becomes stand in one file."""

import json
from dataclasses import MISSING, asdict, fields

from gateway.channels.base import LineEvent, Malformed


def seen(event: LineEvent) -> dict[str, object]:
    """Return an event with its name and line, without what is left at its default."""
    values = asdict(event.event)
    for field in fields(event.event):
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if values[field.name] == default or values[field.name] is None:
            del values[field.name]
    described = {"event": type(event.event).__name__, "line": event.line.value, **values}
    written: dict[str, object] = json.loads(json.dumps(described, default=str))
    return written


def seen_malformed(part: Malformed) -> dict[str, object]:
    return {"reason": part.reason, "fragment": json.loads(part.fragment)}
