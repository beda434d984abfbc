"""Figures as a reader of a language writes them (pure)."""

from datetime import date
from decimal import Decimal

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal, get_currency_precision

from metering.credits import MILLICREDITS


def whole(number: int, locale: str) -> str:
    """Return a count with thousands marks: `150.000` in German, `150,000` in English."""
    return format_decimal(number, locale=locale)


def credits_text(millicredits: int, locale: str) -> str:
    """Return credits, exact: no decimals where there are none, else as many as it takes."""
    return format_decimal(Decimal(millicredits) / MILLICREDITS, format="#,##0.###", locale=locale)


def money(minor: int, currency: str, locale: str) -> str:
    """Return an amount of the currency's smallest unit as its currency is written; whole amounts without decimals."""
    amount = Decimal(minor).scaleb(-get_currency_precision(currency))
    if amount != amount.to_integral_value():
        return format_currency(amount, currency, locale=locale)
    pattern = Locale.parse(locale).currency_formats["standard"].pattern.replace("0.00", "0")
    return format_currency(amount, currency, pattern, locale=locale, currency_digits=False)


def day_text(day: date, locale: str) -> str:
    return format_date(day, "long", locale=locale)
