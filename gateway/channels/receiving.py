"""What every provider's webhook has in common: a body of limited length, and what the provider is to send again."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import asyncpg
from aiohttp import web

from gateway.channels.base import LineEvent, Malformed

Accept = Callable[[str, Sequence[LineEvent], Sequence[Malformed], bytes], Awaitable[None]]
Count = Callable[[str, str], None]  # the provider, and what became of its webhook

# The database is away, starting, full or stuck: the same webhook can be accepted later, and the provider repeats it.
UNREACHABLE: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)


def uncounted(provider: str, outcome: str) -> None:
    del provider, outcome


async def read_body(request: web.Request, bytes_max: int) -> bytes | None:
    """Return the body as it came, or None if it is longer than allowed; of that no more is read."""
    if (request.content_length or 0) > bytes_max:
        return None
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > bytes_max:
            return None
    return bytes(body)
