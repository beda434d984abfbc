"""What a responder works with, written for tests: a model that follows a script, tools, a clock that obeys."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from agents.connection import Connection
from agents.errors import ModelError, ModelRefusedError, ModelUnavailableError
from agents.model import ChatMessage, ChatModel, ChatReply, ChatRequest, ToolCall, ToolDefinition
from agents.prompt import Prompt
from agents.recorded import RecordedCall
from agents.responder import Answer, answer
from agents.retry import ModelPolicy
from agents.tool_calls import list_recorded
from agents.toolbox import Toolbox
from agents.tools.base import Tool, ToolContext, Transaction
from gateway.db import Database

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
TENANT, TURN, CONTACT = UUID(int=1), UUID(int=2), UUID(int=3)
POLICY = ModelPolicy(model="standard", fallback_model="small", max_output_tokens=800)


@dataclass
class Time:
    """Seconds that pass only when something sleeps or takes them."""

    at_s: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.at_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at_s += seconds


@dataclass(frozen=True)
class Takes:
    """A step of a script that takes its time."""

    seconds: float
    step: ChatReply | ModelError


Step = ChatReply | ModelError | Takes | Callable[[], Awaitable[ChatReply]]


class Scripted:
    """A chat model that answers step by step; the last step answers all that follow."""

    def __init__(self, *script: Step, time: Time | None = None) -> None:
        self._script = list(script)
        self._time = time or Time()
        self.requests: list[ChatRequest] = []
        self.timeouts_s: list[float] = []

    @property
    def models(self) -> list[str]:
        return [request.model for request in self.requests]

    @property
    def told(self) -> list[str]:
        """The tool results in the last request."""
        return [message.text for message in self.requests[-1].messages if message.role == "tool"]

    async def complete(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:
        self.requests.append(replace(request, messages=tuple(request.messages)))  # the list grows from round to round
        self.timeouts_s.append(timeout_s)
        step = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(step, Takes):
            self._time.at_s += step.seconds
            step = step.step
        if isinstance(step, ModelError):
            raise step
        return step if isinstance(step, ChatReply) else await step()


def says(text: str, *calls: ToolCall, cut_off: bool = False) -> ChatReply:
    return ChatReply(text=text, tool_calls=calls, model="standard-2026", cut_off=cut_off, usage={"total_tokens": 5})


def calls(name: str, arguments: str = "{}", *, call_id: str = "c1") -> ToolCall:
    return ToolCall(call_id=call_id, name=name, arguments=arguments)


Action = Callable[[Mapping[str, object], Connection | None], Awaitable[str]]


class ToolOf:
    """A tool that does what a test says."""

    def __init__(self, name: str, act: Action | str, *, writes: bool = False, uses_database: bool = False) -> None:
        self.definition = ToolDefinition(name=name, description=f"for {name}", parameters={"type": "object"})
        self.writes = writes
        self.uses_database = uses_database
        self._act = act
        self.seen: list[Mapping[str, object]] = []

    async def call(self, context: ToolContext, arguments: Mapping[str, object], connection: Connection | None) -> str:
        assert context.tenant_id == TENANT
        self.seen.append(arguments)
        return self._act if isinstance(self._act, str) else await self._act(arguments, connection)


def no_database() -> AbstractAsyncContextManager[Connection]:
    raise AssertionError("this needs no database")


def context_of(
    transaction: Transaction = no_database, *, attempt: int = 1, on_write: Callable[[], None] = lambda: None
) -> ToolContext:
    return ToolContext(
        tenant_id=TENANT,
        agent_id=UUID(int=4),
        contact_id=CONTACT,
        conversation_id=UUID(int=5),
        turn_id=TURN,
        attempt=attempt,
        language="de",
        timezone=ZoneInfo("Europe/Berlin"),
        now=lambda: NOW,
        new_id=lambda: UUID(int=6),
        transaction=transaction,
        on_write=on_write,
    )


def on(db: Database) -> Transaction:
    return lambda: db.transaction(TENANT)


def prompt_of(*recorded: RecordedCall) -> Prompt:
    messages = (ChatMessage(role="system", text="Hilf."), ChatMessage(role="user", text="Samstag um 10?"))
    return Prompt(messages=messages, input_tokens=4, recorded=recorded)


BOOKED = RecordedCall(
    position=0, name="book", arguments={"at": "10:00"}, writes=True, state="done", result="Gebucht: Samstag, 10 Uhr."
)


DOWN = ModelUnavailableError("HTTP 503")


REFUSED = ModelRefusedError("HTTP 401")


async def respond(
    model: ChatModel,
    *tools: Tool,
    context: ToolContext | None = None,
    policy: ModelPolicy = POLICY,
    time: Time | None = None,
    recorded: tuple[RecordedCall, ...] = (),
) -> Answer:
    clock = time or Time()
    return await answer(
        model,
        prompt_of(*recorded),
        tools,
        context or context_of(),
        policy,
        monotonic=clock.monotonic,
        sleep=clock.sleep,
    )


PATIENT_S = 20.0


def toolbox(*tools: Tool, context: ToolContext | None = None, tool_timeout_s: float = 60.0) -> Toolbox:
    return Toolbox(tools, context or context_of(), replace(POLICY, tool_timeout_s=tool_timeout_s), ())


def raising(error: BaseException) -> Action:
    async def act(_arguments: Mapping[str, object], _connection: Connection | None) -> str:
        raise error

    return act


async def add(arguments: Mapping[str, object], connection: Connection | None) -> str:
    assert connection is not None
    await connection.execute(
        "INSERT INTO contact (tenant_id, contact_id, name, created_at) VALUES ($1, gen_random_uuid(), $2, now())",
        TENANT,
        str(arguments.get("name", "")),
    )
    return "added"


async def added(db: Database) -> list[str]:
    async with db.transaction(TENANT) as connection:
        return [row["name"] for row in await connection.fetch("SELECT name FROM contact ORDER BY name")]


async def recorded_in(db: Database) -> tuple[RecordedCall, ...]:
    async with db.transaction(TENANT) as connection:
        return await list_recorded(connection, TENANT, TURN)
