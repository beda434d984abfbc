"""Credits as people write and read them; inside, everything is whole millicredits (pure)."""

import re

from metering.errors import CreditsError

MILLICREDITS = 1000  # in one credit
CREDITS_MAX = 10**12  # far above any wallet, far below what a BIGINT of millicredits holds

_WRITTEN = re.compile(r"([0-9]{1,18})(?:[.,]([0-9]{1,3}))?")


def parse_credits(text: str) -> int:
    """Return millicredits from credits such as `1500`, `0.5` or `12,125`.

    Point and comma both begin the decimals. Thousands separators are refused, since one country's thousand is
    another's decimal. Raises CreditsError.
    """
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        raise CreditsError(
            f'"{text}" is not an amount of credits: write digits with at most three decimals and no thousands '
            "separator, such as 1500 or 12.125"
        )
    whole, decimals = found.groups(default="")
    if int(whole) > CREDITS_MAX:
        raise CreditsError(f'"{text}" is more than {CREDITS_MAX} credits')
    return int(whole) * MILLICREDITS + int(decimals.ljust(3, "0"))


def format_credits(millicredits: int, locale: str = "de") -> str:
    """Return credits with thousands and decimal marks: `1.234,56` in German, `1,234.56` elsewhere.

    Exact: two decimals, or three where a millicredit would be lost.
    """
    whole, rest = divmod(abs(millicredits), MILLICREDITS)
    decimals = f"{rest:03d}" if rest % 10 else f"{rest // 10:02d}"
    text = f"{'-' if millicredits < 0 else ''}{whole:,}.{decimals}"
    return text.translate(str.maketrans(",.", ".,")) if locale.lower().startswith("de") else text
