"""What the business writes leaves once, however often and however fast it is asked for."""

import asyncio
from uuid import UUID

from gateway.repeat_keys import RepeatKey
from gateway.written_messages import WrittenMessage, write_message
from metering.operations import Release
from tests.gateway.mailroom import Mailroom
from tests.gateway.waiting import until_somebody_waits


async def test_the_same_request_twice_in_one_batch_of_the_ledger_is_one_message(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    tenant_id, ledger, db = mailroom.cast.acme, mailroom.services.ledger, mailroom.services.db
    conversation = await mailroom.row("SELECT conversation_id FROM conversation")
    written = WrittenMessage(
        conversation_id=UUID(str(conversation["conversation_id"])),
        author="api",
        text="Guten Tag",
        repeat=RepeatKey(key="order-17", request_hash=b"asked"),
    )
    async with db.transaction(tenant_id) as busy:
        await busy.execute("SELECT FROM wallet WHERE tenant_id = $1 FOR UPDATE", tenant_id)
        before = asyncio.create_task(ledger.submit(tenant_id, Release(hold_key="none")))
        await until_somebody_waits(db)
        asked = [asyncio.create_task(write_message(mailroom.services, tenant_id, written)) for _ in range(3)]
        await asyncio.sleep(0.3)  # they queue up behind the batch that waits
    await before
    ids = await asyncio.gather(*asked)
    assert len(set(ids)) == 1
    assert await mailroom.rows("SELECT message_id FROM message WHERE direction = 'out'") == [{"message_id": ids[0]}]
