"""Telephone audio as a file that any player and decoder knows (pure)."""

import struct
from typing import Final

MULAW_FORMAT: Final = 7
RATE_HZ: Final = 8_000


def mulaw_wav(mulaw: bytes) -> bytes:
    """Return mu-law at 8 kHz as a WAV file of one channel."""
    form = struct.pack("<HHIIHHH", MULAW_FORMAT, 1, RATE_HZ, RATE_HZ, 1, 8, 0)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(mulaw)) + mulaw
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
