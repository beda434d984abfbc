"""How a turn begins: the conversation is read, the turn recorded or taken up again, its prompt built."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from agents.agent import AgentConfiguration
from agents.errors import ConfigurationError
from agents.prompt import HistoryMessage, Prompt, build_prompt
from agents.recorded import RecordedCall
from agents.store import read_version
from agents.tool_calls import list_recorded
from gateway import takeover
from gateway.alerts import raise_alert
from gateway.channels.base import LineCredentials, MessageChannel
from gateway.services import Services
from gateway.turn_media import Medium, images_of, text_with_media
from gateway.turn_scene import Lease, Scene, TurnMessage, UnfinishedTurn, load_messages, load_scene
from gateway.turn_store import TurnEnd, TurnState, begin_turn, end_turn, let_go, resume_turn
from metering.connection import Connection
from metering.operations import Release

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTurn:
    """A turn that this worker is answering; `configuration` is the agent's on this channel."""

    lease: Lease
    row: UnfinishedTurn
    scene: Scene
    configuration: AgentConfiguration
    messages: Sequence[TurnMessage]
    changed: asyncio.Event  # set when something has changed in the conversation since it was read
    began_at: float  # monotonic, in seconds

    @property
    def turn_id(self) -> UUID:
        return self.row.turn_id

    @property
    def tenant_id(self) -> UUID:
        return self.lease.tenant_id

    @property
    def hold_key(self) -> str:
        return hold_key(self.row.turn_id, self.row.attempt)

    @property
    def new_messages(self) -> list[TurnMessage]:
        return [message for message in self.messages if message.unanswered]


def hold_key(turn_id: UUID, attempt: int) -> str:
    return f"turn:{turn_id}:{attempt}"


def day_of(services: Services, scene: Scene) -> date:
    """Return the tenant's day, on which budgets and usage are counted."""
    return services.now().astimezone(ZoneInfo(scene.timezone)).date()


async def begin(services: Services, lease: Lease) -> RunningTurn | None:
    """Begin or take up the conversation's turn; None if nobody is to be answered. Raises StaleLeaseError."""
    began_at, changed = time.monotonic(), services.arrivals.watch(lease.conversation_id)
    async with services.db.transaction(lease.tenant_id, durable=False) as connection:
        scene = await load_scene(connection, lease)
        configuration = await _configuration(services, connection, lease, scene)
        if scene.mode != "agent" or not scene.unanswered_ids or configuration is None:
            await _answer_nobody(services, connection, lease, scene)
            if configuration is None and scene.agent_version > 0:
                await _hand_over_unreadable(services, connection, lease, scene)
            turn = None
        else:
            messages = await load_messages(connection, lease, limit=services.limits.history_messages)
            turn = RunningTurn(
                lease=lease,
                row=await _open(services, connection, lease, scene),
                scene=scene,
                configuration=configuration.on_channel(scene.channel),
                messages=messages,
                changed=changed,
                began_at=began_at,
            )
    if scene.unfinished is not None:  # what an earlier attempt had reserved
        earlier = hold_key(scene.unfinished.turn_id, scene.unfinished.attempt)
        await services.ledger.submit(lease.tenant_id, Release(hold_key=earlier))
    return turn


async def build(
    services: Services,
    turn: RunningTurn,
    media: Mapping[UUID, Sequence[Medium]],
    *,
    first_answer: bool,
    characters_max: int | None,
) -> Prompt:
    """Return the prompt of a turn, with what earlier attempts of it have done."""
    recorded: tuple[RecordedCall, ...] = ()
    if turn.row.attempt > 1:
        async with services.db.transaction(turn.tenant_id) as connection:
            recorded = await list_recorded(connection, turn.tenant_id, turn.turn_id)
    known = {"name": turn.scene.contact_name} if turn.scene.contact_name else {}
    return build_prompt(
        configuration=turn.configuration,
        channel=turn.scene.channel,
        contact_facts={**known, **turn.scene.contact_facts},
        history=[_history(turn, message, media) for message in turn.messages if not message.unanswered],
        new_messages=[_history(turn, message, media) for message in turn.new_messages],
        now=services.now(),
        count_tokens=services.count_tokens,
        budget_tokens=services.limits.prompt_tokens,
        first_answer=first_answer,
        recorded=recorded,
        answer_characters_max=characters_max,
    )


def channel_of(services: Services, scene: Scene) -> tuple[MessageChannel, LineCredentials]:
    """Return the channel that a conversation's line speaks, and what it needs to know of the line."""
    encrypted = scene.access_token_encrypted
    token = services.secret_box.decrypt(encrypted).decode() if encrypted is not None else None
    credentials = LineCredentials(
        line_id=scene.line_id, number=scene.number, provider_line_id=scene.provider_line_id, access_token=token
    )
    return services.channels[scene.provider], credentials


async def _open(services: Services, connection: Connection, lease: Lease, scene: Scene) -> UnfinishedTurn:
    if scene.unfinished is not None:
        return await resume_turn(connection, lease, scene.unfinished, input_version=scene.input_version)
    turn_id = services.new_id()
    await begin_turn(connection, lease, scene, turn_id=turn_id, trace_id=turn_id.hex, now=services.now())
    return UnfinishedTurn(
        turn_id=turn_id, attempt=1, crashes=0, abandoned_drafts=0, trace_id=turn_id.hex, lease_epoch=lease.epoch
    )


async def _answer_nobody(services: Services, connection: Connection, lease: Lease, scene: Scene) -> None:
    """Let a conversation go in which nothing is to be answered any more, and end a turn that was under way."""
    if scene.unfinished is None:
        await let_go(connection, lease, answered=not scene.unanswered_ids)
        return
    state: TurnState = "handed_over" if scene.mode == "human" else "no_reply"
    end = TurnEnd(
        turn_id=scene.unfinished.turn_id,
        state=state,
        input_version=scene.input_version,
        answered_ids=(),
        now=services.now(),
    )
    await end_turn(connection, lease, end)
    await let_go(connection, lease, answered=not scene.unanswered_ids)


async def _configuration(
    services: Services, connection: Connection, lease: Lease, scene: Scene
) -> AgentConfiguration | None:
    if scene.agent_version == 0:
        return None
    try:
        return await read_version(
            connection, lease.tenant_id, scene.agent_id, scene.agent_version, cache=services.versions
        )
    except (LookupError, ConfigurationError):
        log.exception("agent_version_unreadable", tenant_id=str(lease.tenant_id), agent_id=str(scene.agent_id))
        return None


async def _hand_over_unreadable(services: Services, connection: Connection, lease: Lease, scene: Scene) -> None:
    """Let a person answer where no agent can: else whoever has written would wait for good."""
    await raise_alert(
        connection,
        lease.tenant_id,
        kind="agent_unreadable",
        dedupe_key=f"agent_unreadable:{scene.agent_id}:{scene.agent_version}",
        detail={"agent_id": str(scene.agent_id), "version": scene.agent_version},
        now=services.now(),
        new_id=services.new_id,
    )
    await takeover.hand_over(
        connection,
        lease.tenant_id,
        lease.conversation_id,
        reason="agent_unreadable",
        text="",
        trace_id=f"handover-{lease.conversation_id.hex}",
        now=services.now(),
        new_id=services.new_id,
    )


def _history(turn: RunningTurn, message: TurnMessage, media: Mapping[UUID, Sequence[Medium]]) -> HistoryMessage:
    own = media.get(message.message_id, ())
    if message.author == "customer":
        return HistoryMessage(
            role="customer",
            text=text_with_media(message, own, turn.configuration.language),
            at=message.written_at,
            images=images_of(own) if message.unanswered else (),
        )
    role = "agent" if message.author == "agent" else "member"
    return HistoryMessage(role=role, text=message.text, at=message.written_at)  # type: ignore[arg-type]  # two words
