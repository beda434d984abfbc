"""Whether one more call can be taken (pure): rather declined than all others made worse."""

from dataclasses import dataclass
from typing import Literal

from gateway.limits import Limits

Full = Literal["overloaded", "busy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much there is to do: in this process, and of the tenant's calls in all of them."""

    calls_here: int
    loop_lag_p95_s: float
    calls_of_tenant: int


def why_full(load: Load, limits: Limits) -> Full | None:
    """Return why there is no room for one more call: this process has enough to do, or the tenant talks enough."""
    if load.calls_here >= limits.calls_per_process or load.loop_lag_p95_s > limits.loop_lag_max_s:
        return "overloaded"
    return "busy" if load.calls_of_tenant >= limits.calls_per_tenant else None
