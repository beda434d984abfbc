"""Which model is asked next after which failures, and how long it is waited for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.retry import (
    BACK_OFF_S,
    RETRY_AFTER_S_MAX,
    TRIES_PER_MODEL,
    TRY_S_MIN,
    FailedTry,
    Failure,
    ModelPolicy,
    NextTry,
    next_try,
)

BOTH = ("first", "second")


def failed(model: str, failure: Failure = "unavailable", *, retry_after_s: float | None = None) -> FailedTry:
    return FailedTry(model=model, failure=failure, retry_after_s=retry_after_s)


def then(*failures: FailedTry, models: tuple[str, ...] = BOTH, left_s: float = 20.0) -> NextTry | None:
    return next_try(failures, models=models, left_s=left_s, reserve_s=6.0)


def order(*failures: FailedTry, models: tuple[str, ...] = BOTH, left_s: float = 20.0) -> str | None:
    found = then(*failures, models=models, left_s=left_s)
    return None if found is None else found.model


def test_an_unavailable_model_is_asked_once_more_then_the_fallback_twice_then_nobody() -> None:
    first, second = failed("first"), failed("second")
    assert order() == "first"
    assert order(first) == "first"
    assert order(first, first) == "second"
    assert order(first, first, second) == "second"
    assert order(first, first, second, second) is None


def test_a_refusal_leads_straight_to_the_fallback_and_its_refusal_to_nobody() -> None:
    refused = failed("first", "refused")
    assert order(refused) == "second"
    assert order(refused, failed("second", "refused")) is None
    assert order(failed("first"), refused) == "second"


def test_an_empty_answer_is_a_failure_like_another_but_needs_no_pause() -> None:
    empty = failed("first", "empty")
    again = then(empty)
    assert again is not None
    assert (again.model, again.wait_s) == ("first", 0.0)
    assert order(empty, empty) == "second"
    assert order(empty, failed("first")) == "second"


def test_without_a_fallback_the_only_model_is_asked_twice() -> None:
    only = ("first",)
    assert order(failed("first"), models=only) == "first"
    assert order(failed("first"), failed("first"), models=only) is None
    assert order(failed("first", "refused"), models=only) is None


def test_there_is_a_short_pause_before_the_same_model_and_none_before_another() -> None:
    again, other = then(failed("first")), then(failed("first"), failed("first"))
    assert again is not None
    assert other is not None
    assert (again.wait_s, other.wait_s) == (BACK_OFF_S, 0.0)


def test_the_pause_that_a_model_asks_for_is_kept_or_the_fallback_asked_instead() -> None:
    short = then(failed("first", retry_after_s=1.5))
    assert short is not None
    assert (short.model, short.wait_s) == ("first", 1.5)
    assert order(failed("first", retry_after_s=RETRY_AFTER_S_MAX + 0.1)) == "second"


def test_without_a_fallback_even_a_long_pause_is_kept_while_there_is_time() -> None:
    waiting = then(failed("first", retry_after_s=10.0), models=("first",), left_s=19.0)
    assert waiting == NextTry(model="first", wait_s=10.0, timeout_s=9.0)
    assert then(failed("first", retry_after_s=30.0), models=("first",), left_s=19.0) is None


def test_the_last_model_gets_all_the_time_that_is_left() -> None:
    assert then(models=("first",)) == NextTry(model="first", wait_s=0.0, timeout_s=20.0)
    assert then(failed("first", "refused"), left_s=19.0) == NextTry(model="second", wait_s=0.0, timeout_s=19.0)


def test_a_model_that_hangs_leaves_time_for_the_fallback() -> None:
    first = then()
    assert first is not None
    assert first.timeout_s == 14.0
    assert then(failed("first"), left_s=20.0 - 14.0) == NextTry(model="second", wait_s=0.0, timeout_s=6.0)


def test_late_in_a_turn_the_model_that_answered_so_far_is_still_asked_first() -> None:
    late = then(left_s=5.0)
    assert late is not None
    assert (late.model, late.timeout_s) == ("first", 3.5)


def test_with_too_little_time_nobody_is_asked() -> None:
    assert then(left_s=TRY_S_MIN, models=("first",)) is not None
    assert then(left_s=TRY_S_MIN - 0.01, models=("first",)) is None
    assert then(left_s=-3.0) is None


@given(
    kinds=st.lists(st.sampled_from(["unavailable", "refused", "empty"]), max_size=12),
    spent=st.lists(st.floats(0, 8), min_size=12, max_size=12),
    models=st.sampled_from([("first",), BOTH]),
)
def test_whatever_happens_the_tries_end_within_the_total(
    kinds: list[Failure], spent: list[float], models: tuple[str, ...]
) -> None:
    failures: list[FailedTry] = []
    left_s = 20.0
    for kind, seconds in zip(kinds, spent, strict=False):
        upcoming = next_try(failures, models=models, left_s=left_s, reserve_s=6.0)
        if upcoming is None:
            break
        assert upcoming.wait_s + upcoming.timeout_s <= left_s
        left_s -= upcoming.wait_s + min(seconds, upcoming.timeout_s)
        failures.append(failed(upcoming.model, kind))
    assert len(failures) <= TRIES_PER_MODEL * len(models)
    assert [failure.model for failure in failures] == sorted(failure.model for failure in failures)
    assert left_s >= 0


@pytest.mark.parametrize("fallback", [None, "standard"])
def test_a_fallback_that_is_none_or_the_same_model_is_no_fallback(fallback: str | None) -> None:
    assert ModelPolicy(model="standard", fallback_model=fallback, max_output_tokens=800).models == ("standard",)
    assert ModelPolicy(model="standard", fallback_model="small", max_output_tokens=800).models == ("standard", "small")
