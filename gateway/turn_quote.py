"""What a turn may cost and what it did cost, in tokens and lines (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from metering.operations import BudgetLimit, Hold
from metering.rates import Item, Line, RateCard

MESSAGE_ITEMS: Mapping[str, Item] = {"whatsapp": Item.WHATSAPP_MESSAGE, "sms": Item.SMS_SENT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a held amount pays for beyond the prompt: the model's own tokens, and the segments they may fill."""

    answer_tokens: int
    segments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The most a turn could cost: its prompt, the opening before a first answer, the longest answer and its segments.

    `segments_max` counts only where messages have a price.
    """

    card: RateCard
    channel: str
    input_tokens: int
    opening_tokens: int
    answer_max_tokens: int
    answer_floor_tokens: int
    segments_max: int = 1

    @property
    def input_millicredits(self) -> int:
        return self.card.line(Item.CHAT_INPUT, self.input_tokens).amount_millicredits

    @property
    def token_millicredits(self) -> int:
        """What one token of the answer costs."""
        return self.card.line(Item.CHAT_OUTPUT, 1).amount_millicredits

    @property
    def segment_millicredits(self) -> int:
        """What one segment costs; nothing where messages are free."""
        return self.card.line(MESSAGE_ITEMS[self.channel], 1).amount_millicredits

    def hold_millicredits(self, allowance: Allowance) -> int:
        """Return what must be held for an allowance."""
        tokens = self.opening_tokens + allowance.answer_tokens
        return (
            self.input_millicredits + self.token_millicredits * tokens + self.segment_millicredits * allowance.segments
        )

    @property
    def most(self) -> Allowance:
        return Allowance(answer_tokens=self.answer_max_tokens, segments=self.segments_max)

    @property
    def least(self) -> Allowance:
        return Allowance(answer_tokens=min(self.answer_floor_tokens, self.answer_max_tokens), segments=1)

    def allowance(self, held_millicredits: int) -> Allowance:
        """Return what a hold pays for: it lowers the segments to one before it shortens the answer."""
        unit, segment = self.token_millicredits, self.segment_millicredits
        left = held_millicredits - self.input_millicredits - unit * self.opening_tokens
        if segment == 0:
            return Allowance(answer_tokens=min(left // unit, self.answer_max_tokens), segments=self.segments_max)
        beside_whole_answer = (left - unit * self.answer_max_tokens) // segment
        if beside_whole_answer >= 1:
            return Allowance(answer_tokens=self.answer_max_tokens, segments=min(beside_whole_answer, self.segments_max))
        return Allowance(answer_tokens=(left - segment) // unit, segments=1)


def hold_for(quote: Quote, *, key: str, day: date, expires_at: datetime, budgets: tuple[BudgetLimit, ...] = ()) -> Hold:
    """Return the hold of one attempt: it shrinks by the price of a token, down to one segment and the floor."""
    return Hold(
        key=key,
        max_millicredits=quote.hold_millicredits(quote.most),
        min_millicredits=quote.hold_millicredits(quote.least),
        step_millicredits=quote.token_millicredits,
        may_shrink=False,
        expires_at=expires_at,
        rate_card=quote.card.version,
        day=day,
        budgets=budgets,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSize:
    """One part of an answer: its tokens, and what the provider bills it as (1 message, or its segments)."""

    tokens: int
    billed_units: int


def answer_lines(
    quote: Quote, parts: Sequence[PartSize], *, tool_calls: int
) -> tuple[tuple[Line, ...], tuple[tuple[Line, ...], ...]]:
    """Return the receipt's lines, and what each part costs when it is given back.

    The prompt belongs to the first part: if that one never arrives, nothing of the answer does.
    """
    card, message_item = quote.card, MESSAGE_ITEMS[quote.channel]
    asked = card.line(Item.CHAT_INPUT, quote.input_tokens)
    lines = (
        asked,
        card.line(Item.CHAT_OUTPUT, sum(part.tokens for part in parts)),
        *([card.line(Item.TOOL_USE, tool_calls)] if tool_calls else []),
        card.line(message_item, sum(part.billed_units for part in parts)),
    )
    refunds = tuple(
        (
            *([asked] if position == 0 else []),
            card.line(Item.CHAT_OUTPUT, part.tokens),
            *([card.line(message_item, part.billed_units)] if quote.segment_millicredits else []),
        )
        for position, part in enumerate(parts)
    )
    return lines, refunds


def stored_lines(lines: Sequence[Line]) -> list[Mapping[str, object]]:
    """Return lines as the outbox keeps them."""
    return [
        {"item": line.item.value, "quantity": line.quantity, "unit_millicredits": line.unit_millicredits}
        for line in lines
    ]
