"""When credits run low: shares of the mark, which is the balance right after the last grant (pure)."""

from typing import Final

LEVELS_PERCENT: Final = (0, 10, 20)  # of the mark, lowest first


def level_reached(*, before: int, after: int, full: int) -> int | None:
    """Return the lowest level that a fall of the balance has reached, in percent; None if it reached none.

    A level is reached by falling from above it to it or below. All three in one unit.
    """
    for percent in LEVELS_PERCENT:
        if 100 * after <= full * percent < 100 * before:
            return percent
    return None
