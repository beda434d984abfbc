"""What Twilio says of a call that rings (pure): who calls, which of our numbers, and whether it rang before."""

from dataclasses import dataclass, field
from typing import Final

from gateway.channels.twilio_forms import Fields, is_number

# How networks spell a withheld number where only digits go: ANONYMOUS, RESTRICTED, BLOCKED, UNKNOWN, UNAVAILABLE.
WITHHELD: Final = frozenset({"+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ringing:
    """A call that asks to be answered. `caller` is None if the number is withheld, or is none."""

    call_sid: str
    our_number: str
    caller: str | None = field(repr=False)


def read_ringing(fields: Fields) -> Ringing | None:
    """Return the call that a webhook tells of; None if it names no call, or no number of ours."""
    call_sid, to, caller = (fields.get(name, "") for name in ("CallSid", "To", "From"))
    if not call_sid or not is_number(to):
        return None
    shown = is_number(caller) and caller not in WITHHELD
    return Ringing(call_sid=call_sid, our_number=to, caller=caller if shown else None)
