"""`/prices`: the whole price list, the plans, and a simulator that works with and without a script."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import orjson
from aiohttp import web

from gateway.dashboard import figures
from gateway.dashboard.pages import page
from gateway.dashboard.price_form import EXAMPLES, USAGE_NAMES, PriceForm, most, read_form
from gateway.dashboard.price_view import list_groups, plan_cards, result_rows, shares
from gateway.dashboard.words import LOCALES, Locale, Words, chosen_locale, words
from gateway.errors import ProblemError
from metering.plans import Plans
from metering.price import (
    CONVERSATION_ANSWERS,
    MONTH_DAYS,
    NUMBER_NAMES,
    TOKEN_NAMES,
    Volume,
    as_document,
    month_of,
    price_of,
)
from metering.rates import Item, RateCard, RateCards

PATH: Final = "/prices"
TIMEZONE: Final = ZoneInfo("Europe/Berlin")  # where the page's day begins: it has no tenant
SHOWN_CHATS_A_DAY: Final = 10
VOICE_TOKENS_A_MINUTE: Final = {"input": 600, "output": 1_200}  # 10 and 20 a second
SLIDERS: Final[Mapping[str, int]] = {
    "chats": 100,
    "sms_received": 50,
    "sms_sent": 50,
    "call_minutes": 120,
    "local_numbers": 5,
    "mobile_numbers": 5,
}  # how far a slider goes by the day; the field beside it takes more


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Who looks at the page, and the card of the day."""

    locale: Locale
    texts: Words
    card: RateCard
    plans: Plans


def routes(
    *, rate_cards: RateCards, plans: Plans, plans_are_examples: bool, now: Callable[[], datetime]
) -> list[web.RouteDef]:
    """Return the public routes; they need neither a key nor the database."""

    def reader_of(request: web.Request) -> _Reader:
        locale = chosen_locale(request.query.get("lang"), request.headers.get("Accept-Language", ""))
        card = rate_cards.on(now().astimezone(TIMEZONE).date())
        return _Reader(locale=locale, texts=words(locale), card=card, plans=plans)

    async def show_prices(request: web.Request) -> web.Response:
        reader, form = reader_of(request), read_form(request.query)
        are_examples = plans_are_examples and bool(plans.plans)
        shown = {**_whole_page(reader, form), "plans_are_examples": are_examples}
        return page("prices.html", locale=reader.locale, shown=shown, status=422 if form.wrong else 200)

    async def simulate(request: web.Request) -> web.Response:
        reader, form = reader_of(request), read_form(request.query)
        if "text/html" in request.headers.get("Accept", ""):
            return page(
                "price_result.html",
                locale=reader.locale,
                shown=_result(reader, form),
                status=422 if form.wrong else 200,
            )
        if form.month is None:
            raise ProblemError(
                422,
                "invalid_request",
                "; ".join(f"{name}: must be a whole number from 0 to {most(name, form.per)}" for name in form.wrong),
            )
        document = as_document(price_of(form.month, card=reader.card, plans=reader.plans))
        return web.Response(body=orjson.dumps(document), content_type="application/json", headers={"Vary": "Accept"})

    return [web.get(PATH, show_prices), web.get(f"{PATH}/simulate", simulate)]


def _whole_page(reader: _Reader, form: PriceForm) -> dict[str, object]:
    card, texts, locale = reader.card, reader.texts, reader.locale
    return {
        **_result(reader, form),
        "locales": LOCALES,
        "links": {each: _link(form, lang=each) for each in LOCALES},
        "groups": list_groups(card, texts, locale),
        "valid": texts["list"]["valid"].format(version=card.version, day=figures.day_text(card.effective_on, locale)),
        "plans": plan_cards(reader.plans, card, texts, locale),
        "facts": _facts(reader),
        "usage_names": USAGE_NAMES,
        "number_names": NUMBER_NAMES,
        "token_names": TOKEN_NAMES,
        "sliders": _sliders(form),
        "most": {name: most(name, form.per) for name in form.typed},
        "examples": {name: _example(volume, locale) for name, volume in EXAMPLES.items()},
        "answers": figures.whole(CONVERSATION_ANSWERS, locale),
        "voice": {name: figures.whole(tokens, locale) for name, tokens in VOICE_TOKENS_A_MINUTE.items()},
        "whatsapp_is_free": card.line(Item.WHATSAPP_MESSAGE, 1).amount_millicredits == 0,
    }


def _result(reader: _Reader, form: PriceForm) -> dict[str, object]:
    locale, texts = reader.locale, reader.texts
    shown: dict[str, object] = {
        "t": texts,
        "form": form,
        "wrong": {name: texts["calculator"]["wrong"].format(most=_most(form, name, locale)) for name in form.wrong},
        "price": None,
    }
    if form.month is None:
        return shown
    price = price_of(form.month, card=reader.card, plans=reader.plans)
    largest = max((plan.package_millicredits for plan in reader.plans.plans), default=0)
    return {
        **shown,
        "price": price,
        "days": texts["result"]["days"].format(days=figures.whole(MONTH_DAYS, locale)),
        "total": figures.credits_text(price.total_millicredits, locale),
        "rows": result_rows(price, reader.card, texts, locale),
        "shares": shares(price, texts, locale),
        "plan_price": price.plan and figures.money(price.plan.price_minor, price.plan.currency, locale),
        "left": figures.credits_text(price.left_millicredits or 0, locale),
        "missing": figures.credits_text(max(0, price.total_millicredits - largest), locale),
        "has_plans": bool(reader.plans.plans),
        "assumed": _assumed(price.volume, texts["calculator"]["assumed"], locale),
        "json_link": f"{PATH}/simulate?{urlencode({**form.typed, 'per': form.per})}",
    }


def _facts(reader: _Reader) -> list[tuple[str, str]]:
    """Return the three figures that the page begins with."""
    texts, locale = reader.texts["hero"], reader.locale
    a_month = month_of(Volume(chats=SHOWN_CHATS_A_DAY), per="day")
    told = (
        (Volume(chats=1), texts["chat"]),
        (a_month, texts["month"].format(chats=figures.whole(SHOWN_CHATS_A_DAY, locale))),
        (Volume(call_minutes=1), texts["minute"]),
    )
    return [
        (figures.credits_text(price_of(volume, card=reader.card, plans=reader.plans).total_millicredits, locale), text)
        for volume, text in told
    ]


def _assumed(volume: Volume, text: str, locale: Locale) -> str:
    return text.format(
        chat_input=figures.whole(volume.chat_input_tokens, locale),
        chat_output=figures.whole(volume.chat_output_tokens, locale),
        voice_input=figures.whole(volume.voice_input_tokens, locale),
        voice_output=figures.whole(volume.voice_output_tokens, locale),
    )


def _sliders(form: PriceForm) -> dict[str, int]:
    by_the_month = form.per == "month"
    return {name: end * MONTH_DAYS if by_the_month and name in USAGE_NAMES else end for name, end in SLIDERS.items()}


def _most(form: PriceForm, name: str, locale: Locale) -> str:
    return figures.whole(most(name, form.per), locale)


def _link(form: PriceForm, *, lang: Locale) -> str:
    """Return the page in another language, with what was typed."""
    return f"{PATH}?{urlencode({**form.typed, 'per': form.per, 'lang': lang})}"


def _example(volume: Mapping[str, int], locale: Locale) -> str:
    return f"{PATH}?{urlencode({**volume, 'per': 'day', 'lang': locale})}#calculator"
