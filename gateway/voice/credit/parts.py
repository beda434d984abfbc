"""One account of a call that several streams had after each other (pure): how it went, and what the engines counted."""

from collections.abc import Mapping
from typing import Any, Final

BEFORE: Final = "before"


def figures_after(earlier: Mapping[str, Any], figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stream's figures with those of the streams before it beneath: medians and maxima cannot be added."""
    if not figures or not earlier:
        return dict(figures or earlier)
    return {**figures, BEFORE: dict(earlier)}


def usage_after(earlier: Mapping[str, Any], usage: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sums of what engines have counted, by name; of what is no number, the later."""
    return {**earlier, **{name: _added(earlier.get(name), value) for name, value in usage.items()}}


def _added(earlier: object, value: object) -> object:
    match earlier, value:
        case Mapping(), Mapping():
            return usage_after(earlier, value)
        case bool(), _:
            return value
        case int() | float(), int() | float():
            return earlier + value
        case _:
            return value
