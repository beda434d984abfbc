"""How long a voice note is, from its container alone (pure): RFC 3533 (Ogg) and RFC 7845 (Opus in Ogg)."""

import struct

OPUS_CLOCK_HZ = 48_000  # granule positions of Opus count samples at 48 kHz, whatever was recorded
PAGE_HEADER = struct.Struct("<4sBBqIIIB")  # capture pattern, version, flags, granule, serial, number, crc, segments
NO_PACKET_ENDS_HERE = -1


def opus_duration_s(content: bytes) -> float | None:
    """Return the seconds of an Ogg Opus file, or None if it is none. A cut-off file counts as far as it goes."""
    offset = 0
    pre_skip: int | None = None
    last_granule = 0
    while offset + PAGE_HEADER.size <= len(content):
        pattern, _, _, granule, _, _, _, segments = PAGE_HEADER.unpack_from(content, offset)
        if pattern != b"OggS":
            break
        body = offset + PAGE_HEADER.size + segments
        if pre_skip is None:
            pre_skip = _pre_skip(content, body)
            if pre_skip is None:
                return None
        if granule != NO_PACKET_ENDS_HERE:
            last_granule = max(last_granule, granule)
        offset = body + sum(content[offset + PAGE_HEADER.size : body])
    return None if pre_skip is None else max(0, last_granule - pre_skip) / OPUS_CLOCK_HZ


def _pre_skip(content: bytes, body: int) -> int | None:
    """Return the samples that are decoded and not played; None if this is no Opus head."""
    if content[body : body + 8] != b"OpusHead" or len(content) < body + 12:
        return None
    return int.from_bytes(content[body + 10 : body + 12], "little")
