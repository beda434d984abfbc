"""Passing the conversation to a person. The tool only asks for it: whoever runs the turn changes who answers."""

from collections.abc import Mapping
from typing import Final

from agents.connection import Connection
from agents.model import ToolDefinition
from agents.tools.base import ToolContext

NAME: Final = "handover"


class Handover:
    """Offered to the model; its reason is for the owner, never for the customer."""

    writes = False
    uses_database = False
    definition = ToolDefinition(
        name=NAME,
        description=(
            "Pass this conversation to a person of the business. Use it when the customer asks for a person, "
            "complains, or needs something that you cannot do. The customer is told by a fixed text."
        ),
        parameters={
            "type": "object",
            "properties": {"reason": {"type": "string", "description": "Why, in a few words, for the business."}},
            "required": ["reason"],
            "additionalProperties": False,
        },
    )

    async def call(self, context: ToolContext, arguments: Mapping[str, object], connection: Connection | None) -> str:
        del context, arguments, connection
        return "A person will go on from here."
