"""Who calls, and the conversation that a call belongs to. Nothing here commits."""

from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from gateway import contacts, conversations
from gateway.channels.base import Address
from gateway.conversations import Place
from gateway.voice.call import CHANNEL
from metering.connection import Connection

WITHHELD: Final = ""  # the number that a conversation with nobody known is kept under


async def enter(
    connection: Connection,
    tenant_id: UUID,
    *,
    line_id: UUID,
    caller: str | None,
    now: datetime,
    new_id: Callable[[], UUID],
) -> tuple[UUID, Place]:
    """Return who calls and in which conversation, both begun if need be; a withheld number is somebody new each time.

    Nothing in a conversation on the phone is ever due: whoever speaks is answered in the call.
    """
    if caller is None:
        contact_id = await contacts.begin_unknown(connection, tenant_id, now=now, new_id=new_id)
    else:
        address = Address(kind="phone", value=caller)
        contact_id = await contacts.resolve(connection, tenant_id, [address], now=now, new_id=new_id)
    place = await conversations.enter(
        connection,
        tenant_id,
        line_id=line_id,
        contact_id=contact_id,
        channel=CHANNEL,
        reply_to=Address(kind="phone", value=caller or WITHHELD),
        now=now,
        new_id=new_id,
    )
    return contact_id, place
