from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from argon2 import PasswordHasher

from gateway.db import Database
from gateway.errors import BadInputError
from gateway.identity import create_api_key, create_member, find_api_key, list_api_keys, revoke_api_key
from tests.conftest import Clock

NewId = Callable[[], UUID]
ACME, MALLORY = uuid4(), uuid4()


async def made(db: Database, clock: Clock, new_id: NewId, tenant_id: UUID = ACME) -> tuple[UUID, str]:
    async with db.directory() as connection:
        key = await create_api_key(connection, tenant_id, api_key_id=new_id(), label="till", now=clock.now())
    return key.api_key_id, key.token


async def test_a_key_leads_to_its_tenant_and_is_kept_as_a_hash_only(db: Database, clock: Clock, new_id: NewId) -> None:
    _, token = await made(db, clock, new_id)
    assert token.startswith("tm_")
    async with db.directory() as connection:
        found = await find_api_key(connection, token)
        rows = await connection.fetch("SELECT api_key::text AS row FROM api_key")
    assert found is not None
    assert found.tenant_id == ACME
    assert len(rows) == 1
    assert token[3:] not in rows[0]["row"]
    assert token[3:].encode().hex() not in rows[0]["row"]


async def test_the_token_does_not_show_where_a_key_is_printed(db: Database, clock: Clock, new_id: NewId) -> None:
    async with db.directory() as connection:
        key = await create_api_key(connection, ACME, api_key_id=new_id(), label="", now=clock.now())
    assert key.token not in repr(key)


@pytest.mark.parametrize("token", ["", "tm_", "tm_unknown", "Bearer x", "tm_\x00", "tm_\ud800", "tm_" + "x" * 10_000])
async def test_an_unknown_token_leads_nowhere(db: Database, token: str) -> None:
    async with db.directory() as connection:
        assert await find_api_key(connection, token) is None


async def test_a_revoked_key_leads_nowhere_at_once(db: Database, clock: Clock, new_id: NewId) -> None:
    api_key_id, token = await made(db, clock, new_id)
    async with db.directory() as connection:
        await revoke_api_key(connection, ACME, api_key_id, now=clock.now())
        assert await find_api_key(connection, token) is None
        clock.advance(seconds=60)
        await revoke_api_key(connection, ACME, api_key_id, now=clock.now())
        listed = await list_api_keys(connection, ACME)
    assert [key.revoked_at for key in listed] == [clock.now() - timedelta(seconds=60)]


async def test_a_key_cannot_be_listed_or_revoked_by_another_tenant(db: Database, clock: Clock, new_id: NewId) -> None:
    api_key_id, token = await made(db, clock, new_id)
    async with db.directory() as connection:
        assert await list_api_keys(connection, MALLORY) == []
        with pytest.raises(BadInputError, match="there is no key"):
            await revoke_api_key(connection, MALLORY, api_key_id, now=clock.now())
        assert await find_api_key(connection, token) is not None


async def test_a_use_is_noted_at_most_once_a_minute(db: Database, clock: Clock, new_id: NewId) -> None:
    _, token = await made(db, clock, new_id)
    noted = []
    for _ in range(4):
        async with db.directory() as connection:
            await find_api_key(connection, token, now=clock.now())
            noted.append((await list_api_keys(connection, ACME))[0].last_used_at)
        clock.advance(seconds=25)
    first = clock.now() - timedelta(seconds=100)
    assert noted == [first, first, first, first + timedelta(seconds=75)]


async def test_a_label_has_a_limit(db: Database, clock: Clock, new_id: NewId) -> None:
    async with db.directory() as connection:
        await create_api_key(connection, ACME, api_key_id=new_id(), label="x" * 80, now=clock.now())
        with pytest.raises(BadInputError, match="at most 80"):
            await create_api_key(connection, ACME, api_key_id=new_id(), label="x" * 81, now=clock.now())


async def test_an_owner_signs_in_with_the_address_as_typed_or_not(db: Database, clock: Clock, new_id: NewId) -> None:
    member_id = new_id()
    async with db.transaction(ACME) as connection:
        await create_member(
            connection, ACME, member_id=member_id, email=" Inge@Lindenhof.example ", password="zwölf Zeichen!",
            role="owner", now=clock.now(),
        )  # fmt: skip
        row = await connection.fetchrow(
            """SELECT tenant_id, password_hash FROM sign_in JOIN member USING (tenant_id, member_id)
               WHERE sign_in.email = $1""",
            "inge@lindenhof.example",
        )
    assert row is not None
    assert row["tenant_id"] == ACME
    assert row["password_hash"].startswith("$argon2id$")
    assert PasswordHasher().verify(row["password_hash"], "zwölf Zeichen!")


async def test_an_address_signs_in_to_one_tenant_only(db: Database, clock: Clock, new_id: NewId) -> None:
    async def member(tenant_id: UUID) -> None:
        async with db.transaction(tenant_id) as connection:
            await create_member(
                connection, tenant_id, member_id=new_id(), email="inge@lindenhof.example", password="a good password",
                role="owner", now=clock.now(),
            )  # fmt: skip

    await member(ACME)
    with pytest.raises(BadInputError, match="signs in already"):
        await member(MALLORY)


@pytest.mark.parametrize(
    ("email", "password", "complaint"),
    [
        ("inge", "a good password", "name@example.com"),
        ("@example.com", "a good password", "name@example.com"),
        ("a b@example.com", "a good password", "name@example.com"),
        ("inge@localhost", "a good password", "name@example.com"),
        ("inge@example.com", "elf zeichen", "12 to 200"),
        ("inge@example.com", "x" * 201, "12 to 200"),
    ],
)
async def test_a_poor_address_or_password_is_refused(
    db: Database, clock: Clock, email: str, password: str, complaint: str
) -> None:
    async with db.transaction(ACME) as connection:
        with pytest.raises(BadInputError, match=complaint):
            await create_member(
                connection, ACME, member_id=uuid4(), email=email, password=password, role="owner", now=clock.now()
            )
        assert await connection.fetchval("SELECT count(*) FROM sign_in") == 0
