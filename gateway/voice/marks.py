"""The ledger of marks (pure): which are under way, and up to where their echo says that audio was played.

Twilio also sends back every mark under way when it clears its buffer. Names therefore carry a generation that each
interruption ends: an echo of an older one counts for nothing.
"""

from itertools import takewhile


class Marks:
    """Marks under way, oldest first, each with the position that it stands for.

    A position is a number of milliseconds in all the audio that was sent in the call; positions only grow.
    `stale` counts echoes that meant nothing, `missing` marks that a later one overtook or that were given up.
    """

    def __init__(self) -> None:
        self.generation = 0
        self.stale = 0
        self.missing = 0
        self._under_way: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    @property
    def first_position(self) -> int | None:
        """Where the oldest mark under way stands."""
        return next(iter(self._under_way.values()), None)

    def place(self, item_number: int, item_ms: int, position: int) -> str:
        """Return the name of a new mark, at so many milliseconds of an item."""
        name = f"g{self.generation}.{item_number}.{item_ms}"
        self._under_way[name] = position
        return name

    def acknowledge(self, name: str) -> int | None:
        """Take a mark's echo; return its position, or None for one that is not under way. Older ones are given up."""
        position = self._under_way.pop(name, None)
        if position is None:
            self.stale += 1
            return None
        self.give_up(position)
        return position

    def give_up(self, position: int) -> None:
        """Wait no longer for the marks up to a position."""
        for name in list(takewhile(lambda name: self._under_way[name] <= position, self._under_way)):
            del self._under_way[name]
            self.missing += 1

    def begin_generation(self) -> None:
        """Disown every mark under way: what they stand for is cleared."""
        self.generation += 1
        self._under_way.clear()
