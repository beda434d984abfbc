"""How fast we may send (pure): a bucket of tokens for each key, refilled evenly.

Meta takes 80 messages a second from one number, and from one number to one customer one in six seconds,
of which a few may be sent ahead.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

KEYS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in a second in the long run, and at most `burst` at once."""

    per_second: float
    burst: int


PER_NUMBER = Rate(per_second=80, burst=10)
PER_PAIR = Rate(per_second=1 / 6, burst=10)


class Buckets:
    """Buckets of one rate. A bucket that nobody has used for long is full, so forgetting the oldest costs nothing."""

    def __init__(self, rate: Rate, *, keys_max: int = KEYS_MAX) -> None:
        self._rate = rate
        self._keys_max = keys_max
        self._free_at: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str, now: float) -> float:
        """Take a token; return the seconds to wait before using it. `now` is monotonic, in seconds.

        Who is told to wait has its place: those who ask later wait longer.
        """
        interval = 1 / self._rate.per_second
        # The moment at which the next token would be there, had the bucket held only one; the burst may run ahead.
        due = max(self._free_at.pop(key, now), now)
        self._free_at[key] = due + interval
        if len(self._free_at) > self._keys_max:
            self._free_at.popitem(last=False)
        return max(0.0, due - now - (self._rate.burst - 1) * interval)

    def __len__(self) -> int:
        return len(self._free_at)


class Throttle:
    """The pace of one process: per number of ours, and per customer on it."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._numbers = Buckets(PER_NUMBER)
        self._pairs = Buckets(PER_PAIR)

    def wait_s(self, number: str, contact: str) -> float:
        """Take a place in both queues; return the seconds until it is one's turn."""
        now = self._monotonic()
        return max(self._numbers.take(number, now), self._pairs.take(f"{number} {contact}", now))
