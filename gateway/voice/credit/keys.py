"""The names of what is held and charged for a call (pure): each makes its part happen once.

A minute whose hold has ended without a charge may be held anew, and a minute that was settled when its stream ended is
held again for the next stream: its keys then end in a number from 2 on.
"""

from typing import Final
from uuid import UUID

CALLERS_LEG: Final = 0


def call_prefix(call_id: UUID) -> str:
    """Return what every key of a call's holds and charges begins with."""
    return f"call:{call_id}:"


def minute_key(call_id: UUID, minute: int, leg: int = CALLERS_LEG) -> str:
    """Return the key of a minute's fee, on the caller's own leg or a person's."""
    return f"call:{call_id}:minute:{minute}" if leg == CALLERS_LEG else f"call:{call_id}:leg:{leg}:minute:{minute}"


def fee_hold_key(call_id: UUID, minute: int, leg: int = CALLERS_LEG, *, ordinal: int = 1) -> str:
    place = f"call:{call_id}" if leg == CALLERS_LEG else f"call:{call_id}:leg:{leg}"
    return f"{place}:hold:{minute}:fee{_suffix(ordinal)}"


def audio_hold_key(call_id: UUID, minute: int, *, ordinal: int = 1) -> str:
    return f"call:{call_id}:hold:{minute}:audio{_suffix(ordinal)}"


def audio_key(hold_key: str) -> str:
    """Return the key under which a hold of audio is settled: `call:<id>:audio:<n>`, with its hold's number."""
    call, minute_and_ordinal = hold_key.split(":hold:")
    minute, _, *ordinal = minute_and_ordinal.split(":")
    return ":".join([call, "audio", minute, *ordinal])


def refund_key(charge_key: str) -> str:
    """Return the key of what Twilio's duration gives back of a minute."""
    return f"refund:{charge_key}:duration"


def _suffix(ordinal: int) -> str:
    return "" if ordinal == 1 else f":{ordinal}"
