"""`price`: what a month would cost, without a database or a server."""

from datetime import date

from gateway.cli.output import print_json, print_table
from gateway.dashboard.figures import credits_text, money, whole
from gateway.dashboard.price_view import result_rows
from gateway.dashboard.words import Locale, words
from gateway.settings import Settings
from metering.plans import load_plans
from metering.price import MONTH_DAYS, MonthPrice, Period, Volume, as_document, month_of, price_of
from metering.rates import RateCard, load_rate_cards


async def price(settings: Settings, volume: Volume, *, per: Period, locale: Locale, today: date, as_json: bool) -> None:
    """Print a month line by line, by the card of the day and the plans that the settings name."""
    card, plans = load_rate_cards().on(today), load_plans(settings.plans_file)
    found = price_of(month_of(volume, per=per), card=card, plans=plans)
    if as_json:
        print_json(as_document(found))
        return
    _print_lines(found, card, locale)
    _print_plan(found, locale, largest_millicredits=max((plan.package_millicredits for plan in plans.plans), default=0))


def _print_lines(found: MonthPrice, card: RateCard, locale: Locale) -> None:
    texts = words(locale)
    names = texts["list"]
    print(f"{texts['result']['heading']} ({texts['result']['days'].format(days=whole(MONTH_DAYS, locale))})")
    rows = [(row.name, row.how, row.amount) for row in result_rows(found, card, texts, locale)]
    rows.append((texts["result"]["sum"], "", credits_text(found.total_millicredits, locale)))
    print_table((names["item"], texts["result"]["how"], names["price"]), rows, right=(names["price"],))


def _print_plan(found: MonthPrice, locale: Locale, *, largest_millicredits: int) -> None:
    texts = words(locale)
    told, volume = texts["result"], found.volume
    if found.plan is not None and found.left_millicredits is not None:
        cost = told["fits_price"].format(price=money(found.plan.price_minor, found.plan.currency, locale))
        left = told["left"].format(left=credits_text(found.left_millicredits, locale))
        print(f"{told['fits'].format(plan=found.plan.name)}: {cost}")
        print(left if found.left_millicredits else told["exactly"])
    elif largest_millicredits:
        missing = credits_text(found.total_millicredits - largest_millicredits, locale)
        print(told["none"], told["none_note"].format(missing=missing), sep="\n")
    else:
        print(told["no_plans"])
    print(
        texts["calculator"]["assumed"].format(
            chat_input=whole(volume.chat_input_tokens, locale),
            chat_output=whole(volume.chat_output_tokens, locale),
            voice_input=whole(volume.voice_input_tokens, locale),
            voice_output=whole(volume.voice_output_tokens, locale),
        )
    )
