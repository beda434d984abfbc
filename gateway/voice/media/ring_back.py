"""The tone that callers know while they wait to be answered (pure): for a greeting that is late."""

import math
from functools import cache
from struct import pack
from typing import Final

from gateway.voice.audio import encode_mulaw

TONE_HZ: Final = 425  # in Germany and most of Europe
TONE_S: Final = 1.0
RATE_HZ: Final = 8_000
AMPLITUDE: Final = 3_000


@cache
def ring_back() -> bytes:
    """Return one ring as telephone audio."""
    samples = (
        round(AMPLITUDE * math.sin(2 * math.pi * TONE_HZ * place / RATE_HZ)) for place in range(round(RATE_HZ * TONE_S))
    )
    return encode_mulaw(b"".join(pack("<h", sample) for sample in samples))
