"""The model's work on a turn: watched for newer messages, accompanied by a typing indicator.

A message that arrives meanwhile makes the draft worthless: it is dropped, unpaid, and both messages are
answered together; at most so often per turn, and not after a tool has changed something.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from typing import Any

from agents.errors import NoAnswerError
from agents.prompt import Prompt
from agents.responder import Answer, LengthLimit, ModelPolicy, answer
from agents.tools.base import ToolContext
from agents.tools.registry import tools_for
from gateway.channels.base import LineCredentials, MessageChannel
from gateway.db import transaction_is_open
from gateway.services import Services
from gateway.turn_begin import RunningTurn
from gateway.turn_scene import read_progress, share_lease
from metering.connection import Connection
from metering.holds import renew_hold


class DraftAbandonedError(Exception):
    """A newer message, or a person, has made the draft worthless; nothing was charged."""


class Writes:
    """Whether a tool has begun to change something in this attempt."""

    def __init__(self) -> None:
        self.begun = False

    def begin(self) -> None:
        self.begun = True


async def answer_watched(
    services: Services,
    turn: RunningTurn,
    prompt: Prompt,
    *,
    channel: MessageChannel,
    line: LineCredentials,
    answer_tokens: int,
    length: LengthLimit | None,
) -> Answer:
    """Return the model's answer. Raises DraftAbandonedError, NoAnswerError and StaleLeaseError."""
    if transaction_is_open():
        raise AssertionError("no vendor is awaited inside a transaction")
    writes = Writes()
    policy = ModelPolicy(
        model=services.settings.chat_model,
        fallback_model=services.settings.fallback_model,
        max_output_tokens=answer_tokens + services.limits.reasoning_tokens,
    )
    working = answer(
        services.chat_model,
        prompt,
        tools_for(turn.configuration),
        _context(services, turn, writes),
        policy,
        monotonic=time.monotonic,
        sleep=asyncio.sleep,
        length=length,
    )
    async with _beside(_keep_typing(services, turn, channel, line)), _beside(_keep_hold(services, turn)):
        try:
            answered = await _until_superseded(services, turn, writes, working)
        except NoAnswerError as error:
            _count(services, error.attempts)
            raise
    _count(services, answered.attempts)
    return answered


def _count(services: Services, attempts: Sequence[Mapping[str, object]]) -> None:
    for attempt in attempts:
        services.metrics.model_requests.labels(str(attempt.get("outcome"))).inc()


def may_abandon(services: Services, turn: RunningTurn, writes_begun: bool) -> bool:
    """Return whether a newer message may still make this draft worthless."""
    return not writes_begun and turn.row.abandoned_drafts < services.limits.drafts_abandoned_max


async def _until_superseded(
    services: Services, turn: RunningTurn, writes: Writes, working: Coroutine[Any, Any, Answer]
) -> Answer:
    task = asyncio.create_task(working)
    changed = turn.changed
    try:
        while not task.done():
            async with _beside(changed.wait()) as waiting:
                await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                changed = services.arrivals.watch(turn.lease.conversation_id)
                if await _superseded(services, turn, writes):
                    raise DraftAbandonedError
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _superseded(services: Services, turn: RunningTurn, writes: Writes) -> bool:
    async with services.db.transaction(turn.tenant_id) as connection:
        input_version, mode = await read_progress(connection, turn.lease)
    if mode != "agent":
        return True
    return input_version != turn.scene.input_version and may_abandon(services, turn, writes.begun)


async def _keep_typing(services: Services, turn: RunningTurn, channel: MessageChannel, line: LineCredentials) -> None:
    """Mark the newest message read and show that an answer is being written; the sign vanishes after 25 s."""
    provider_id = next((message.provider_id for message in reversed(turn.new_messages) if message.provider_id), None)
    while provider_id is not None:
        await channel.show_typing(line, provider_id=provider_id)
        await asyncio.sleep(services.limits.typing_refresh_s)


async def _keep_hold(services: Services, turn: RunningTurn) -> None:
    """Renew the hold as the worker renews its lease."""
    while True:
        await asyncio.sleep(services.limits.lease_s / 3)
        until = services.lease_until(services.now())
        async with services.db.transaction(turn.tenant_id) as connection:
            await renew_hold(connection, turn.tenant_id, turn.hold_key, expires_at=until)


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, Any]) -> AsyncIterator["asyncio.Task[Any]"]:
    """Run something beside the block and end it with the block."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _context(services: Services, turn: RunningTurn, writes: Writes) -> ToolContext:
    @contextlib.asynccontextmanager
    async def transaction() -> AsyncIterator[Connection]:
        async with services.db.transaction(turn.tenant_id) as connection:
            if await share_lease(connection, turn.lease) != turn.scene.contact_id:
                raise DraftAbandonedError  # two contacts became one: what is written now would be nobody's
            yield connection

    return ToolContext(
        tenant_id=turn.tenant_id,
        agent_id=turn.scene.agent_id,
        contact_id=turn.scene.contact_id,
        conversation_id=turn.lease.conversation_id,
        turn_id=turn.turn_id,
        attempt=turn.row.attempt,
        language=turn.configuration.language,
        timezone=turn.configuration.zone,
        now=services.now,
        new_id=services.new_id,
        transaction=transaction,
        on_write=writes.begin,
    )
