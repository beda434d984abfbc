"""When to try again to have an engine (pure): three times, a little later each time."""

from typing import Final

TRIES_AFTER_MS: Final = (250, 500, 1_000)
STEADY_MS: Final = 10_000  # a session that lasted so long was a good one: its loss is counted anew
ROTATE_BEFORE_MS: Final = 300_000  # the vendor's limit; the last moment of a session that lives shorter than that
ROTATE_LATEST_MS: Final = 10_000


class Reconnecting:
    """The engine's sessions, one after the other."""

    def __init__(self) -> None:
        self._tries = 0
        self._ready_ms: int | None = None
        self._rotate_ms: int | None = None
        self.count = 0  # sessions lost

    @property
    def is_ready(self) -> bool:
        return self._ready_ms is not None

    @property
    def rotate_ms(self) -> int | None:
        """When the session is to be replaced as soon as nobody speaks."""
        return self._rotate_ms

    def ready(self, now_ms: int, expires_ms: int | None) -> None:
        self._ready_ms, self._rotate_ms = now_ms, None
        if expires_ms is not None:
            before_ms = ROTATE_BEFORE_MS if expires_ms - now_ms > 2 * ROTATE_BEFORE_MS else ROTATE_LATEST_MS
            self._rotate_ms = expires_ms - before_ms

    def replace(self) -> None:
        """Give the session up for a fresh one."""
        self._ready_ms, self._rotate_ms = None, None

    def next_try_after_ms(self, now_ms: int, *, fatal: bool) -> int | None:
        """Note that there is no session; return when to try again, None: not at all."""
        if self._ready_ms is not None:
            self.count += 1
            if now_ms - self._ready_ms >= STEADY_MS:
                self._tries = 0
        self.replace()
        if fatal or self._tries >= len(TRIES_AFTER_MS):
            return None
        self._tries += 1
        return TRIES_AFTER_MS[self._tries - 1]
