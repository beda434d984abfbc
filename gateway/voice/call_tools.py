"""The agent's own tools in a call: as in a turn, but that the engine asks for them one by one, at any time.

Each answer of the engine has a turn's id of its own, made of the call's and the answer's: whoever goes on with the call
after a reconnection finds what was written under it, and does not write it again.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Final
from uuid import UUID, uuid5

import asyncpg
import structlog

from agents.model import ToolCall, ToolDefinition
from agents.recorded import RecordedCall
from agents.retry import ModelPolicy
from agents.tool_calls import list_recorded
from agents.toolbox import CALLS_PER_ROUND_MAX, UNKNOWN_OUTCOME, Toolbox
from agents.tools import handover
from agents.tools.base import Tool, ToolContext
from agents.tools.phone import phone_tools
from agents.tools.registry import tools_for
from gateway.errors import StaleLeaseError, TurnmeterError
from gateway.services import Services
from gateway.voice.call import Call
from gateway.voice.engines.base import ToolAsked
from gateway.voice.taken_messages import TakeMessage
from metering.connection import Connection

NOT_NOW: Final = "Error: this does not work at the moment"
TOO_MANY: Final = f"Error: not run, for only {CALLS_PER_ROUND_MAX} calls are run in one answer"
KEPT: Final = 7  # toolboxes of earlier answers: a tool may still be at work in one
# Only a tool's limits are taken from it: the engine asks the model, and answers for its rounds.
_POLICY: Final = ModelPolicy(model="", fallback_model=None, max_output_tokens=0)

log = structlog.get_logger(__name__)


class CallTools:
    """One call's tools. `call` is the one that its stream pumps, with the stream's epoch."""

    def __init__(self, services: Services, call: Call) -> None:
        self._services = services
        self._call = call
        self._tools = tools_in(call)
        self._writing = {tool.definition.name for tool in self._tools if tool.writes}
        self._toolboxes: dict[str, Toolbox] = {}
        self._opening = asyncio.Lock()
        self._one_writes = asyncio.Lock()  # a toolbox numbers what it records
        self._answers: dict[str, asyncio.Future[str]] = {}
        self._asked_in: Counter[str] = Counter()

    @property
    def definitions(self) -> tuple[ToolDefinition, ...]:
        """Return what the engine may ask for; `end_call` and `transfer_call` are for the session itself to do."""
        phone = [each for each in phone_tools(self._call.configuration) if each.name not in self._writing]
        return (*(tool.definition for tool in self._tools), *phone)

    async def run(self, asked: ToolAsked) -> str:
        """Return what the engine is told about a tool that it asked for; asked again by the same id, the same.

        Never raises, but for a cancellation: what was committed until then is done.
        """
        known = self._answers.get(asked.tool_call_id)
        if known is not None:
            return await asyncio.shield(known)
        answer = self._answers[asked.tool_call_id] = asyncio.get_running_loop().create_future()
        told = UNKNOWN_OUTCOME  # for whoever else waits if this is cancelled
        try:
            told = await self._run(asked)
        finally:
            answer.set_result(told)
        return told

    async def _run(self, asked: ToolAsked) -> str:
        self._asked_in[asked.response_id] += 1
        if self._asked_in[asked.response_id] > CALLS_PER_ROUND_MAX:
            return TOO_MANY
        writes = asked.name in self._writing
        wanted = ToolCall(call_id=asked.tool_call_id, name=asked.name, arguments=asked.arguments)
        try:
            toolbox = await self._toolbox(asked.response_id)
            async with self._one_writes if writes else contextlib.nullcontext():
                [told] = await toolbox.run([wanted], left_s=_POLICY.tool_timeout_s)
        except StaleLeaseError:  # another stream has the call, or two contacts became one
            return NOT_NOW
        except (TurnmeterError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            log.warning(
                "call_tool_failed", call_id=str(self._call.call_id), tool=asked.name, error=type(error).__name__
            )
            return UNKNOWN_OUTCOME if writes else NOT_NOW
        return told

    async def _toolbox(self, response_id: str) -> Toolbox:
        """Return the toolbox of one answer of the engine, with what was written under it before."""
        async with self._opening:
            toolbox = self._toolboxes.get(response_id)
            if toolbox is None:
                turn_id = uuid5(self._call.call_id, response_id)
                context, recorded = await tool_context(self._services, self._call, turn_id)
                toolbox = Toolbox(self._tools, context, _POLICY, recorded)
                self._toolboxes = {response_id: toolbox} | dict(list(self._toolboxes.items())[:KEPT])
            return toolbox


def tools_in(call: Call) -> tuple[Tool, ...]:
    """Return the agent's own tools as a call has them: instead of handing over it puts through, or takes a message."""
    own = [tool for tool in tools_for(call.configuration) if tool.definition.name != handover.NAME]
    return (*own, TakeMessage(call.call_id))


async def tool_context(
    services: Services, call: Call, turn_id: UUID, *, on_write: Callable[[], None] | None = None
) -> tuple[ToolContext, tuple[RecordedCall, ...]]:
    """Return for whom tools run in one answer of a call, and what was recorded under it. Raises StaleLeaseError."""
    async with services.db.transaction(call.tenant_id) as connection:
        contact_id = await _share_call(connection, call)
        recorded = await list_recorded(connection, call.tenant_id, turn_id)

    @contextlib.asynccontextmanager
    async def transaction() -> AsyncIterator[Connection]:
        async with services.db.transaction(call.tenant_id) as connection:
            if await _share_call(connection, call) != contact_id:
                raise StaleLeaseError  # what is written now would be nobody's
            yield connection

    context = ToolContext(
        tenant_id=call.tenant_id,
        agent_id=call.account.agent_id,
        contact_id=contact_id,
        conversation_id=call.account.conversation_id,
        turn_id=turn_id,
        attempt=1,
        language=call.configuration.language,
        timezone=call.configuration.zone,
        now=services.now,
        new_id=services.new_id,
        transaction=transaction,
        on_write=_nothing if on_write is None else on_write,
    )
    return context, recorded


def _nothing() -> None:
    """Do nothing: a speech model has no draft that could be dropped."""


async def _share_call(connection: Connection, call: Call) -> UUID:
    """Keep the call this stream's until the transaction ends; return whose it is by now. Raises StaleLeaseError."""
    row = await connection.fetchrow(
        """SELECT call.lease_epoch, conversation.contact_id
           FROM call JOIN conversation USING (tenant_id, conversation_id)
           WHERE tenant_id = $1 AND call_id = $2 FOR SHARE""",
        call.tenant_id,
        call.call_id,
    )
    if row is None or row["lease_epoch"] != call.account.epoch:
        raise StaleLeaseError
    contact_id: UUID = row["contact_id"]
    return contact_id
