"""What an engine's vendor has counted itself (pure): stored beside what we charge, for the operator's margin."""

from collections.abc import Mapping
from typing import Any


class ProviderUsage:
    """Sums of a call's counts, by where they came from; only numbers are kept."""

    def __init__(self) -> None:
        self.total: dict[str, Any] = {}
        self._since_taken: dict[str, Any] = {}

    def add(self, kind: str, usage: Mapping[str, object]) -> None:
        """Add what one answer, or one transcript, was said to have used."""
        for sums in (self.total, self._since_taken):
            of_kind = sums.setdefault(kind, {"count": 0})
            of_kind["count"] += 1
            _sum(of_kind, usage)

    def take(self) -> dict[str, Any]:
        """Return what was counted since this was last asked."""
        taken, self._since_taken = self._since_taken, {}
        return taken


def _sum(sums: dict[str, Any], usage: Mapping[str, object]) -> None:
    for name, value in usage.items():
        if isinstance(value, Mapping):
            _sum(sums.setdefault(name, {}), value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            sums[name] = sums.get(name, 0) + value
