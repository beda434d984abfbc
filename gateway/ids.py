"""UUIDv7: ids that sort by the time they were made (RFC 9562, section 5.7)."""

from uuid import UUID


def uuid7(*, unix_ms: int, random_bits: bytes) -> UUID:
    """Build an id from the time in milliseconds and ten random bytes."""
    value = (unix_ms & 0xFFFFFFFFFFFF) << 80 | int.from_bytes(random_bits[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)
