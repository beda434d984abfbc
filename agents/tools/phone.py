"""What only an agent on the phone can do, as the model sees it (pure): end the call, put it through, take a message.

None of it is done here: whoever runs the call does.
"""

from typing import Final

from agents.agent import AgentConfiguration
from agents.model import ToolDefinition

END_CALL: Final = ToolDefinition(
    name="end_call",
    description=(
        "Hang up. Use it once the caller has said goodbye or wants nothing more, and after you have said goodbye in "
        "one short sentence yourself."
    ),
    parameters={
        "type": "object",
        "properties": {"reason": {"type": "string", "description": "Why, in a few words, for the business."}},
        "required": ["reason"],
        "additionalProperties": False,
    },
)
TRANSFER: Final = ToolDefinition(
    name="transfer_call",
    description=(
        "Put the caller through to a person of the business. Use it when the caller asks for a person, complains, or "
        "needs something that you cannot do, and after you have said in one short sentence that you do so."
    ),
    parameters={
        "type": "object",
        "properties": {"reason": {"type": "string", "description": "Why, in a few words, for the business."}},
        "required": ["reason"],
        "additionalProperties": False,
    },
)
TAKE_MESSAGE: Final = ToolDefinition(
    name="take_message",
    description=(
        "Take a message for the people of the business, who will read it after the call. Use it when the caller wants "
        "to be called back or leaves word, once you have repeated what you will write down."
    ),
    parameters={
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "Who called and what they want, in their own words."},
            "callback": {
                "type": "string",
                "description": "The number to call back, if it is not the one that they call from.",
            },
        },
        "required": ["text"],
        "additionalProperties": False,
    },
)
OF_THE_CALL: Final = frozenset({END_CALL.name, TRANSFER.name})  # end or move the call itself


def phone_tools(configuration: AgentConfiguration) -> tuple[ToolDefinition, ...]:
    """Return what an agent can do on the phone besides its own tools; it puts through only if there is a number."""
    transfer = () if configuration.voice.transfer_to is None else (TRANSFER,)
    return (*transfer, TAKE_MESSAGE, END_CALL)
