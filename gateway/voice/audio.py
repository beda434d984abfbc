"""Telephone audio from linear samples (pure): mu-law, 8 kHz, mono. Samples are 16 bit, little-endian, mono.

What passes through a call is never decoded; this is for what is spoken beforehand.
"""

import math
import sys
from array import array
from collections.abc import Sequence
from functools import cache
from itertools import chain, repeat

RATE_HZ = 8000
BYTES_PER_MS = 8
SILENCE = 0xFF  # mu-law's zero
_BIAS = 132  # of G.711, added to the loudness before it is cut into segments that double
_TAPS_PER_STEP = 24
_CUTOFF_HZ = 3500.0  # a telephone hears up to 3.4 kHz, and nothing may be left at 4.5 that folds back


def encode_mulaw(samples: bytes) -> bytes:
    """Return samples as mu-law: one byte for each two."""
    table = _mulaw_table()
    return bytes(map(table.__getitem__, _samples(samples, "H")))


def resample(samples: bytes, from_hz: int) -> bytes:
    """Return samples at 8 kHz. Raises ValueError for a rate that is not a multiple of it up to 48 kHz."""
    step, rest = divmod(from_hz, RATE_HZ)
    if rest or not 1 <= step <= 6:
        raise ValueError(f"no way from {from_hz} Hz to telephone audio")
    if step == 1:
        return samples
    taps = _low_pass(step)
    middle = len(taps) // 2
    # The filter reaches over both ends, into silence.
    padded = [*repeat(0, middle), *_samples(samples, "h"), *repeat(0, middle + step)]
    wanted = -(-(len(padded) - 2 * middle - step) // step)
    # Both sides of the filter are alike: samples as far before as behind share a factor.
    mixed = [taps[middle] * sample for sample in padded[middle::step][:wanted]]
    for at in range(middle):
        tap, before, behind = taps[at], padded[at::step], padded[2 * middle - at :: step]
        mixed = [sum_ + tap * (one + other) for sum_, one, other in zip(mixed, before, behind, strict=False)]
    return _written(mixed)


def notice_audio(samples: bytes, from_hz: int) -> bytes:
    """Return samples of any rate that `resample` takes as telephone audio, in whole frames of 20 ms."""
    audio = encode_mulaw(resample(samples, from_hz))
    return audio + bytes([SILENCE]) * (-len(audio) % (20 * BYTES_PER_MS))


def _samples(samples: bytes, kind: str) -> "array[int]":
    found = array(kind, samples[: len(samples) & ~1])
    if sys.byteorder == "big":
        found.byteswap()
    return found


def _written(values: Sequence[float]) -> bytes:
    found = array("h", [max(-32768, min(32767, round(value))) for value in values])
    if sys.byteorder == "big":
        found.byteswap()
    return found.tobytes()


@cache
def _mulaw_table() -> bytes:
    """Return the byte for each sample, read as an unsigned number: 0 to 32767, then -32768 to -1."""
    # Segments double in width; 16 steps each. The loudest samples all take the last step.
    widths = chain.from_iterable(repeat(8 << segment, 16) for segment in range(8))
    codes = b"".join(bytes([code]) * width for code, width in enumerate(widths))
    loudness = (codes[_BIAS - 128 :] + bytes([0x7F]) * 32769)[:32769]
    return bytes(0xFF - code for code in loudness[:32768]) + bytes(0x7F - code for code in loudness[:0:-1])


@cache
def _low_pass(step: int) -> tuple[float, ...]:
    """Return a windowed sinc that lets pass what a telephone carries, with the sum 1 (Hamming, -53 dB)."""
    count = _TAPS_PER_STEP * step + 1
    middle = count // 2
    width = 2 * _CUTOFF_HZ / (RATE_HZ * step)

    def tap(at: int) -> float:
        angle = math.pi * width * (at - middle)
        sinc = math.sin(angle) / angle if at != middle else 1.0
        return sinc * (0.54 - 0.46 * math.cos(2 * math.pi * at / (count - 1)))

    taps = [tap(at) for at in range(count)]
    return tuple(value / sum(taps) for value in taps)
