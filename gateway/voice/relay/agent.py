"""The text agent on the phone: the prompt, tools and model of every channel, told how one speaks on the phone."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

import asyncpg
import structlog

from agents.errors import NoAnswerError
from agents.model import ChatMessage
from agents.prompt import HistoryMessage, Prompt, build_prompt
from agents.responder import Answer, ModelPolicy, answer
from agents.tools.base import Tool
from agents.voice_prompt import build_voice_prompt
from gateway.db import transaction_is_open
from gateway.errors import StaleLeaseError, TurnmeterError
from gateway.services import Services
from gateway.voice.call import CHANNEL, Call
from gateway.voice.call_tools import tool_context, tools_in
from gateway.voice.engines.base import PastItem
from gateway.voice.relay.dialogue import ANSWER_TOKENS_MAX
from gateway.voice.relay.signals import Answered, Draft, Ending, NotAnswered
from gateway.voice.relay.tools import ending_tools

ANSWER_S: Final = 12.0  # longer, nobody stays on the phone
FALLBACK_S: Final = 5.0

log = structlog.get_logger(__name__)


class RelayAgent:
    """Makes a call's answers. `call` has the epoch of its stream.

    What the models' providers count themselves is kept beside; nobody pays by it.
    """

    def __init__(self, services: Services, call: Call) -> None:
        self._services = services
        self.call = call
        self._attempts: list[Mapping[str, object]] = []  # since the last minute was settled
        self._totals: Counter[str] = Counter()

    async def answer(self, draft: Draft, *, on_write: Callable[[], None]) -> Answered | NotAnswered:
        """Return the agent's words; may be cancelled at any time: what a tool has committed by then is done."""
        if transaction_is_open():
            raise AssertionError("no vendor is awaited inside a transaction")
        endings: list[Ending] = []
        try:
            made = await self._answer(draft, endings, on_write)
        except NoAnswerError as error:
            self._note(error.attempts)
            return NotAnswered(draft=draft.draft)
        except (StaleLeaseError, TurnmeterError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            log.warning("call_answer_failed", call_id=str(self.call.call_id), error=type(error).__name__)
            return NotAnswered(draft=draft.draft)
        self._note(made.attempts)
        self._totals["tools"] += len(made.tool_names)
        return Answered(draft=draft.draft, text=made.text, ending=endings[0] if endings else None)

    def take_usage(self) -> dict[str, object]:
        """Return the providers' counts since they were last taken."""
        attempts, self._attempts = self._attempts, []
        return {"attempts": [dict(attempt) for attempt in attempts]}

    @property
    def totals(self) -> dict[str, int]:
        """Return the call's own figures: requests, tools, and the providers' tokens by their names."""
        return dict(self._totals)

    async def _answer(self, draft: Draft, endings: list[Ending], on_write: Callable[[], None]) -> Answer:
        services, call = self._services, self.call
        context, _ = await tool_context(services, call, services.new_id(), on_write=on_write)
        tools: Sequence[Tool] = (*tools_in(call), *ending_tools(call.configuration, endings))
        policy = ModelPolicy(
            model=services.settings.chat_model,
            fallback_model=services.settings.fallback_model,
            max_output_tokens=min(ANSWER_TOKENS_MAX, call.configuration.answer_max_tokens)
            + services.limits.reasoning_tokens,
            total_s=ANSWER_S,
            fallback_reserve_s=FALLBACK_S,
        )
        return await answer(
            services.chat_model,
            prompt_of(services, call, draft),
            tools,
            context,
            policy,
            monotonic=time.monotonic,
            sleep=asyncio.sleep,
        )

    def _note(self, attempts: Sequence[Mapping[str, object]]) -> None:
        self._attempts.extend(attempts)
        for attempt in attempts:
            self._services.metrics.model_requests.labels(str(attempt.get("outcome"))).inc()
            self._totals["requests"] += 1
            usage = attempt.get("usage")
            counts = usage.items() if isinstance(usage, Mapping) else ()
            self._totals.update({str(name): count for name, count in counts if type(count) is int})


def prompt_of(services: Services, call: Call, draft: Draft) -> Prompt:
    """Return what an answer is made from: the agent as on every channel, spoken, and the call so far."""
    now = services.now()
    known = {"name": call.contact_name} if call.contact_name else {}
    facts = {**known, **call.contact_facts}
    spoken = build_voice_prompt(
        configuration=call.configuration,
        contact_facts=facts,
        caller_known=call.caller is not None,
        now=now,
        resumed=call.progress is not None and call.progress.greeted,
    )
    prompt = build_prompt(
        configuration=call.configuration,
        channel=CHANNEL,
        contact_facts=facts,
        history=[_line(item, now) for item in draft.past],
        new_messages=[HistoryMessage(role="customer", text=text, at=now) for text in draft.words],
        now=now,
        count_tokens=services.count_tokens,
        budget_tokens=services.limits.prompt_tokens,
        first_answer=False,
    )
    system = ChatMessage(role="system", text="\n\n".join([spoken.instructions, *draft.notes]))
    return replace(prompt, messages=(system, *prompt.messages[1:]))


def _line(item: PastItem, now: datetime) -> HistoryMessage:
    return HistoryMessage(role="customer" if item.kind == "customer" else "agent", text=item.text, at=now)
