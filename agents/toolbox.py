"""What tools answer to the calls of one turn: each checked, run once within its limits, recorded if it writes.

Tools that read run side by side; those that write run one after the other, each in one transaction with its
record. The same call asked again gets the earlier result. Whatever goes wrong in a tool is told to the model.
"""

import asyncio
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import structlog

from agents.arguments import parse_arguments
from agents.connection import Connection
from agents.errors import ToolFailedError
from agents.model import ToolCall, ToolDefinition
from agents.recorded import CallKey, RecordedCall, call_key
from agents.retry import ModelPolicy
from agents.safe_text import safe_text, shorten
from agents.tool_calls import record_result
from agents.tools.base import Tool, ToolContext

log = structlog.get_logger(__name__)

CALLS_PER_ROUND_MAX = 8
TOOL_S_MIN = 1.0
HANDOVER = "handover"
UNKNOWN_OUTCOME = (
    "It is unknown whether this happened. Do not repeat it; tell the customer that a person will confirm it."
)
_CUT = " [… cut]"


@dataclass(frozen=True, slots=True)
class _Planned:
    """A call whose tool exists and whose arguments are an object."""

    tool: Tool
    arguments: Mapping[str, object]
    key: CallKey

    @property
    def name(self) -> str:
        return self.tool.definition.name


@dataclass(frozen=True, slots=True)
class _Told:
    """What the model is told about a call that ran."""

    text: str
    failed: bool = False


class Toolbox:
    """One turn's tools and what they have done, in earlier attempts too."""

    def __init__(
        self, tools: Sequence[Tool], context: ToolContext, policy: ModelPolicy, recorded: Sequence[RecordedCall]
    ) -> None:
        self._tools = {tool.definition.name: tool for tool in tools}
        self._context = context
        self._policy = policy
        self._read: dict[CallKey, str] = {}
        self._written = {call.key: told_of(call) for call in recorded}
        self._next_position = max((call.position for call in recorded), default=-1) + 1
        self._names = [call.name for call in recorded if call.state != "intended"]
        self.wrote = any(call.writes and call.state != "failed" for call in recorded)
        self.handed_over = _handed_over(recorded)

    @property
    def definitions(self) -> tuple[ToolDefinition, ...]:
        return tuple(tool.definition for tool in self._tools.values())

    @property
    def tool_names(self) -> tuple[str, ...]:
        """Each call that ran, in the order in which the model asked."""
        return tuple(self._names)

    async def run(self, calls: Sequence[ToolCall], *, left_s: float) -> list[str]:
        """Return what the model is told about each of its calls, in their order.

        Raises what `ToolContext.transaction` raises: the turn has ended then.
        """
        plans = [self._plan(call, position) for position, call in enumerate(calls)]
        fresh = {plan.key: plan for plan in plans if isinstance(plan, _Planned) and not self._knows(plan.key)}
        told = await self._run_all(fresh.values(), min(self._policy.tool_timeout_s, max(left_s, TOOL_S_MIN)))
        known = self._read | self._written | {key: found.text for key, found in told.items()}
        self._remember(fresh, told)
        return [plan if isinstance(plan, str) else known[plan.key] for plan in plans]

    def _plan(self, call: ToolCall, position: int) -> _Planned | str:
        """Return what is to be run, or what is wrong with the call."""
        tool = self._tools.get(call.name)
        if tool is None:
            return _failed(f"there is no such tool; there are: {', '.join(self._tools) or 'none'}")
        if position >= CALLS_PER_ROUND_MAX:
            return _failed(f"not run, for only {CALLS_PER_ROUND_MAX} calls are run at once")
        try:
            arguments = parse_arguments(call.arguments)
        except ToolFailedError as error:
            return _failed(str(error))
        return _Planned(tool, arguments, call_key(call.name, arguments))

    def _knows(self, key: CallKey) -> bool:
        return key in self._read or key in self._written

    def _remember(self, fresh: Mapping[CallKey, _Planned], told: Mapping[CallKey, _Told]) -> None:
        """Keep what calls brought. A write is never tried twice; what was read before one may be true no longer."""
        writes = {key for key, plan in fresh.items() if plan.tool.writes}
        self._written |= {key: told[key].text for key in writes}
        if writes:
            self._read.clear()
        else:
            self._read |= {key: found.text for key, found in told.items() if not found.failed}

    async def _run_all(self, plans: Iterable[_Planned], timeout_s: float) -> dict[CallKey, _Told]:
        plans = list(plans)
        reads = [plan for plan in plans if not plan.tool.writes]
        self._names.extend(plan.name for plan in plans)
        try:
            async with asyncio.TaskGroup() as group:
                writing = group.create_task(self._write_all([plan for plan in plans if plan.tool.writes], timeout_s))
                reading = [group.create_task(self._look_up(plan, timeout_s)) for plan in reads]
        except BaseExceptionGroup as group_error:
            raise group_error.exceptions[0] from None
        return writing.result() | {plan.key: task.result() for plan, task in zip(reads, reading, strict=True)}

    async def _write_all(self, plans: Sequence[_Planned], timeout_s: float) -> dict[CallKey, _Told]:
        return {plan.key: await self._write(plan, timeout_s) for plan in plans}

    async def _write(self, plan: _Planned, timeout_s: float) -> _Told:
        """Run a writing tool and record its result in the same transaction; a failure rolls both back."""
        self._context.on_write()
        limit = asyncio.timeout(timeout_s)
        try:
            async with limit, self._context.transaction() as connection:
                text = await self._call(plan, connection, limit)
                await self._record(plan, connection, text)
        except ToolFailedError as error:
            return _Told(self._short(_failed(str(error))), failed=True)
        except TimeoutError:
            if not limit.expired():
                raise
            return _Told(_failed("this took too long and was given up; nothing has changed"), failed=True)
        self.wrote = True
        return _Told(text)

    async def _look_up(self, plan: _Planned, timeout_s: float) -> _Told:
        """Run a tool that changes nothing."""
        limit = asyncio.timeout(timeout_s)
        try:
            async with limit:
                if not plan.tool.uses_database:
                    return _Told(await self._call(plan, None, limit))
                async with self._context.transaction() as connection:
                    return _Told(await self._call(plan, connection, limit))
        except ToolFailedError as error:
            return _Told(self._short(_failed(str(error))), failed=True)
        except TimeoutError:
            if not limit.expired():
                raise
            return _Told(_failed("this took too long"), failed=True)

    async def _call(self, plan: _Planned, connection: Connection | None, limit: asyncio.Timeout) -> str:
        """Return a tool's result within its size and lift the limit: a commit cut short may have happened or not.

        Raises ToolFailedError, whatever went wrong in the tool.
        """
        try:
            text = await plan.tool.call(self._context, plan.arguments, connection)
        except ToolFailedError:
            raise
        except Exception as error:  # noqa: BLE001 - a tool's outermost edge: the turn goes on without it
            place = traceback.extract_tb(error.__traceback__)[-1]
            log.error(  # noqa: TRY400 - the exception's text may quote the customer
                "tool_broke",
                turn_id=str(self._context.turn_id),
                tool=plan.name,
                error=type(error).__name__,
                where=f"{PurePath(place.filename).name}:{place.lineno}",
            )
            raise ToolFailedError("this does not work at the moment") from None
        if limit.expired():  # and the tool took no notice
            raise ToolFailedError("this took too long")
        limit.reschedule(None)
        if plan.name == HANDOVER:
            self.handed_over = _reason(plan.arguments)
        return self._short(text)

    async def _record(self, plan: _Planned, connection: Connection, text: str) -> None:
        await record_result(
            connection,
            self._context.tenant_id,
            self._context.turn_id,
            position=self._next_position,
            attempt=self._context.attempt,
            name=plan.name,
            arguments=plan.arguments,
            writes=True,
            result=text,
            now=self._context.now(),
        )
        self._next_position += 1

    def _short(self, text: str) -> str:
        return shorten(safe_text(text), max_bytes=self._policy.tool_result_bytes, mark=_CUT)


def told_of(call: RecordedCall) -> str:
    """Return what the model is told about a call of an earlier attempt."""
    return UNKNOWN_OUTCOME if call.result is None else call.result


def _failed(reason: str) -> str:
    return f"Error: {reason}"


def _handed_over(recorded: Sequence[RecordedCall]) -> str | None:
    done = (call for call in recorded if call.name == HANDOVER and call.state == "done")
    return next((_reason(call.arguments) for call in done), None)


def _reason(arguments: Mapping[str, object]) -> str:
    """Return why the conversation is handed over, in the model's words."""
    reason = arguments.get("reason")
    return reason.strip()[:500] if isinstance(reason, str) else ""
