"""Which tools an agent has, by the names in its configuration."""

from agents.agent import AgentConfiguration, ToolName
from agents.tools.appointments.tool import appointment_tools
from agents.tools.base import Tool
from agents.tools.handover import Handover
from agents.tools.opening_hours import OpeningHours


def tools_for(configuration: AgentConfiguration) -> tuple[Tool, ...]:
    """Return an agent's tools in the order of its configuration."""
    return tuple(tool for name in configuration.tools for tool in _named(name, configuration))


def _named(name: ToolName, configuration: AgentConfiguration) -> tuple[Tool, ...]:
    match name:
        case "appointments":
            return appointment_tools(configuration)
        case "opening_hours":
            return (OpeningHours(configuration),)
        case "handover":
            return (Handover(),)
