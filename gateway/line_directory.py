"""Whose line an address is: the one look-up that happens before a tenant is known."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from gateway.channels.base import LineAddress
from gateway.db import Database

REMEMBERED_FOR = timedelta(seconds=5)
REMEMBERED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class LineOwner:
    """A line and the tenant it belongs to."""

    tenant_id: UUID
    line_id: UUID


class LineDirectory:
    """Looks addresses up and remembers them for a few seconds.

    Only what was found is remembered: a new line receives at once. What a line may do is read with
    its row, in its tenant's transaction, never from here.
    """

    def __init__(self, db: Database, now: Callable[[], datetime]) -> None:
        self._db = db
        self._now = now
        self._known: dict[LineAddress, tuple[LineOwner, datetime]] = {}

    async def find(self, address: LineAddress) -> LineOwner | None:
        known = self._known.get(address)
        if known is not None and known[1] > self._now():
            return known[0]
        owner = await self._look_up(address)
        if owner is None:
            self._known.pop(address, None)
            return None
        if len(self._known) >= REMEMBERED_MAX:
            self._known.clear()
        self._known[address] = (owner, self._now() + REMEMBERED_FOR)
        return owner

    async def _look_up(self, address: LineAddress) -> LineOwner | None:
        async with self._db.directory() as connection:
            row = await connection.fetchrow(
                "SELECT tenant_id, line_id FROM line_directory WHERE address_kind = $1 AND address = $2",
                address.kind,
                address.value,
            )
        return LineOwner(row["tenant_id"], row["line_id"]) if row else None
