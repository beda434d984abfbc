"""When the business is open, on a day and in the days after it, holidays and closed days included."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final

from agents.agent import AgentConfiguration
from agents.connection import Connection
from agents.local_time import say_day, say_moment
from agents.model import ToolDefinition
from agents.opening import blocks_on, closed_because, is_open, local_day, next_opening
from agents.texts import Language
from agents.tools.arguments import Day, ToolArguments, read
from agents.tools.base import ToolContext

DAYS_TOLD: Final = 7

_WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "de": {"now_open": "Jetzt geöffnet.", "now_closed": "Jetzt geschlossen.", "next": "Öffnet wieder:", "closed": "zu"},
    "en": {"now_open": "Open now.", "now_closed": "Closed now.", "next": "Opens again:", "closed": "closed"},
}


class _Arguments(ToolArguments):
    """The first day that is told."""

    day: Day | None = None


class OpeningHours:
    """Reads the agent's own configuration; nothing can be changed by it."""

    writes = False
    uses_database = False
    definition = ToolDefinition(
        name="opening_hours",
        description="Opening hours of a day and the six after it, with public holidays, and whether it is open now.",
        parameters={
            "type": "object",
            "properties": {"day": {"type": "string", "description": "First day as YYYY-MM-DD; today if left out."}},
            "additionalProperties": False,
        },
    )

    def __init__(self, configuration: AgentConfiguration) -> None:
        self._configuration = configuration

    async def call(self, context: ToolContext, arguments: Mapping[str, object], connection: Connection | None) -> str:
        del connection
        now = context.now()
        first = read(_Arguments, arguments).day or local_day(self._configuration, now)
        days = [first + timedelta(days=ahead) for ahead in range(DAYS_TOLD)]
        return "\n".join([*self._told_now(now), *(self._told_day(day) for day in days)])

    def _told_now(self, now: datetime) -> list[str]:
        configuration, words = self._configuration, _WORDS[self._configuration.language]
        if is_open(configuration, now):
            return [words["now_open"]]
        opens = next_opening(configuration, now)
        told = f" {words['next']} {say_moment(opens, configuration.zone, configuration.language)}" if opens else ""
        return [words["now_closed"] + told]

    def _told_day(self, day: date) -> str:
        configuration, words = self._configuration, _WORDS[self._configuration.language]
        blocks = ", ".join(block.text for block in blocks_on(configuration, day))
        reason = closed_because(configuration, day)
        return f"{say_day(day, configuration.language)}: {blocks or words['closed']}" + (
            f" ({reason})" if reason else ""
        )
