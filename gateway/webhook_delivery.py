"""Posting events to owners' systems: claimed with a lease, posted once per attempt, the outcome written down.

Any number of processes share the queue. An event may arrive more than once (a process died between posting and writing
down) and in any order; its id stays the same, so that receivers can tell.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

import aiohttp
import structlog

from gateway.outside_addresses import AddressNotPublicError, public_connector, url_problem
from gateway.services import Services
from gateway.webhook_attempts import Answer, Lease, Letter, claim, note_attempt, read_letter
from gateway.webhook_signature import signature_header

CLAIMED_AGAIN_S: Final = 0.5  # while others are on their way, what is new is looked for as often
POLL_S: Final = 1.0

log = structlog.get_logger(__name__)


async def deliver_due(services: Services) -> None:
    """Post every event that is due, and what becomes due meanwhile; returns when nothing is left."""
    leases = await claim(services, ())
    if not leases:
        return
    running: dict[asyncio.Task[None], Lease] = {}
    async with _http(services) as http:
        try:
            while leases or running:
                running |= {asyncio.create_task(_deliver(services, http, lease)): lease for lease in leases}
                await asyncio.wait(running, timeout=CLAIMED_AGAIN_S, return_when=asyncio.FIRST_COMPLETED)
                running = {task: lease for task, lease in running.items() if not task.done()}
                leases = await claim(services, running.values())
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def deliver_as_they_come(services: Services) -> None:
    """Post what is due, then wait until this process leaves another event, or for a moment."""
    services.db.events_left.clear()
    await deliver_due(services)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(POLL_S):
            await services.db.events_left.wait()


@contextlib.asynccontextmanager
async def _http(services: Services) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        connector=public_connector(may_stay_inside=services.limits.webhooks_may_stay_inside),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=services.limits.webhook_answer_s),
        headers={"Content-Type": "application/json", "User-Agent": "turnmeter-webhooks/1"},
    ) as http:
        yield http


async def _deliver(services: Services, http: aiohttp.ClientSession, lease: Lease) -> None:
    try:
        async with services.db.transaction(lease.tenant_id) as connection:
            letter = await read_letter(connection, services, lease)
        if letter is None:
            return
        answer = await _post(services, http, lease, letter)
        async with services.db.transaction(lease.tenant_id) as connection:
            await note_attempt(connection, services, lease, answer)
    except Exception:  # the task's outermost edge: the lease runs out, and the event is sent again
        log.exception("webhook_crashed", tenant_id=str(lease.tenant_id), endpoint_id=str(lease.endpoint_id))


async def _post(services: Services, http: aiohttp.ClientSession, lease: Lease, letter: Letter) -> Answer:
    """Post once. Whatever comes back, or does not, is an answer."""
    clock = asyncio.get_running_loop().time
    began_at = clock()
    error: str | None = None
    status: int | None = None
    if not letter.secrets:
        error = "secret_unreadable"
    elif url_problem(letter.url, may_stay_inside=services.limits.webhooks_may_stay_inside) is not None:
        error = "address_not_public"
    else:
        headers = _headers(lease, letter, services.now())
        try:
            async with http.post(letter.url, data=letter.body, headers=headers, allow_redirects=False) as response:
                status = response.status
        except (aiohttp.ClientError, OSError, TimeoutError) as raised:
            error = _word_for(raised)
    return Answer(status=status, error=error, latency_ms=round((clock() - began_at) * 1_000))


def _headers(lease: Lease, letter: Letter, now: datetime) -> dict[str, str]:
    webhook_id, timestamp_s = f"evt_{lease.event_id.hex}", int(now.timestamp())
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": signature_header(
            letter.secrets, webhook_id=webhook_id, timestamp_s=timestamp_s, body=letter.body
        ),
    }


def _word_for(error: Exception) -> str:
    """Name what came between, without the address in it (pure)."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressNotPublicError):
        return "address_not_public"
    if isinstance(error, aiohttp.ClientSSLError):
        return "tls"
    return "not_connected" if isinstance(error, aiohttp.ClientConnectorError) else "connection_lost"
