"""What kinds of numbers there are, what they can do and what they cost: local or mobile, nothing else (pure)."""

from collections.abc import Mapping
from typing import Literal

from metering.rates import Item

LineKind = Literal["local", "mobile"]

RENTAL: Mapping[str, Item] = {"local": Item.NUMBER_LOCAL, "mobile": Item.NUMBER_MOBILE}
ORDER_INSTEAD = "order a local number (voice, WhatsApp) or a mobile number (voice, WhatsApp, SMS)"
NO_SMS_ON_LOCAL = "a local number has no sms; order a mobile number (voice, WhatsApp, SMS), or take sms out"
_ECHOED_MAX = 40


def read_kind(kind: object) -> LineKind:
    """Return a number's kind. Raises ValueError for any other, in words that say what to order instead."""
    match kind:
        case "local" | "mobile":
            return kind
        case str() if kind.isprintable() and len(kind) <= _ECHOED_MAX:
            raise ValueError(f'"{kind}" is not a kind of number there is here: {ORDER_INSTEAD}')
        case _:
            raise ValueError(f'must be "local" or "mobile": {ORDER_INSTEAD}')
