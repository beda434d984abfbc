"""What the price page shows, in a reader's language; every price comes from the function that charges (pure)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gateway.dashboard.figures import credits_text, money, whole
from gateway.dashboard.words import Locale, Words
from metering.plans import Plan, Plans
from metering.price import PRICED_PER, MonthPrice, Volume, listed_price, price_of
from metering.rates import Item, Line, RateCard

GROUPS: Final[Mapping[str, Sequence[Item]]] = MappingProxyType(
    {
        "chat": (Item.CHAT_INPUT, Item.CHAT_OUTPUT, Item.TOOL_USE),
        "whatsapp": (Item.WHATSAPP_MESSAGE,),
        "sms": (Item.SMS_SENT, Item.SMS_RECEIVED),
        "call": (Item.CALL_MINUTE, Item.VOICE_INPUT, Item.VOICE_OUTPUT),
        "numbers": (Item.NUMBER_LOCAL, Item.NUMBER_MOBILE),
    }
)
SHARES: Final = ("chat", "sms", "call", "numbers")
SHARE_WIDTH: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRow:
    """One line of the price list."""

    name: str
    note: str
    unit: str
    price: str
    is_free: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """One line of the simulated month."""

    name: str
    how: str
    amount: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A stretch of the bar that shows what a month is made of, in thousandths of its width."""

    group: str
    name: str
    start: int
    width: int
    amount: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCard:
    """One plan as it is offered."""

    name: str
    price: str
    credits: str
    chats: str
    chats_a_month: int
    keeps: str


def list_groups(card: RateCard, texts: Words, locale: Locale) -> Mapping[str, list[ListRow]]:
    """Return the whole price list by group, as people read prices."""
    return {group: [_list_row(card, item, texts, locale) for item in items] for group, items in GROUPS.items()}


def result_rows(price: MonthPrice, card: RateCard, texts: Words, locale: Locale) -> list[ResultRow]:
    """Return the month's lines: how each amount comes about."""
    return [
        ResultRow(
            name=texts["items_in_full"][line.item],
            how=texts["quantities"][line.item].format(
                quantity=whole(line.quantity, locale),
                price=credits_text(listed_price(card, line.item).amount_millicredits, locale),
                per=whole(PRICED_PER.get(line.item, 1), locale),
            ),
            amount=credits_text(line.amount_millicredits, locale),
        )
        for line in price.lines
    ]


def shares(price: MonthPrice, texts: Words, locale: Locale) -> list[Share]:
    """Return what the month is made of; nothing if it costs nothing."""
    found: list[Share] = []
    spent = 0
    for group in SHARES:
        amount = _sum(line for line in price.lines if line.item in GROUPS[group])
        if amount:
            start = spent * SHARE_WIDTH // price.total_millicredits
            spent += amount
            width = spent * SHARE_WIDTH // price.total_millicredits - start
            name = texts["list"][group]
            found.append(Share(group=group, name=name, start=start, width=width, amount=credits_text(amount, locale)))
    return found


def plan_cards(plans: Plans, card: RateCard, texts: Words, locale: Locale) -> list[PlanCard]:
    """Return the plans, and how many average conversations each is good for."""
    one = price_of(Volume(chats=1), card=card, plans=plans).total_millicredits
    return [_plan_card(plan, one, texts["plans"], locale) for plan in plans.plans]


def _list_row(card: RateCard, item: Item, texts: Words, locale: Locale) -> ListRow:
    price = listed_price(card, item)
    return ListRow(
        name=texts["items"][item],
        note=texts["item_notes"][item],
        unit=texts["units"][item].format(per=whole(price.quantity, locale)),
        price=credits_text(price.amount_millicredits, locale),
        is_free=price.amount_millicredits == 0,
    )


def _plan_card(plan: Plan, conversation_millicredits: int, texts: Mapping[str, str], locale: Locale) -> PlanCard:
    chats = plan.package_millicredits // conversation_millicredits if conversation_millicredits else 0
    keeps = texts["rollover" if plan.rollover else "no_rollover"]
    if plan.rollover and plan.rollover_max_credits is not None:
        keeps = texts["rollover_most"].format(most=whole(plan.rollover_max_credits, locale))
    return PlanCard(
        name=plan.name,
        price=money(plan.price_minor, plan.currency, locale),
        credits=texts["credits"].format(credits=whole(plan.credits, locale)),
        chats=texts["chats"].format(chats=whole(chats, locale)) if chats else "",
        chats_a_month=chats,
        keeps=keeps,
    )


def _sum(lines: Iterable[Line]) -> int:
    return sum(line.amount_millicredits for line in lines)
