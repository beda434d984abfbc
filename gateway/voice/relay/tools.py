"""What the agent does with a call by text besides talking (pure): end it, or have it put through, after its words."""

from collections.abc import Mapping
from typing import Final

from agents.agent import AgentConfiguration
from agents.connection import Connection
from agents.model import ToolDefinition
from agents.tools.base import ToolContext
from agents.tools.phone import END_CALL, TRANSFER, phone_tools
from gateway.voice.relay.signals import Ending

ENDS: Final = "The call ends once your next words have been heard. Now say goodbye in one short sentence."
PUTS_THROUGH: Final = (
    "The caller is put through once your next words have been heard. Now say so in one short sentence."
)


class CallTool:
    """One of them: it only notes what is to happen, whoever runs the call does it."""

    writes = False
    uses_database = False

    def __init__(self, definition: ToolDefinition, ending: Ending, told: str, noted: list[Ending]) -> None:
        self.definition = definition
        self._ending = ending
        self._told = told
        self._noted = noted

    async def call(self, context: ToolContext, arguments: Mapping[str, object], connection: Connection | None) -> str:
        del context, arguments, connection
        self._noted.append(self._ending)
        return self._told


def ending_tools(configuration: AgentConfiguration, noted: list[Ending]) -> tuple[CallTool, ...]:
    """Return the tools that end an answer's call; which of them were used is put into `noted`."""
    offered = {definition.name for definition in phone_tools(configuration)}
    tools = (
        CallTool(TRANSFER, "transfer_call", PUTS_THROUGH, noted),
        CallTool(END_CALL, "end_call", ENDS, noted),
    )
    return tuple(tool for tool in tools if tool.definition.name in offered)
