"""Keys that a caller presses one by one (pure): collected until no more come."""

from typing import Final

QUIET_MS: Final = 1_500  # after the last key
ENDS: Final = "#"  # a number


class Keys:
    """What was pressed and nobody has taken yet."""

    def __init__(self) -> None:
        self._pressed = ""
        self._complete_ms = 0

    @property
    def next_due_ms(self) -> int | None:
        return self._complete_ms if self._pressed else None

    def press(self, key: str, now_ms: int) -> None:
        self._pressed += key
        self._complete_ms = now_ms if key == ENDS else now_ms + QUIET_MS

    def take(self, now_ms: int) -> str:
        """Return what was pressed, once that is all."""
        if now_ms < self._complete_ms:
            return ""
        pressed, self._pressed = self._pressed, ""
        return pressed
