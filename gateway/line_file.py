"""A lines-and-agents file as its owner writes it (pure): what it says, or everything that is wrong with it."""

import re
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator

from agents.agent import AgentConfiguration, parse_agents
from agents.errors import ConfigurationError
from agents.parts import Channel, Part
from agents.problems import problems_of
from gateway.line_kinds import NO_SMS_ON_LOCAL, ORDER_INSTEAD, LineKind, read_kind

CHANNELS: tuple[Channel, ...] = ("whatsapp", "sms", "voice")
_TABLES = ("agent", "line")
_T = TypeVar("_T")
_PROVIDER_ID = re.compile(r"[0-9]{1,64}")
_HEADING = re.compile(r"\s*\[\[\s*line\s*\]\]")


def normalised_number(text: str) -> str:
    """Return a number as E.164. Raises ValueError, in whose words the number does not occur."""
    import phonenumbers  # noqa: PLC0415 - 60 ms that only `apply` has to spend

    international = "+" + text.strip()[2:] if text.strip().startswith("00") else text
    try:
        number = phonenumbers.parse(international, None)
    except phonenumbers.NumberParseException:
        raise ValueError('must be a number with its country code, like "+49 151 23456789"') from None
    if not phonenumbers.is_possible_number(number):
        raise ValueError("is not a possible number: it has too few or too many digits for its country")
    if phonenumbers.number_type(number) in _special_types():
        raise ValueError(f"is a toll-free or special-rate number; {ORDER_INSTEAD}")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _special_types() -> Collection[int]:
    """Return the types of numbers that are for sure neither local nor mobile."""
    from phonenumbers import PhoneNumberType as Type  # noqa: PLC0415 - see above

    return (Type.TOLL_FREE, Type.PREMIUM_RATE, Type.SHARED_COST, Type.UAN, Type.PAGER, Type.VOICEMAIL)


def _in_order(channels: tuple[Channel, ...]) -> tuple[Channel, ...]:
    if not channels:
        raise ValueError(f"must name at least one of {', '.join(CHANNELS)}")
    return tuple(channel for channel in CHANNELS if channel in channels)


def _provider_id(text: str) -> str:
    if not _PROVIDER_ID.fullmatch(text):
        raise ValueError("must be the id that Meta shows, only digits")
    return text


class LineTable(Part):
    """One `[[line]]`: a number, its kind, who answers it and on which channels.

    `whatsapp_access_token` None leaves a stored token as it is; an empty one removes it.
    """

    number: Annotated[str, AfterValidator(normalised_number)]
    kind: Annotated[LineKind, BeforeValidator(read_kind)]
    agent: str = Field(min_length=1, max_length=80)
    channels: Annotated[tuple[Channel, ...], AfterValidator(_in_order)]
    whatsapp_provider: Literal["meta", "twilio"] | None = None
    whatsapp_phone_number_id: Annotated[str, AfterValidator(_provider_id)] | None = None
    whatsapp_access_token: SecretStr | None = Field(default=None, max_length=2000, repr=False)

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        problems = _whatsapp_problems(self) if "whatsapp" in self.channels else _leftovers(self)
        if self.kind == "local" and "sms" in self.channels:
            problems.append(f"channels: {NO_SMS_ON_LOCAL}")
        if problems:
            raise ValueError("\n".join(problems))
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantFile:
    """The agents and lines of a file, in its order."""

    agents: tuple[AgentConfiguration, ...]
    lines: tuple[LineTable, ...]


def parse_tenant_file(text: str, known_agents: Collection[str]) -> TenantFile:
    """Return what a file says. `known_agents` are those already there, whom a line may name too.

    Raises ConfigurationError with every problem of every table.
    """
    try:
        document = tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([f"not readable as TOML: {error}"]) from None
    problems = [f'"{key}" is not known here; write [[agent]] and [[line]] tables' for key in _others(document)]
    agents = _collect(lambda: parse_agents(document), problems)
    lines = _collect(lambda: _parse_lines(document, text, _names(document, known_agents)), problems)
    problems += _calling_themselves(agents, lines)
    if problems:
        raise ConfigurationError(problems)
    return TenantFile(agents=agents, lines=lines)


def _others(document: Mapping[str, object]) -> list[str]:
    return [key for key in document if key not in _TABLES]


def _calling_themselves(agents: Sequence[AgentConfiguration], lines: Sequence[LineTable]) -> list[str]:
    """Name agents that forward calls to a line which an agent answers: callers would go round in a circle."""
    answered = {line.number for line in lines if "voice" in line.channels}
    return [
        f'agent "{agent.name}": voice, transfer_to: is one of the lines here, which an agent answers; write a person\'s'
        for agent in agents
        if agent.voice.transfer_to in answered
    ]


def _collect(parse: Callable[[], tuple[_T, ...]], problems: list[str]) -> tuple[_T, ...]:
    try:
        return parse()
    except ConfigurationError as error:
        problems.extend(error.problems)
        return ()


def _names(document: Mapping[str, object], known_agents: Collection[str]) -> set[str]:
    """Return the names that a line may give; an agent with other problems still has its name."""
    tables = document.get("agent")
    written = [table.get("name") for table in tables if isinstance(table, Mapping)] if isinstance(tables, list) else []
    return {*known_agents, *(name.strip() for name in written if isinstance(name, str))}


def _parse_lines(document: Mapping[str, object], text: str, agent_names: Collection[str]) -> tuple[LineTable, ...]:
    tables = document.get("line", [])
    if not isinstance(tables, Sequence) or not all(isinstance(table, Mapping) for table in tables):
        raise ConfigurationError(["line: must be written as [[line]] tables"])
    places = _places(text, len(tables))
    lines: list[LineTable] = []
    problems: list[str] = []
    for place, table in zip(places, tables, strict=True):
        try:
            line = LineTable.model_validate(table)
        except ValidationError as error:
            found = [part for problem in problems_of(error, LineTable) for part in problem.splitlines()]
        else:
            lines.append(line)
            found = _unknown_agent(line, agent_names)
        problems.extend(f"{place}: {problem}" for problem in found)
    if problems:
        raise ConfigurationError(problems)
    _refuse_doubles(lines, places)
    return tuple(lines)


def _places(text: str, count: int) -> list[str]:
    """Name each table by its position, and by its row where the headings can be told for sure."""
    rows = [row for row, line in enumerate(text.splitlines(), start=1) if _HEADING.match(line)]
    if len(rows) != count:  # a heading inside a text, or tables written in another form
        return [f"line {position}" for position in range(1, count + 1)]
    return [f"line {position} (row {row} of the file)" for position, row in enumerate(rows, start=1)]


def _unknown_agent(line: LineTable, agent_names: Collection[str]) -> list[str]:
    if line.agent in agent_names:
        return []
    names = ", ".join(f'"{name}"' for name in sorted(agent_names)) or "none"
    return [f'agent: there is no published agent "{line.agent}"; there are: {names}']


def _whatsapp_problems(line: LineTable) -> list[str]:
    if line.whatsapp_provider is None:
        return ['whatsapp_provider: is missing; write "meta" or "twilio"']
    if line.whatsapp_provider == "meta" and line.whatsapp_phone_number_id is None:
        return ["whatsapp_phone_number_id: is missing; Meta shows it beside the number, in WhatsApp > API setup"]
    return []


def _leftovers(line: LineTable) -> list[str]:
    given = [name for name in type(line).model_fields if name.startswith("whatsapp_") and getattr(line, name)]
    return [f'{name}: is there, but "whatsapp" is not among the channels' for name in given]


def _refuse_doubles(lines: Sequence[LineTable], places: Sequence[str]) -> None:
    problems = []
    for what in ("number", "whatsapp_phone_number_id"):
        values = [getattr(line, what) for line in lines]
        problems += [
            f"{places[position]}: {what}: is the same as that of {places[values.index(value)]}"
            for position, value in enumerate(values)
            if value is not None and value in values[:position]
        ]
    if problems:
        raise ConfigurationError(problems)
