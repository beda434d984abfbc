"""What is wrong with a rate-card file, in the words of the operator who wrote it (pure)."""

import difflib
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime

_KEYS = frozenset({"version", "effective_on", "millicredits"})
_UNIT_MAX = 10**12  # a thousand million credits for one unit: certainly a slip


def problems_of_cards(document: Mapping[str, object], *, items: Sequence[str]) -> list[str]:
    """Return every problem of the parsed file as one sentence each; none: it can be used."""
    problems = [f"{name}: is not known; prices stand in [[rate_card]]" for name in document if name != "rate_card"]
    tables = document.get("rate_card")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, Mapping) for table in tables):
        return [*problems, "rate_card: there must be at least one [[rate_card]] table"]
    for position, table in enumerate(tables, start=1):
        problems.extend(f"rate_card {position}: {problem}" for problem in _problems_of_card(table, items))
    problems.extend(f'version "{version}": is there twice' for version in _twice(tables, "version", str))
    problems.extend(f"effective_on {day}: two rate cards begin then" for day in _twice(tables, "effective_on", date))
    return problems


def _problems_of_card(table: Mapping[str, object], items: Sequence[str]) -> Iterator[str]:
    yield from (f"{name}: is not a known setting" for name in table if name not in _KEYS)
    version = table.get("version")
    if not isinstance(version, str) or not version.strip():
        yield 'version: must be a name such as "2026-01"'
    day = table.get("effective_on")
    if not isinstance(day, date) or isinstance(day, datetime):
        yield "effective_on: must be a date such as 2026-01-01"
    prices = table.get("millicredits")
    if not isinstance(prices, Mapping):
        yield "millicredits: must be a table with the price of every item"
        return
    yield from (f"millicredits.{item}: is missing; write 0 if it is free" for item in items if item not in prices)
    for name, price in prices.items():
        if name not in items:
            yield f"millicredits.{name}: is not a known item{_did_you_mean(name, items)}"
        elif not isinstance(price, int) or isinstance(price, bool):
            yield f"millicredits.{name}: must be a whole number of millicredits"
        elif not 0 <= price <= _UNIT_MAX:
            yield f"millicredits.{name}: must be between 0 and {_UNIT_MAX}"


def _twice(tables: Iterable[Mapping[str, object]], key: str, kind: type) -> list[Hashable]:
    counted = Counter(value for table in tables if isinstance(value := table.get(key), kind))
    return [value for value, times in counted.items() if times > 1]


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f'; did you mean "{close[0]}"?' if close else ""
