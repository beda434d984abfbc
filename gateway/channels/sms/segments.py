"""How many segments a text is sent as (pure): what an SMS is held, charged and corrected by.

A text is GSM-7 if every character is in GSM 03.38's basic table or its extension table, else UCS-2, counted in UTF-16
code units. What takes two units (an extension character behind its escape, a surrogate pair) is never split over
two segments, so a text may need one more than its units divided by a segment's would say.
"""

from dataclasses import dataclass
from typing import Final, Literal

Encoding = Literal["GSM-7", "UCS-2"]

GSM7_SINGLE: Final = 160  # septets of a message that is one segment
GSM7_SEGMENT: Final = 153  # septets of each segment of a longer one, behind its header
UCS2_SINGLE: Final = 70  # UTF-16 code units
UCS2_SEGMENT: Final = 67

BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION: Final = frozenset("\f^{}\\[~]|€")  # two septets each
GSM7: Final = BASIC | EXTENSION


@dataclass(frozen=True, slots=True)
class Segments:
    """What a text costs to send: `units` are septets in GSM-7, UTF-16 code units in UCS-2."""

    encoding: Encoding
    units: int
    segments: int


def count_segments(text: str) -> Segments:
    """Return how a text is sent. An empty one is not sent at all: no segments."""
    if GSM7.issuperset(text):
        wide = [char in EXTENSION for char in text]
        return _counted("GSM-7", wide, single=GSM7_SINGLE, segment=GSM7_SEGMENT)
    wide = [char > "\uffff" for char in text]
    return _counted("UCS-2", wide, single=UCS2_SINGLE, segment=UCS2_SEGMENT)


def _counted(encoding: Encoding, wide: list[bool], *, single: int, segment: int) -> Segments:
    """Count characters of one unit, or of two where `wide`."""
    units = len(wide) + sum(wide)
    if units <= single:
        return Segments(encoding, units, min(units, 1))
    segments, room = 1, segment
    for is_wide in wide:
        needed = 2 if is_wide else 1
        if needed > room:
            segments, room = segments + 1, segment
        room -= needed
    return Segments(encoding, units, segments)
