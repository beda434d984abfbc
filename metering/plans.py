"""Plans: a monthly price and a package of credits, read from a file that the operator edits.

The shipped `plans.toml` holds examples. Every problem of a file is reported at once.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from metering.credits import MILLICREDITS
from metering.errors import PlansError

SHIPPED = Path(__file__).with_name("plans.toml")
CREDITS_MAX = 10_000_000_000  # a month's package; well inside what a wallet's bigint holds
PRICE_MINOR_MAX = 10_000_000_000
_KEYS = ("name", "price_minor", "currency", "credits", "rollover", "rollover_max_credits")


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan. `price_minor` is the monthly price in the currency's smallest unit, `credits` the package.

    With `rollover` what is left of packages at a cycle's end stays, at most `rollover_max_credits` of it; without, it
    ends with the cycle.
    """

    name: str
    price_minor: int
    currency: str
    credits: int
    rollover: bool = True
    rollover_max_credits: int | None = None

    @property
    def package_millicredits(self) -> int:
        return self.credits * MILLICREDITS

    @property
    def rollover_max_millicredits(self) -> int | None:
        return None if self.rollover_max_credits is None else self.rollover_max_credits * MILLICREDITS

    def is_above(self, other: "Plan") -> bool:
        """Whether changing from the other plan to this one is an upgrade: its package is larger."""
        return self.credits > other.credits


@dataclass(frozen=True, slots=True)
class Plans:
    """The plans on offer, in the file's order. The one with the largest package is the top plan."""

    plans: tuple[Plan, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(plan.name for plan in self.plans)

    def get(self, name: str) -> Plan | None:
        """Return the plan of that name, whatever its case; None if it is not on offer (any more)."""
        wanted = name.strip().casefold()
        return next((plan for plan in self.plans if plan.name.casefold() == wanted), None)

    def find(self, name: str) -> Plan:
        """Return the plan of that name, whatever its case. Raises PlansError, which lists the plans."""
        plan = self.get(name)
        if plan is None:
            raise PlansError([f'"{name}" is not a plan; there are: {", ".join(self.names) or "none"}'])
        return plan

    def is_top(self, plan: Plan) -> bool:
        """Whether no plan on offer is above this one."""
        return not any(other.is_above(plan) for other in self.plans)


def load_plans(path: Path | None = None) -> Plans:
    """Return the plans of a file, or the shipped examples. Raises PlansError with every problem."""
    file = path or SHIPPED
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise PlansError([f"{file.name}: cannot be read: {error.strerror}"]) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlansError([f"{file.name}: {error}"]) from None
    return parse_plans(document)


def parse_plans(document: Mapping[str, object]) -> Plans:
    """Return the plans of a parsed file. Raises PlansError with every problem."""
    problems = [f'"{key}" is not known; write [[plan]] tables' for key in document if key != "plan"]
    tables = document.get("plan", [])
    if not isinstance(tables, Sequence) or not all(isinstance(table, Mapping) for table in tables):
        raise PlansError([*problems, "plan: must be written as [[plan]] tables"])
    for position, table in enumerate(tables, start=1):
        problems.extend(f"plan {position}: {problem}" for problem in _problems(table))
    if problems:
        raise PlansError(problems)
    plans = tuple(_plan(table) for table in tables)
    names = [plan.name.casefold() for plan in plans]
    double = [plan.name for position, plan in enumerate(plans) if plan.name.casefold() in names[:position]]
    if double:
        raise PlansError([f'"{name}" is there twice' for name in double])
    return Plans(plans)


def as_terms(plan: Plan) -> dict[str, object]:
    """Return a plan as plain values, to be kept with what was agreed."""
    return {key: value for key, value in asdict(plan).items() if value is not None}


def plan_of_terms(terms: Mapping[str, object]) -> Plan:
    """Return the plan that `as_terms` was given."""
    return _plan(terms)


def _plan(table: Mapping[str, object]) -> Plan:
    return Plan(**{**table, "name": str(table["name"]).strip()})  # type: ignore[arg-type]  # _problems found none


def _problems(table: Mapping[str, object]) -> list[str]:
    found = [f'"{key}" is not known; there are {", ".join(_KEYS)}' for key in table if key not in _KEYS]
    name, currency = table.get("name"), table.get("currency")
    if not isinstance(name, str) or not name.strip():
        found.append("name: must be a text")
    if not isinstance(currency, str) or not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        found.append('currency: must be three capital letters, such as "EUR"')
    if not _is_whole(table.get("price_minor"), smallest=0, largest=PRICE_MINOR_MAX):
        found.append("price_minor: must be a whole number in the currency's smallest unit, such as 4900 for 49.00")
    if not _is_whole(table.get("credits"), smallest=1, largest=CREDITS_MAX):
        found.append(f"credits: must be a whole number from 1 to {CREDITS_MAX}")
    return found + _rollover_problems(table)


def _rollover_problems(table: Mapping[str, object]) -> list[str]:
    found = []
    rollover, most = table.get("rollover", True), table.get("rollover_max_credits")
    if not isinstance(rollover, bool):
        found.append("rollover: must be true or false")
    if most is not None and not _is_whole(most, smallest=1, largest=CREDITS_MAX):
        found.append(f"rollover_max_credits: must be a whole number from 1 to {CREDITS_MAX}")
    if most is not None and rollover is False:
        found.append("rollover_max_credits: means nothing with rollover = false; leave one of them out")
    return found


def _is_whole(value: object, *, smallest: int, largest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and smallest <= value <= largest
