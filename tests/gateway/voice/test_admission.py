"""Room for one more call, at each limit and one before it."""

import pytest

from gateway.limits import Limits
from gateway.voice.arrival.admission import Load, why_full

LIMITS = Limits(calls_per_process=100, calls_per_tenant=10, loop_lag_max_s=0.02)


@pytest.mark.parametrize(
    ("load", "why"),
    [
        (Load(calls_here=99, loop_lag_p95_s=0.02, calls_of_tenant=9), None),
        (Load(calls_here=100, loop_lag_p95_s=0.0, calls_of_tenant=0), "overloaded"),
        (Load(calls_here=0, loop_lag_p95_s=0.021, calls_of_tenant=0), "overloaded"),
        (Load(calls_here=0, loop_lag_p95_s=0.0, calls_of_tenant=10), "busy"),
        (Load(calls_here=100, loop_lag_p95_s=0.0, calls_of_tenant=10), "overloaded"),
    ],
)
def test_a_process_or_a_tenant_with_enough_to_do_takes_no_more(load: Load, why: str | None) -> None:
    assert why_full(load, LIMITS) == why
