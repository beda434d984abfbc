"""An agent's configuration: who it is, what it does, what it never does.

Read from the `[[agent]]` tables of a lines-and-agents file and written back to them. Immutable: what a
conversation began with stays as it was. Texts that the owner did not word have a default per language.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError, model_validator

from agents.disclosure import names_a_machine
from agents.errors import ConfigurationError
from agents.holidays import STATES
from agents.parts import (
    Booking,
    Budgets,
    Channel,
    ChannelOverride,
    ClosedDays,
    Hours,
    Part,
    Service,
    SmsStyle,
    VoiceStyle,
)
from agents.problems import problems_of
from agents.safe_text import safe_texts
from agents.texts import (
    DEFAULT_FILLERS,
    DEFAULT_HANDOVER_KEYWORDS,
    DEFAULT_TEXTS,
    VOICE_TEXTS,
    Language,
    language_of,
)

ToolName = Literal["appointments", "opening_hours", "handover"]
ShortText = Annotated[str, Field(min_length=1, max_length=500)]
Notice = Annotated[str, Field(max_length=1000)]
Keyword = Annotated[str, Field(min_length=1, max_length=40)]


class AgentConfiguration(Part):
    """One version of an agent. Tokens are counted per answer, budgets in credits per day."""

    name: str = Field(min_length=1, max_length=80)
    instructions: str = Field(min_length=1, max_length=12_000)
    facts: str = Field(default="", max_length=20_000)
    never: tuple[ShortText, ...] = Field(default=(), max_length=50)
    greeting: str = Field(default="", max_length=500)
    language: Language = "de"
    timezone: str = "Europe/Berlin"
    model: str = Field(default="standard", min_length=1, max_length=80)
    tools: tuple[ToolName, ...] = ("opening_hours", "handover")
    hours: Hours = Hours()
    closed_days: tuple[ClosedDays, ...] = Field(default=(), max_length=200)
    holidays: str | None = None
    services: tuple[Service, ...] = Field(default=(), alias="service", max_length=100)
    booking: Booking = Booking()
    after_hours: Literal["always", "during", "outside"] = "always"
    disclosure: ShortText
    away_text: Notice
    apology_text: Notice
    handover_text: Notice
    handover_keywords: tuple[Keyword, ...] = Field(max_length=30)
    answer_max_tokens: int = Field(default=800, ge=50, le=4000, strict=True)
    budgets: Budgets = Budgets()
    sms: SmsStyle = SmsStyle()
    voice: VoiceStyle = VoiceStyle()
    channels: Mapping[Channel, ChannelOverride] = Field(default={}, alias="channel")

    @model_validator(mode="before")
    @classmethod
    def _fill_in_texts(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        language = language_of(str(value.get("language") or "de"))
        given = {key: inner for key, inner in value.items() if inner is not None}
        return {**_default_texts(language), **given, "voice": _with_voice_texts(given.get("voice", {}), language)}

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        problems = [*_unknown_words(self), *_doubles(self), *_missing_for_tools(self)]
        if not names_a_machine(self.disclosure):
            problems.append(
                'disclosure: must say that a machine is talking ("KI", "künstliche Intelligenz", '
                '"digitale Assistentin", "AI", "virtual assistant"); it can be reworded, not removed'
            )
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def on_channel(self, channel: str) -> "AgentConfiguration":
        """Return the configuration as it is on one channel, its overrides applied."""
        override = next((found for name, found in self.channels.items() if name == channel), None)
        if override is None:
            return self
        given = {
            "greeting": override.greeting,
            "answer_max_tokens": override.answer_max_tokens,
            "away_text": override.away_text,
        }
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if override.instructions_extra:
            changes["instructions"] = f"{self.instructions}\n\n{override.instructions_extra}"
        budgets = {"contact": override.budget_contact, "channel": override.budget_channel}
        if any(value is not None for value in budgets.values()):
            changes["budgets"] = self.budgets.model_copy(
                update={name: value for name, value in budgets.items() if value is not None}
            )
        return self.model_copy(update=changes)

    def find_service(self, name: str) -> Service | None:
        """Return the service of that name, whatever its case and spaces."""
        wanted = " ".join(name.split()).casefold()
        return next((service for service in self.services if service.name.casefold() == wanted), None)


def parse_agent(table: Mapping[str, object]) -> AgentConfiguration:
    """Return the agent of one `[[agent]]` table. Raises ConfigurationError with every problem in it."""
    try:
        return AgentConfiguration.model_validate(safe_texts(table))
    except ValidationError as error:
        name = str(table.get("name") or "").strip()[:80] or "without a name"
        problems = [line for problem in problems_of(error, AgentConfiguration) for line in problem.splitlines()]
        raise ConfigurationError([f'agent "{name}": {problem}' for problem in problems]) from None


def parse_agents(document: Mapping[str, object]) -> tuple[AgentConfiguration, ...]:
    """Return all agents of a lines-and-agents file; its other tables are not looked at.

    Raises ConfigurationError with every problem of every agent.
    """
    tables = document.get("agent", [])
    if not isinstance(tables, Sequence) or not all(isinstance(table, Mapping) for table in tables):
        raise ConfigurationError(["agent: must be written as [[agent]] tables"])
    agents: list[AgentConfiguration] = []
    problems: list[str] = []
    for table in tables:
        try:
            agents.append(parse_agent(table))
        except ConfigurationError as error:
            problems.extend(error.problems)
    names = [agent.name for agent in agents]
    problems.extend(f'agent "{name}": is there twice' for name in sorted({n for n in names if names.count(n) > 1}))
    if problems:
        raise ConfigurationError(problems)
    return tuple(agents)


def dump_agent(configuration: AgentConfiguration) -> dict[str, object]:
    """Return the `[[agent]]` table of an agent, without what is as shipped; `parse_agent` reads it back."""
    table = configuration.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    voice = {**table.pop("voice", {}), "filler_texts": list(configuration.voice.filler_texts)}
    voice = _without(voice, _voice_texts(configuration.language))
    kept = _without(table, _default_texts(configuration.language))
    return {**kept, "voice": voice} if voice else kept


def _default_texts(language: Language) -> dict[str, object]:
    texts: dict[str, object] = {name: by_language[language] for name, by_language in DEFAULT_TEXTS.items()}
    return {**texts, "handover_keywords": DEFAULT_HANDOVER_KEYWORDS[language]}


def _voice_texts(language: Language) -> dict[str, object]:
    texts: dict[str, object] = {name: by_language[language] for name, by_language in VOICE_TEXTS.items()}
    return {**texts, "filler_texts": DEFAULT_FILLERS[language]}


def _with_voice_texts(table: object, language: Language) -> object:
    """Return how the agent is on the phone with what is said there: an empty text is ours, an empty list is silence."""
    if not isinstance(table, Mapping):
        return table
    return {**_voice_texts(language), **{name: value for name, value in table.items() if not _is_blank(value)}}


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _without(table: Mapping[str, object], shipped: Mapping[str, object]) -> dict[str, object]:
    """Return a table without the texts that are as shipped."""
    texts = {name: list(text) if isinstance(text, tuple) else text for name, text in shipped.items()}
    return {name: value for name, value in table.items() if texts.get(name) != value}


def _unknown_words(configuration: AgentConfiguration) -> list[str]:
    problems = []
    if not _is_timezone(configuration.timezone):
        problems.append(f'timezone: "{configuration.timezone}" is not known; write it like "Europe/Berlin"')
    if configuration.holidays is not None and configuration.holidays not in STATES:
        problems.append(f'holidays: "{configuration.holidays}" is not a German state; write one of {", ".join(STATES)}')
    return problems


def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # unknown; a path or NUL; a folder such as "Europe"
        return False
    return True


def _doubles(configuration: AgentConfiguration) -> list[str]:
    names = [service.name.casefold() for service in configuration.services]
    tools = sorted({tool for tool in configuration.tools if configuration.tools.count(tool) > 1})
    return [f'tools: "{tool}" is there twice' for tool in tools] + [
        f'service {position + 1}: "{service.name}" is there twice'
        for position, service in enumerate(configuration.services)
        if service.name.casefold() in names[:position]
    ]


def _missing_for_tools(configuration: AgentConfiguration) -> list[str]:
    if "appointments" not in configuration.tools:
        return []
    problems = []
    if not configuration.services:
        problems.append("tools: appointments need at least one [[agent.service]] with a name and minutes")
    if configuration.hours.never_open:
        problems.append("tools: appointments need opening hours in [agent.hours]")
    return problems
