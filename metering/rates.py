"""Rate cards: usage in natural units becomes priced lines (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Item(StrEnum):
    """What is counted. The values are public: they stand in receipts, usage and statements."""

    CHAT_INPUT = "chat_input"
    CHAT_OUTPUT = "chat_output"
    TOOL_USE = "tool_use"
    CALL_MINUTE = "call_minute"
    VOICE_INPUT = "voice_input"
    VOICE_OUTPUT = "voice_output"
    SMS_SENT = "sms_sent"
    SMS_RECEIVED = "sms_received"
    WHATSAPP_MESSAGE = "whatsapp_message"
    NUMBER_LOCAL = "number_local"
    NUMBER_MOBILE = "number_mobile"
    ABSORBED = "absorbed"  # one millicredit each, negative quantity: borne by the operator


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a receipt: quantity times rate."""

    item: Item
    quantity: int
    unit_millicredits: int

    @property
    def amount_millicredits(self) -> int:
        return self.quantity * self.unit_millicredits


@dataclass(frozen=True, slots=True)
class RateCard:
    """Prices valid from a day on; a charge cites the version it used."""

    version: str
    effective_on: date
    unit_millicredits: Mapping[Item, int]

    def line(self, item: Item, quantity: int) -> Line:
        """Price a quantity. Raises `UnknownPriceError` for an item without a rate: fail closed."""
        raise NotImplementedError
