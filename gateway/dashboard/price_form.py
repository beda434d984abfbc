"""The simulator's form: what was typed becomes a volume (pure)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from metering.price import (
    MONTH_DAYS,
    NUMBER_NAMES,
    TOKEN_NAMES,
    TOKENS_MAX,
    VOLUME_MAX,
    VOLUME_NAMES,
    Period,
    Volume,
    month_of,
)

USAGE_NAMES: Final = tuple(name for name in VOLUME_NAMES if name not in (*NUMBER_NAMES, *TOKEN_NAMES))
AT_FIRST: Final[Mapping[str, str]] = {"chats": "10"}  # per day: what the price list's own example is
EXAMPLES: Final[Mapping[str, Mapping[str, int]]] = {
    "salon": {"chats": 10, "mobile_numbers": 1},
    "practice": {"chats": 5, "call_minutes": 20, "local_numbers": 1},
    "workshop": {"chats": 3, "sms_received": 6, "sms_sent": 5, "mobile_numbers": 1},
}
_WHOLE: Final = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceForm:
    """The form as it was sent: `typed` by field, the month it comes to, or the fields that cannot be used."""

    typed: Mapping[str, str]
    per: Period
    month: Volume | None
    wrong: tuple[str, ...]


def read_form(query: Mapping[str, str]) -> PriceForm:
    """Read what was typed; an empty form is the first example, an empty field nothing or what is assumed."""
    per: Period = "month" if query.get("per") == "month" else "day"
    given = {name: query[name].strip() for name in VOLUME_NAMES if name in query} or dict(AT_FIRST)
    assumed = {name: str(getattr(Volume(), name)) for name in VOLUME_NAMES}
    typed = {name: given.get(name) or assumed[name] for name in VOLUME_NAMES}
    wrong = tuple(name for name, text in typed.items() if not _is_usable(name, text, per))
    if wrong:
        return PriceForm(typed=typed, per=per, month=None, wrong=wrong)
    month = month_of(Volume(**{name: int(text) for name, text in typed.items()}), per=per)
    return PriceForm(typed=typed, per=per, month=month, wrong=())


def most(name: str, per: Period) -> int:
    """Return the largest number that a field takes."""
    if name in TOKEN_NAMES:
        return TOKENS_MAX
    return VOLUME_MAX // MONTH_DAYS if per == "day" and name in USAGE_NAMES else VOLUME_MAX


def _is_usable(name: str, text: str, per: Period) -> bool:
    return _WHOLE.fullmatch(text) is not None and int(text) <= most(name, per)
