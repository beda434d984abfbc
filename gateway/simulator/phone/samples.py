"""A picture and a voice note that a customer could send, made here (pure)."""

import struct
import zlib

_SIDE = 240
_OPUS_CLOCK_HZ = 48_000


def picture() -> bytes:
    """Return a PNG of a soft wave in two colours."""
    rows = bytearray()
    for y in range(_SIDE):
        rows.append(0)
        for x in range(_SIDE):
            share = ((x * x // 97 + y * 3) % 160) / 160
            rows += bytes((int(196 - 90 * share), int(148 - 70 * share), int(98 - 30 * share)))
    head = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(rows), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def voice_note(seconds: int, transcript: str) -> bytes:
    """Return an Ogg Opus file of silence; what it says stands in its comments, for the simulated transcription."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 312, 16_000, 0, 0)
    said = transcript.encode()[:900]
    tags = b"OpusTags" + struct.pack("<I", 0) + struct.pack("<I", 1) + struct.pack("<I", len(said)) + said
    end = seconds * _OPUS_CLOCK_HZ + 312
    return _page(2, 0, 0, head) + _page(0, 0, 1, tags) + _page(4, end, 2, b"\xf8\xff\xfe")


def transcript_of(content: bytes) -> str:
    """Return what a voice note of ours says; nothing for any other."""
    at = content.find(b"OpusTags")
    if at < 0:
        return ""
    length = int.from_bytes(content[at + 16 : at + 20], "little")
    return content[at + 20 : at + 20 + length].decode(errors="replace")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _page(flags: int, granule: int, number: int, packet: bytes) -> bytes:
    lacing = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
    header = struct.pack("<4sBBqIII", b"OggS", 0, flags, granule, 1, number, 0) + bytes([len(lacing)]) + lacing
    page = bytearray(header + packet)
    page[22:26] = struct.pack("<I", _checksum(page))
    return bytes(page)


def _checksum(page: bytearray) -> int:
    """Return Ogg's CRC: polynomial 0x04c11db7, neither reflected nor inverted (RFC 3533)."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1) ^ 0x104C11DB7 if value & 0x80000000 else value << 1
    return value
