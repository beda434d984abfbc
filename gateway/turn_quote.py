"""What a turn may cost and what it did cost, in tokens and lines (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from metering.operations import BudgetLimit, Hold
from metering.rates import Item, Line, RateCard

MESSAGE_ITEMS: Mapping[str, Item] = {"whatsapp": Item.WHATSAPP_MESSAGE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The most a turn could cost: its prompt, the opening that precedes a first answer, the longest answer."""

    card: RateCard
    input_tokens: int
    opening_tokens: int
    answer_max_tokens: int
    answer_floor_tokens: int

    @property
    def input_millicredits(self) -> int:
        return self.card.line(Item.CHAT_INPUT, self.input_tokens).amount_millicredits

    @property
    def token_millicredits(self) -> int:
        """What one token of the answer costs."""
        return self.card.line(Item.CHAT_OUTPUT, 1).amount_millicredits

    def paid_tokens(self, held_millicredits: int) -> int:
        """Return how many tokens a hold pays for beyond the prompt, the opening's included."""
        return (held_millicredits - self.input_millicredits) // self.token_millicredits

    def answer_tokens(self, held_millicredits: int) -> int:
        """Return how long the model's own text may be within a hold."""
        return self.paid_tokens(held_millicredits) - self.opening_tokens


def hold_for(quote: Quote, *, key: str, day: date, expires_at: datetime, budgets: tuple[BudgetLimit, ...] = ()) -> Hold:
    """Return the hold of one attempt: it shrinks by whole tokens of the answer, down to the floor."""
    floor = min(quote.answer_floor_tokens, quote.answer_max_tokens)
    unit, base = quote.token_millicredits, quote.input_millicredits
    return Hold(
        key=key,
        max_millicredits=base + unit * (quote.opening_tokens + quote.answer_max_tokens),
        min_millicredits=base + unit * (quote.opening_tokens + floor),
        step_millicredits=unit,
        may_shrink=False,
        expires_at=expires_at,
        rate_card=quote.card.version,
        day=day,
        budgets=budgets,
    )


def answer_lines(
    quote: Quote, *, channel: str, part_tokens: Sequence[int], tool_calls: int
) -> tuple[tuple[Line, ...], tuple[tuple[Line, ...], ...]]:
    """Return the receipt's lines, and what each part costs when it is given back.

    The prompt belongs to the first part: if that one never arrives, nothing of the answer does.
    """
    card = quote.card
    asked = card.line(Item.CHAT_INPUT, quote.input_tokens)
    lines = (
        asked,
        card.line(Item.CHAT_OUTPUT, sum(part_tokens)),
        *([card.line(Item.TOOL_USE, tool_calls)] if tool_calls else []),
        card.line(MESSAGE_ITEMS[channel], len(part_tokens)),
    )
    parts = tuple(
        (*([asked] if position == 0 else []), card.line(Item.CHAT_OUTPUT, tokens))
        for position, tokens in enumerate(part_tokens)
    )
    return lines, parts


def stored_lines(lines: Sequence[Line]) -> list[Mapping[str, object]]:
    """Return lines as the outbox keeps them."""
    return [
        {"item": line.item.value, "quantity": line.quantity, "unit_millicredits": line.unit_millicredits}
        for line in lines
    ]
