"""Accept what a provider sends: once, in its tenant's transaction, and put the conversation in the queue.

A provider repeats a webhook until it is answered with 200, so everything here may happen again: a message
seen before meets the unique index and its whole transaction is rolled back. Nothing here awaits a vendor.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from uuid import UUID

import asyncpg
import orjson
import structlog

from agents.store import VersionCache
from gateway import inbox_store
from gateway.channels.base import DeliveryReport, Echo, Inbound, LineAddress, LineEvent, Malformed
from gateway.customer_events import accept_echo, accept_update
from gateway.customer_messages import accept_message
from gateway.line_directory import LineDirectory, LineOwner
from gateway.parcel import Changed, ChannelNotOnLineError, DuplicateError, Parcel, RawBody
from gateway.received_sms import accept_sms
from gateway.reports import apply_report
from gateway.safe_text import safe_json, safe_text
from gateway.services import Services

Accept = Callable[[str, Sequence[LineEvent], Sequence[Malformed], bytes], Awaitable[None]]

VERSIONS_MAX = 1_000  # of agents, remembered in one process
TRIES_MAX = 3  # of one event, when the database ended its transaction to resolve a deadlock

log = structlog.get_logger(__name__)

# What repeating cannot heal: values no column takes, a directory entry that leads nowhere. A lost connection, a
# deadlock and the like are raised instead, so that the provider tries again.
NEVER_STORABLE = (
    asyncpg.DataError,
    asyncpg.CheckViolationError,
    asyncpg.NotNullViolationError,
    asyncpg.ProgramLimitExceededError,
    ValueError,  # asyncpg's own refusal to encode an argument
    LookupError,
)


@dataclass(frozen=True, slots=True)
class Memory:
    """What a process remembers between webhooks; it may forget any of it at any time."""

    directory: LineDirectory
    versions: VersionCache = field(default_factory=dict)


def accepting(services: Services) -> Accept:
    """Return `accept` for one process, with a memory of its own."""
    return partial(accept, services, memory=Memory(LineDirectory(services.db, services.now)))


async def accept(
    services: Services,
    provider: str,
    events: Sequence[LineEvent],
    malformed: Sequence[Malformed],
    body: bytes,
    *,
    memory: Memory | None = None,
) -> None:
    """Accept every event of one verified webhook, each in its own transaction; return when all are stored.

    Raises only when the database cannot be reached or refuses to work: the provider is then to try again.
    """
    memory = memory or Memory(LineDirectory(services.db, services.now))
    if len(memory.versions) > VERSIONS_MAX:
        memory.versions.clear()
    owned: list[tuple[LineOwner, LineEvent]] = []
    strangers: dict[LineAddress, list[LineEvent]] = {}
    for event in events:
        owner = await memory.directory.find(event.line)
        if owner is None:
            strangers.setdefault(event.line, []).append(event)
        else:
            owned.append((owner, event))
    await _put_aside(services, provider, strangers, malformed, whole_body=None if owned else body)
    raw = _raw_bodies(services, provider, owned, body, mixed=bool(strangers or malformed))
    for owner, event in owned:
        await _accept_event(services, memory, owner, event, raw[owner.tenant_id])


async def _accept_event(services: Services, memory: Memory, owner: LineOwner, event: LineEvent, raw: RawBody) -> None:
    """Accept one event; what the database can never store is put aside instead of being repeated for days."""
    for tries_left in reversed(range(TRIES_MAX)):
        try:
            changed = await _handle(services, memory, owner, event, raw)
        except DuplicateError:
            return
        except asyncpg.DeadlockDetectedError:
            if not tries_left:
                raise
        except (ChannelNotOnLineError, *NEVER_STORABLE) as error:
            await _put_event_aside(services, raw.provider, owner, event, error)
            return
        else:
            if changed is not None:
                services.arrivals.announce(owner.tenant_id, changed.conversation_id, changed.due_at)
            return


async def _put_event_aside(
    services: Services, provider: str, owner: LineOwner, event: LineEvent, error: Exception
) -> None:
    if isinstance(error, ChannelNotOnLineError):
        detail = f"{event.channel} at {event.line.kind} {event.line.value}"
        await _quarantine(services, provider, "channel_not_on_line", detail, _written([event]))
        return
    log.error("event_not_storable", tenant_id=str(owner.tenant_id), line_id=str(owner.line_id), exc_info=error)
    await _quarantine(services, provider, "not_storable", type(error).__name__, _written([event]))


async def _handle(
    services: Services, memory: Memory, owner: LineOwner, line_event: LineEvent, raw: RawBody
) -> Changed | None:
    event = line_event.event
    parcel = Parcel(
        tenant_id=owner.tenant_id,
        line_id=owner.line_id,
        channel=line_event.channel,
        raw=raw,
        limits=services.limits,
        versions=memory.versions,
        now=services.now(),
        new_id=services.new_id,
    )
    if isinstance(event, DeliveryReport):  # may bring a refund, which is the ledger's own transaction
        await apply_report(services, owner.tenant_id, owner.line_id, event, raw=raw)
        return None
    if isinstance(event, Inbound) and line_event.channel == "sms":  # is paid, so it goes through the ledger too
        return await accept_sms(services, parcel, event)
    async with services.db.transaction(owner.tenant_id) as connection:
        if isinstance(event, Inbound):  # stores the body with the message
            return await accept_message(connection, parcel, event)
        await inbox_store.store_webhook(connection, owner.tenant_id, raw, now=parcel.now)
        if isinstance(event, Echo):
            return await accept_echo(connection, parcel, event)
        await accept_update(connection, parcel, event)
        return None


def _raw_bodies(
    services: Services, provider: str, owned: Sequence[tuple[LineOwner, LineEvent]], body: bytes, *, mixed: bool
) -> Mapping[UUID, RawBody]:
    """Return what each tenant's row keeps: the body as it came if it is all theirs, else their own events only.

    A body may carry several tenants' events; what one of them keeps must not hold another's.
    """
    by_tenant: dict[UUID, list[LineEvent]] = {}
    for owner, event in owned:
        by_tenant.setdefault(owner.tenant_id, []).append(event)
    alone = len(by_tenant) == 1 and not mixed
    return {
        tenant_id: RawBody(
            webhook_id=services.new_id(), provider=provider, content=body if alone else _written(tenants_events)
        )
        for tenant_id, tenants_events in by_tenant.items()
    }


async def _put_aside(
    services: Services,
    provider: str,
    strangers: Mapping[LineAddress, Sequence[LineEvent]],
    malformed: Sequence[Malformed],
    *,
    whole_body: bytes | None,
) -> None:
    """Quarantine what belongs to nobody or cannot be read, for the operator to see. Never an error."""
    for line, events in strangers.items():
        content = whole_body if whole_body is not None and len(strangers) == 1 else _written(events)
        await _quarantine(services, provider, "unknown_line", f"{line.kind} {line.value}", content)
    for part in malformed:
        await _quarantine(services, provider, "malformed", part.reason, part.fragment)


async def _quarantine(services: Services, provider: str, reason: str, detail: str, content: bytes) -> None:
    log.warning("webhook_part_quarantined", provider=provider, reason=reason)
    async with services.db.directory() as connection:
        await inbox_store.quarantine(
            connection,
            quarantine_id=services.new_id(),
            provider=provider,
            reason=reason,
            detail=safe_text(detail),
            body=content,
            now=services.now(),
        )


def _written(events: Sequence[LineEvent]) -> bytes:
    """Return events as JSON; repr is for values that no JSON can hold."""
    return orjson.dumps([safe_json(asdict(event)) for event in events], default=repr)
