"""Which failure of a model leads to which next try (pure).

A model is given up after two failures, or at once if it refuses: a key or a name that is wrong for it may be
right for the fallback. Failed tries are recorded and free.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

TRIES_PER_MODEL = 2
BACK_OFF_S = 0.5
RETRY_AFTER_S_MAX = 2.0  # who asks for a longer pause is left for the fallback, if there is one
TRY_S_MIN = 1.0  # with less time no model answers
FIRST_TRY_SHARE = 0.7  # of what is left, if the fallback's reserve is more than the rest

Failure = Literal["unavailable", "refused", "empty"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPolicy:
    """Which models answer, and the limits of one answer."""

    model: str
    fallback_model: str | None
    max_output_tokens: int
    total_s: float = 20.0
    fallback_reserve_s: float = 6.0  # a model that hangs leaves so much of the total to the fallback
    rounds_max: int = 4
    tool_timeout_s: float = 8.0
    tool_result_bytes: int = 4096

    @property
    def models(self) -> tuple[str, ...]:
        """The models to ask, in order."""
        if self.fallback_model is None or self.fallback_model == self.model:
            return (self.model,)
        return (self.model, self.fallback_model)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTry:
    """A request that brought no answer; `retry_after_s` is the pause that the model asked for."""

    model: str
    failure: Failure
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NextTry:
    """Wait so long, then ask this model and wait so long for its answer."""

    model: str
    wait_s: float
    timeout_s: float


def next_try(
    failures: Sequence[FailedTry], *, models: Sequence[str], left_s: float, reserve_s: float
) -> NextTry | None:
    """Return what to try after these failures of one request; None: nothing is left.

    `left_s` is what remains of the answer's time. A model gets all of it, less a reserve if another follows.
    """
    for model, follows in zip(models, [*models[1:], None], strict=True):
        mine = [failed for failed in failures if failed.model == model]
        wait_s = _wait_s(mine)
        if _given_up(mine) or (follows is not None and wait_s > RETRY_AFTER_S_MAX):
            continue
        timeout_s = left_s - wait_s
        if follows is not None:
            timeout_s -= reserve_s if mine else min(reserve_s, left_s * (1 - FIRST_TRY_SHARE))
        if timeout_s >= TRY_S_MIN:
            return NextTry(model=model, wait_s=wait_s, timeout_s=timeout_s)
    return None


def _given_up(mine: Sequence[FailedTry]) -> bool:
    return len(mine) >= TRIES_PER_MODEL or any(failed.failure == "refused" for failed in mine)


def _wait_s(mine: Sequence[FailedTry]) -> float:
    """Return the pause before a model is asked again; an empty answer says nothing about its load."""
    if not mine or mine[-1].failure != "unavailable":
        return 0.0
    return max(BACK_OFF_S, mine[-1].retry_after_s or 0.0)
