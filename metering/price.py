"""What a month would cost: volumes priced by the same function that charges them (pure).

A forecast needs two assumptions that a receipt does not: how many tokens a conversation and a call minute have.
Both are part of the volume, so whoever shows a price can show what it assumes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Literal

from metering.errors import VolumeError
from metering.plans import Plan, Plans
from metering.rates import Item, Line, RateCard

Period = Literal["day", "month"]

MONTH_DAYS = 30
VOLUME_MAX = 10_000_000
TOKENS_MAX = 10_000_000  # of one conversation, or of one call minute

# Nine answers, each from a prompt of 1,200 tokens and what was said before: 500 credits on the first rate card.
# tests/metering/test_plausibility.py holds it against recorded dialogues.
CONVERSATION_ANSWERS = 9
CONVERSATION_INPUT_TOKENS = 11_500
CONVERSATION_OUTPUT_TOKENS = 200

# The caller is heard all the time (10 tokens a second), the agent speaks half of it (20 tokens a second).
MINUTE_INPUT_TOKENS = 600
MINUTE_OUTPUT_TOKENS = 600

PRICED_PER: Mapping[Item, int] = MappingProxyType(
    dict.fromkeys((Item.CHAT_INPUT, Item.CHAT_OUTPUT, Item.VOICE_INPUT, Item.VOICE_OUTPUT), 1000)
)  # as people read a price: per 1,000 tokens; everything else per one


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """What a business expects of a month, and the tokens that one conversation and one call minute have."""

    chats: int = 0
    sms_sent: int = 0  # segments
    sms_received: int = 0  # segments
    call_minutes: int = 0
    local_numbers: int = 0
    mobile_numbers: int = 0
    chat_input_tokens: int = CONVERSATION_INPUT_TOKENS
    chat_output_tokens: int = CONVERSATION_OUTPUT_TOKENS
    voice_input_tokens: int = MINUTE_INPUT_TOKENS
    voice_output_tokens: int = MINUTE_OUTPUT_TOKENS

    def __post_init__(self) -> None:
        """Raise VolumeError with every number that cannot be."""
        problems = [
            f"{name}: must be a whole number from 0 to {_most(name)}"
            for name, value in asdict(self).items()
            if not 0 <= value <= _most(name)
        ]
        if problems:
            raise VolumeError(problems)


VOLUME_NAMES = tuple(Volume.__dataclass_fields__)
NUMBER_NAMES = ("local_numbers", "mobile_numbers")  # rented by the month, whatever is counted by the day
TOKEN_NAMES = tuple(name for name in VOLUME_NAMES if name.endswith("_tokens"))


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthPrice:
    """A month, line by line. Without a plan whose package covers it, `plan` and `left_millicredits` are None."""

    rate_card: str
    volume: Volume
    lines: tuple[Line, ...]
    total_millicredits: int
    plan: Plan | None
    left_millicredits: int | None


def month_of(volume: Volume, *, per: Period) -> Volume:
    """Return the month's volume of one that is counted by the day; numbers and tokens stay. Raises VolumeError."""
    if per == "month":
        return volume
    daily = [name for name in VOLUME_NAMES if name not in (*NUMBER_NAMES, *TOKEN_NAMES)]
    return replace(volume, **{name: getattr(volume, name) * MONTH_DAYS for name in daily})


def price_of(volume: Volume, *, card: RateCard, plans: Plans) -> MonthPrice:
    """Price a month's volume and find the smallest package that covers it."""
    lines = tuple(card.line(item, quantity) for item, quantity in _quantities(volume) if quantity)
    total_millicredits = sum(line.amount_millicredits for line in lines)
    covering = [plan for plan in plans.plans if plan.package_millicredits >= total_millicredits]
    plan = min(covering, key=lambda plan: plan.package_millicredits, default=None)
    return MonthPrice(
        rate_card=card.version,
        volume=volume,
        lines=lines,
        total_millicredits=total_millicredits,
        plan=plan,
        left_millicredits=None if plan is None else plan.package_millicredits - total_millicredits,
    )


def listed_price(card: RateCard, item: Item) -> Line:
    """Return an item's price as people read it: of 1,000 tokens, or of one of anything else."""
    return card.line(item, PRICED_PER.get(item, 1))


def as_document(price: MonthPrice) -> dict[str, object]:
    """Return a price as plain JSON values, with what it assumes."""
    return {
        "rate_card": price.rate_card,
        "days": MONTH_DAYS,
        "volume": {name: value for name, value in asdict(price.volume).items() if name not in TOKEN_NAMES},
        "assumptions": {name: value for name, value in asdict(price.volume).items() if name in TOKEN_NAMES},
        "lines": [{**asdict(line), "amount_millicredits": line.amount_millicredits} for line in price.lines],
        "total_millicredits": price.total_millicredits,
        "plan": None if price.plan is None else asdict(price.plan),
        "left_millicredits": price.left_millicredits,
    }


def _quantities(volume: Volume) -> Iterator[tuple[Item, int]]:
    yield Item.CHAT_INPUT, volume.chats * volume.chat_input_tokens
    yield Item.CHAT_OUTPUT, volume.chats * volume.chat_output_tokens
    yield Item.SMS_RECEIVED, volume.sms_received
    yield Item.SMS_SENT, volume.sms_sent
    yield Item.CALL_MINUTE, volume.call_minutes
    yield Item.VOICE_INPUT, volume.call_minutes * volume.voice_input_tokens
    yield Item.VOICE_OUTPUT, volume.call_minutes * volume.voice_output_tokens
    yield Item.NUMBER_LOCAL, volume.local_numbers
    yield Item.NUMBER_MOBILE, volume.mobile_numbers


def _most(name: str) -> int:
    return TOKENS_MAX if name.endswith("_tokens") else VOLUME_MAX
