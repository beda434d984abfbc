"""What the pages say, and in which language."""

import functools
import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Final, Literal, get_args

Locale = Literal["de", "en"]
Words = Mapping[str, Mapping[str, str]]  # section, key

LOCALES: Final[tuple[Locale, ...]] = get_args(Locale)
_PREFERENCE: Final = re.compile(
    r"\s*([a-z]{1,8})(?:-[a-z0-9-]{1,32})?\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?))?\s*", re.IGNORECASE
)
_PREFERENCES_MAX: Final = 20


@functools.cache
def words(locale: Locale) -> Words:
    """Return every text of a language."""
    text = resources.files("gateway.dashboard").joinpath("words", f"{locale}.toml").read_text(encoding="utf-8")
    return MappingProxyType({section: MappingProxyType(texts) for section, texts in tomllib.loads(text).items()})


def chosen_locale(wanted: str | None, accept_language: str) -> Locale:
    """Return the language that was asked for, else the one a browser prefers of ours, else German."""
    for locale in LOCALES:
        if wanted == locale:
            return locale
    found: dict[str, float] = {}
    for preference in accept_language.split(",")[:_PREFERENCES_MAX]:
        if match := _PREFERENCE.fullmatch(preference):
            found.setdefault(match[1].lower(), float(match[2] or 1))
    return max(LOCALES, key=lambda locale: found.get(locale, 0.0))  # the first of equals, which is German
