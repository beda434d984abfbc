"""What may still be done about an SMS that Twilio reports as failed or undelivered (pure)."""

# A phone that is switched off or out of reach, and a network that does not say why: it may come through later.
RETRY_ONCE_CODES = frozenset({30003, 30008})


def retry_once(code: int | str | None) -> bool:
    """Return whether the same text may be sent once more after a while. Anything else would fail again."""
    return str(code) in map(str, RETRY_ONCE_CODES)
