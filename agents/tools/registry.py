"""Which tools an agent has, by the names in its configuration."""

from agents.agent import AgentConfiguration
from agents.tools.base import Tool
from agents.tools.handover import Handover
from agents.tools.opening_hours import OpeningHours


def tools_for(configuration: AgentConfiguration) -> tuple[Tool, ...]:
    """Return an agent's tools in the order of its configuration."""
    return tuple(tool for name in configuration.tools for tool in _named(name, configuration))


def _named(name: str, configuration: AgentConfiguration) -> tuple[Tool, ...]:
    if name == "opening_hours":
        return (OpeningHours(configuration),)
    if name == "handover":
        return (Handover(),)
    return ()
