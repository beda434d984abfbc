from gateway.db import Database
from gateway.repeat_keys import Done, RepeatKey, find_done, remember
from tests.conftest import Clock
from tests.metering.spending import some_id

ASKED = RepeatKey(key="order-17", request_hash=b"asked")


async def test_a_key_is_honoured_for_a_day_and_then_free_again(db: Database, clock: Clock) -> None:
    tenant_id = some_id()
    async with db.transaction(tenant_id) as connection:
        await remember(connection, tenant_id, ASKED, status=201, response={"message_id": "m"}, now=clock.now())
        clock.advance(seconds=24 * 3600 - 1)
        done = await find_done(connection, tenant_id, "order-17", now=clock.now())
        clock.advance(seconds=1)
        later = await find_done(connection, tenant_id, "order-17", now=clock.now())
        again = RepeatKey(key="order-17", request_hash=b"something else")
        await remember(connection, tenant_id, again, status=201, response={"message_id": "n"}, now=clock.now())
        replaced = await find_done(connection, tenant_id, "order-17", now=clock.now())
    assert done == Done(request_hash=b"asked", response={"message_id": "m"})
    assert later is None
    assert replaced == Done(request_hash=b"something else", response={"message_id": "n"})


async def test_keys_belong_to_a_tenant(db: Database, clock: Clock) -> None:
    acme, mallory = some_id(), some_id()
    async with db.transaction(acme) as connection:
        await remember(connection, acme, ASKED, status=201, response={}, now=clock.now())
    async with db.transaction(mallory) as connection:
        assert await find_done(connection, mallory, "order-17", now=clock.now()) is None
        await remember(connection, mallory, ASKED, status=201, response={}, now=clock.now())
