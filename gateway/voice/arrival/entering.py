"""The row of a call that rings: its contact, its conversation, its agent's version; once for each CallSid."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from agents.agent import AgentConfiguration
from agents.errors import ConfigurationError
from agents.store import read_version
from gateway.alerts import raise_alert
from gateway.conversations import Place
from gateway.line_directory import LineOwner
from gateway.services import Services
from gateway.voice import call_store
from gateway.voice.arrival import callers
from gateway.voice.arrival.ringing import Ringing
from gateway.voice.call import CHANNEL, Call, account_of
from gateway.voice.call_store import NewCall
from metering.connection import Connection

log = structlog.get_logger(__name__)


class NobodyAnswersError(Exception):
    """The line has no telephone or is suspended, or its agent cannot be read: no row is made."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """A call's row, new or as an earlier question left it, and what speaks for or against answering.

    `mode` is the conversation's. `earlier_calls`: how many calls the tenant has going on that rang before.
    """

    call: Call
    mode: str
    earlier_calls: int
    end_reason: str | None


async def enter(services: Services, owner: LineOwner, ringing: Ringing) -> Entered:
    """Note a call, or find it. Raises NobodyAnswersError."""
    try:
        async with services.db.transaction(owner.tenant_id) as connection:
            found = await call_store.find_by_sid(connection, owner.tenant_id, ringing.call_sid)
            call_id = await _note(services, connection, owner, ringing) if found is None else found.call_id
            return await _read(services, connection, owner.tenant_id, call_id)
    except _UnreadableError as error:
        await _tell_unreadable(services, owner.tenant_id, error.place)
        raise NobodyAnswersError("agent_unreadable") from error


class _UnreadableError(Exception):
    def __init__(self, place: Place) -> None:
        super().__init__("unreadable")
        self.place = place


async def _note(services: Services, connection: Connection, owner: LineOwner, ringing: Ringing) -> UUID:
    tenant_id, now = owner.tenant_id, services.now()
    contact_id, place = await callers.enter(
        connection, tenant_id, line_id=owner.line_id, caller=ringing.caller, now=now, new_id=services.new_id
    )
    if CHANNEL not in place.line_channels:
        raise NobodyAnswersError("no_voice_on_line")
    if not place.in_service:
        raise NobodyAnswersError("line_not_in_service")
    configuration = await _configuration(services, connection, tenant_id, place)
    timezone = await connection.fetchval("SELECT timezone FROM tenant WHERE tenant_id = $1", tenant_id)
    account = account_of(
        configuration,
        tenant_id=tenant_id,
        call_id=services.new_id(),
        conversation_id=place.conversation_id,
        contact_id=contact_id,
        line_id=owner.line_id,
        agent_id=place.agent_id,
        agent_version=place.agent_version,
        rate_card=services.rate_cards.on(now.astimezone(ZoneInfo(timezone)).date()).version,
        timezone=timezone,
    )
    new = NewCall(account=account, call_sid=ringing.call_sid, caller=ringing.caller, engine=configuration.voice.engine)
    lease_until = now + timedelta(seconds=services.limits.stream_begins_s)
    if await call_store.insert_call(connection, new, now=now, lease_until=lease_until):
        return account.call_id
    found = await call_store.find_by_sid(connection, tenant_id, ringing.call_sid)
    if found is None:
        raise AssertionError("a call that cannot be noted is there already")
    return found.call_id


async def _configuration(
    services: Services, connection: Connection, tenant_id: UUID, place: Place
) -> AgentConfiguration:
    try:
        read = await read_version(connection, tenant_id, place.agent_id, place.agent_version, cache=services.versions)
    except (LookupError, ConfigurationError) as error:
        log.exception("agent_version_unreadable", tenant_id=str(tenant_id), agent_id=str(place.agent_id))
        raise _UnreadableError(place) from error
    return read.on_channel(CHANNEL)


async def _read(services: Services, connection: Connection, tenant_id: UUID, call_id: UUID) -> Entered:
    call = await call_store.load_call(connection, tenant_id, call_id, services.versions)
    row = await connection.fetchrow(
        """SELECT conversation.mode, call.end_reason
           FROM call JOIN conversation USING (tenant_id, conversation_id)
           WHERE call.tenant_id = $1 AND call.call_id = $2""",
        tenant_id,
        call_id,
    )
    if row is None:
        raise AssertionError("a call has a conversation")
    earlier = await call_store.count_earlier(connection, call, now=services.now())
    return Entered(call=call, mode=row["mode"], earlier_calls=earlier, end_reason=row["end_reason"])


async def _tell_unreadable(services: Services, tenant_id: UUID, place: Place) -> None:
    async with services.db.transaction(tenant_id) as connection:
        await raise_alert(
            connection,
            tenant_id,
            kind="agent_unreadable",
            dedupe_key=f"agent_unreadable:{place.agent_id}:{place.agent_version}",
            detail={"agent_id": str(place.agent_id), "version": place.agent_version},
            now=services.now(),
            new_id=services.new_id,
        )
