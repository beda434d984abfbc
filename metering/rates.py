"""Rate cards: usage in natural units becomes priced lines.

Prices are whole millicredits per unit, so nothing is ever rounded. A card is valid from its day until the
next one's; old cards stay in the file, because receipts cite them.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from metering.errors import RateCardError, UnknownPriceError, UnknownRateCardError
from metering.rate_card_problems import problems_of_cards

SHIPPED_RATE_CARDS = Path(__file__).with_name("rate_cards.toml")


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


PRICED_ITEMS = tuple(item for item in Item if item is not Item.ABSORBED)
ABSORBED_MILLICREDITS = 1


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
        """Price a quantity; only `absorbed` may be negative, and only that must be.

        Raises UnknownPriceError for an item without a rate: fail closed.
        """
        if (quantity < 0) != (item is Item.ABSORBED):
            raise ValueError(f"{item}: a quantity of {quantity}")
        if item is Item.ABSORBED:
            return Line(item, quantity, ABSORBED_MILLICREDITS)
        unit = self.unit_millicredits.get(item)
        if unit is None:
            raise UnknownPriceError(item, self.version)
        return Line(item, quantity, unit)


@dataclass(frozen=True, slots=True)
class RateCards:
    """Every rate card there has been, by the day it became valid."""

    cards: tuple[RateCard, ...]

    def on(self, day: date) -> RateCard:
        """Return the card valid on a day. Raises UnknownRateCardError before the first."""
        valid = [card for card in self.cards if card.effective_on <= day]
        if not valid:
            raise UnknownRateCardError(day.isoformat())
        return max(valid, key=lambda card: card.effective_on)

    def version(self, name: str) -> RateCard:
        """Return the card that a charge cites. Raises UnknownRateCardError if there is none."""
        for card in self.cards:
            if card.version == name:
                return card
        raise UnknownRateCardError(name)


def parse_rate_cards(document: Mapping[str, object]) -> RateCards:
    """Return the cards of a rate-card file. Raises RateCardError with every problem in it."""
    problems = problems_of_cards(document, items=tuple(PRICED_ITEMS))
    if problems:
        raise RateCardError(problems)
    return RateCards(tuple(sorted(_cards(document["rate_card"]), key=lambda card: card.effective_on)))


def load_rate_cards(path: Path | None = None) -> RateCards:
    """Read a rate-card file, the shipped one by default. Raises RateCardError if it cannot be used."""
    path = path or SHIPPED_RATE_CARDS
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RateCardError([f"{path}: cannot be read ({error.strerror})"]) from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise RateCardError([f"{path}: {error}"]) from None
    return parse_rate_cards(document)


def _cards(tables: object) -> Iterable[RateCard]:
    """Build cards from tables that have been checked."""
    if not isinstance(tables, list):
        raise TypeError(tables)
    for table in tables:
        units = {Item(name): unit for name, unit in table["millicredits"].items()}
        yield RateCard(table["version"], table["effective_on"], MappingProxyType(units))
