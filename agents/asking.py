"""One turn's requests to its models, each tried until one answers, within one allowance of time."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from agents.errors import ModelError, ModelUnavailableError, NoAnswerError
from agents.model import ChatMessage, ChatModel, ChatReply, ChatRequest, ToolDefinition
from agents.retry import FailedTry, Failure, ModelPolicy, NextTry, next_try


class Asking:
    """Asks, remembers every attempt, and stays with the fallback once that had to answer."""

    def __init__(
        self,
        chat_model: ChatModel,
        policy: ModelPolicy,
        *,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._chat_model = chat_model
        self._policy = policy
        self._monotonic = monotonic
        self._sleep = sleep
        self._ends_at = monotonic() + policy.total_s
        self._models = policy.models
        self._attempts: list[Mapping[str, object]] = []

    @property
    def left_s(self) -> float:
        return self._ends_at - self._monotonic()

    @property
    def model(self) -> str:
        """The model that answered last, or will be asked first."""
        return self._models[0]

    @property
    def attempts(self) -> tuple[Mapping[str, object], ...]:
        """One per request: the model, its outcome, how long it took, the provider's own count."""
        return tuple(self._attempts)

    async def ask(self, messages: Sequence[ChatMessage], tools: Sequence[ToolDefinition]) -> ChatReply:
        """Return the first reply with a text or with calls of the tools offered. Raises NoAnswerError."""
        failures: list[FailedTry] = []
        while True:
            upcoming = next_try(
                failures, models=self._models, left_s=self.left_s, reserve_s=self._policy.fallback_reserve_s
            )
            if upcoming is None:
                raise NoAnswerError(self.attempts)
            if upcoming.wait_s:
                await self._sleep(upcoming.wait_s)
            reply = await self._try(upcoming, messages, tools)
            if isinstance(reply, ChatReply):
                self._models = self._models[self._models.index(upcoming.model) :]
                return reply
            failures.append(reply)

    async def ask_once(self, messages: Sequence[ChatMessage]) -> ChatReply | None:
        """Return what the model that answered last says in one try without tools, None if it says nothing."""
        once = NextTry(model=self.model, wait_s=0.0, timeout_s=self.left_s)
        reply = await self._try(once, messages, ())
        return reply if isinstance(reply, ChatReply) else None

    async def _try(
        self, upcoming: NextTry, messages: Sequence[ChatMessage], tools: Sequence[ToolDefinition]
    ) -> ChatReply | FailedTry:
        request = ChatRequest(
            model=upcoming.model, messages=messages, tools=tools, max_output_tokens=self._policy.max_output_tokens
        )
        began_at = self._monotonic()
        try:
            reply = await self._chat_model.complete(request, timeout_s=upcoming.timeout_s)
        except ModelError as error:
            return self._failed(upcoming.model, error, began_at)
        is_empty = not reply.text.strip() and not (tools and reply.tool_calls)
        self._note(
            upcoming.model, "empty" if is_empty else "ok", began_at, answered_by=reply.model, usage=dict(reply.usage)
        )
        return FailedTry(model=upcoming.model, failure="empty") if is_empty else reply

    def _failed(self, model: str, error: ModelError, began_at: float) -> FailedTry:
        unavailable = isinstance(error, ModelUnavailableError)
        failure: Failure = "unavailable" if unavailable else "refused"
        self._note(model, failure, began_at, reason=error.reason, usage={})
        return FailedTry(
            model=model,
            failure=failure,
            retry_after_s=error.retry_after_s if isinstance(error, ModelUnavailableError) else None,
        )

    def _note(self, model: str, outcome: str, began_at: float, **more: object) -> None:
        took_ms = round((self._monotonic() - began_at) * 1000)
        self._attempts.append({"model": model, "outcome": outcome, "took_ms": took_ms, **more})
