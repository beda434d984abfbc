"""The parts of an agent's configuration: hours, closed days, services, booking rules, budgets, channels, SMS, voice.

Frozen values that check themselves. An unknown key is an error, because a misspelled rule that is
silently ignored would be found out by a customer.
"""

import re
from collections.abc import Mapping
from datetime import date
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from agents.texts import WEEKDAYS

MINUTES_PER_DAY = 24 * 60
CREDITS_MAX = 10**12  # far more than anybody has, and its millicredits still fit a BIGINT
_BLOCK = re.compile(r"\s*(\d{1,2}):(\d{2})\s*[-\u2013]\s*(\d{1,2}):(\d{2})\s*")

_FOREIGN = re.compile(r"[\s()./-]")
_NUMBER = re.compile(r"\+[1-9]\d{6,14}")
_DEAR = ("+49900", "+49137", "+49118")  # special rates, which whoever forwards pays

Channel = Literal["whatsapp", "sms", "voice"]
Spoken = Annotated[str, Field(min_length=1, max_length=300)]


class Part(BaseModel):
    """A piece of configuration: frozen, strict about its keys, named in the file as in `alias`."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_alias=True, validate_by_name=True, str_strip_whitespace=True
    )


class Block(NamedTuple):
    """A stretch of one day's opening, in minutes since the day's begin on the clock on the wall."""

    opens: int
    closes: int

    @property
    def text(self) -> str:
        return f"{clock_text(self.opens)}-{clock_text(self.closes)}"


def clock_text(minutes: int) -> str:
    """Return minutes since midnight as `HH:MM`."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _parse_block(value: object) -> object:
    if isinstance(value, Block):
        return value
    found = _BLOCK.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f'must be written like "09:00-13:00", not {value!r}')
    first_hour, first_minute, last_hour, last_minute = (int(part) for part in found.groups())
    opens, closes = first_hour * 60 + first_minute, last_hour * 60 + last_minute
    if max(first_minute, last_minute) > 59 or closes > MINUTES_PER_DAY:
        raise ValueError(f'"{value}" is not a time of day')
    if opens >= closes:
        raise ValueError(f'"{value}" ends before it begins; write a night as two days, "20:00-24:00" and "00:00-02:00"')
    return Block(opens, closes)


def _in_order(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    for earlier, later in pairwise(blocks):
        if later.opens < earlier.opens:
            raise ValueError(f'"{later.text}" must stand before "{earlier.text}"')
        if later.opens < earlier.closes:
            raise ValueError(f'"{earlier.text}" and "{later.text}" overlap')
    return blocks


def _check_order(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise ValueError('must be a list such as ["09:00-13:00", "14:00-18:00"]')  # noqa: TRY004 - pydantic collects ValueErrors
    return _in_order(tuple(_parse_block(block) for block in value))  # type: ignore[misc]  # _parse_block returns Blocks


DayHours = Annotated[
    tuple[Block, ...],
    BeforeValidator(_check_order),
    PlainSerializer(lambda blocks: [block.text for block in blocks], return_type=list[str]),
]


class Hours(Part):
    """When the business is open, by weekday; a day that is not named is closed."""

    monday: DayHours = ()
    tuesday: DayHours = ()
    wednesday: DayHours = ()
    thursday: DayHours = ()
    friday: DayHours = ()
    saturday: DayHours = ()
    sunday: DayHours = ()

    def on(self, day: date) -> tuple[Block, ...]:
        """Return the blocks of a date's weekday."""
        blocks: tuple[Block, ...] = getattr(self, WEEKDAYS[day.weekday()])
        return blocks

    @property
    def never_open(self) -> bool:
        return not any(getattr(self, weekday) for weekday in WEEKDAYS)


class ClosedDays(Part):
    """A day, or all days from one to another, on which the business is closed whatever its hours."""

    first: date = Field(alias="from")
    last: date = Field(alias="to")
    label: str = Field(default="", max_length=80)

    @model_validator(mode="before")
    @classmethod
    def _from_short_forms(cls, value: object) -> object:
        """Accept `"2026-12-24"`, a TOML date, `"2026-08-01/2026-08-14"` and `{date = …, label = …}` too."""
        if isinstance(value, date):
            return {"from": value, "to": value}
        if isinstance(value, str):
            first, _, last = value.partition("/")
            return {"from": first.strip(), "to": (last or first).strip()}
        if isinstance(value, Mapping) and "date" in value:
            return {"from": value["date"], "to": value["date"], **{k: v for k, v in value.items() if k != "date"}}
        if isinstance(value, Mapping) and "from" in value and "to" not in value:
            return {**value, "to": value["from"]}
        return value

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"{self.last.isoformat()} is before {self.first.isoformat()}")
        return self

    def covers(self, day: date) -> bool:
        return self.first <= day <= self.last


class Service(Part):
    """Something that can be booked. The buffer follows it, for tidying up, and is not told to customers."""

    name: str = Field(min_length=1, max_length=80)
    minutes: int = Field(ge=5, le=MINUTES_PER_DAY, strict=True)
    price: str = Field(default="", max_length=80)
    buffer_minutes: int = Field(default=0, ge=0, le=240, strict=True)


class Booking(Part):
    """The rules of booking: notice, how far ahead, on which grid of minutes, how many at a time."""

    lead_minutes: int = Field(default=60, ge=0, le=60 * 24 * 30, strict=True)
    horizon_days: int = Field(default=60, ge=1, le=366, strict=True)
    grid_minutes: int = Field(default=15, ge=5, le=240, strict=True)
    open_per_contact: int = Field(default=5, ge=1, le=50, strict=True)  # one customer cannot book the whole month


class Budgets(Part):
    """Daily limits in credits; None: the shipped default for a contact, no limit for the others."""

    contact: int | None = Field(default=None, ge=0, le=CREDITS_MAX, strict=True)
    agent: int | None = Field(default=None, ge=0, le=CREDITS_MAX, strict=True)
    channel: int | None = Field(default=None, ge=0, le=CREDITS_MAX, strict=True)
    when_spent: Literal["away_text", "handover", "silence"] = "away_text"


class SmsStyle(Part):
    """How answers by SMS are written: in so many segments at most, each of which is paid for."""

    segments_max: int = Field(default=4, ge=1, le=10, strict=True)
    allow_unicode: bool = Field(default=False, strict=True)  # one sign outside GSM-7 halves what a segment holds


def _forwarding_number(text: str) -> str:
    """Return a number as E.164. Raises ValueError, in whose words the number does not occur."""
    number = _FOREIGN.sub("", text)
    number = f"+{number[2:]}" if number.startswith("00") else number
    if not _NUMBER.fullmatch(number):
        raise ValueError('must be a number with its country code, like "+49 30 1234567"')
    if number.startswith(_DEAR):
        raise ValueError("is a special-rate number; calls are not forwarded to such")
    return number


class VoiceStyle(Part):
    """How the agent is on the phone. A text left empty is worded by us, in the agent's language.

    `noise` is what the caller's line is cleaned of: a handset at the ear is near, hands-free speaking is far.
    """

    engine: Literal["realtime", "conversation_relay"] = "realtime"
    voice: str = Field(default="marin", min_length=1, max_length=80)
    speed: float = Field(default=1.0, ge=0.5, le=1.5, strict=True)
    interruptible_greeting: bool = Field(default=True, strict=True)
    min_interrupt_ms: int = Field(default=0, ge=0, le=1000, strict=True)  # the caller must have spoken for so long
    idle_prompt_s: int = Field(default=10, ge=3, le=120, strict=True)
    idle_end_after: int = Field(default=2, ge=1, le=5, strict=True)  # unanswered questions whether somebody is there
    max_minutes: int = Field(default=30, ge=1, le=120, strict=True)
    transfer_to: Annotated[str, AfterValidator(_forwarding_number)] | None = None
    transfer_timeout_s: int = Field(default=25, ge=5, le=60, strict=True)
    when_unavailable: Literal["notice", "forward"] = "notice"
    when_credits_end: Literal["hang_up", "forward"] = "hang_up"
    recording: Literal["none", "ask"] = "none"
    noise: Literal["near_field", "far_field", "none"] = "near_field"
    goodbye_text: str = Field(default="", max_length=300)
    idle_text: str = Field(default="", max_length=300)
    filler_texts: tuple[Spoken, ...] = Field(default=(), max_length=2)
    connecting_text: str = Field(default="", max_length=300)
    not_reached_text: str = Field(default="", max_length=300)
    credits_end_text: str = Field(default="", max_length=300)
    too_long_text: str = Field(default="", max_length=300)
    technical_text: str = Field(default="", max_length=300)
    unavailable_text: str = Field(default="", max_length=300)
    recording_text: str = Field(default="", max_length=300)
    whisper_text: str = Field(default="", max_length=300)

    @model_validator(mode="after")
    def _check_forwarding(self) -> Self:
        for name in ("when_unavailable", "when_credits_end"):
            if getattr(self, name) == "forward" and self.transfer_to is None:
                raise ValueError(f'{name}: "forward" needs a number in transfer_to')
        return self


class ChannelOverride(Part):
    """What differs on one channel; None: as everywhere."""

    enabled: bool = True
    greeting: str | None = Field(default=None, max_length=500)
    instructions_extra: str = Field(default="", max_length=4000)
    answer_max_tokens: int | None = Field(default=None, ge=50, le=4000, strict=True)
    away_text: str | None = Field(default=None, max_length=1000)
    budget_contact: int | None = Field(default=None, ge=0, le=CREDITS_MAX, strict=True)
    budget_channel: int | None = Field(default=None, ge=0, le=CREDITS_MAX, strict=True)
