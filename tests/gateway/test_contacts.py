"""One person is one contact, whichever addresses lead there and however many messages arrive at once."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from gateway.channels.base import Address
from gateway.contacts import LONGEST_NAME, find, resolve
from gateway.db import Database
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.waiting import until_somebody_waits

NUMBER = Address(kind="phone", value="+491700000101")
OTHER_NUMBER = Address(kind="phone", value="+491700000102")
USER_ID = Address(kind="bsuid", value="DE.1001")
PARENT_ID = Address(kind="parent_bsuid", value="DE.ENT.1001")


class Book:
    """A tenant's address book, each call in its own transaction, repeated after a deadlock as the inbox does it."""

    def __init__(self, db: Database, tenant_id: UUID, clock: Clock, new_id: Callable[[], UUID]) -> None:
        self.db, self.tenant_id, self.clock, self.new_id = db, tenant_id, clock, new_id

    async def resolve(self, *addresses: Address, name: str = "") -> UUID:
        while True:
            with contextlib.suppress(asyncpg.DeadlockDetectedError):
                async with self.db.transaction(self.tenant_id) as connection:
                    return await resolve(
                        connection, self.tenant_id, addresses, name=name, now=self.clock.now(), new_id=self.new_id
                    )

    async def find(self, *addresses: Address) -> UUID | None:
        async with self.db.transaction(self.tenant_id) as connection:
            return await find(connection, self.tenant_id, addresses)

    async def rows(self, query: str, *arguments: object) -> list[dict[str, Any]]:
        async with self.db.transaction(self.tenant_id) as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]

    async def owners(self) -> dict[str, UUID]:
        return {
            row["address"]: row["contact_id"]
            for row in await self.rows("SELECT address, contact_id FROM contact_address")
        }

    async def contacts(self) -> set[UUID]:
        return {row["contact_id"] for row in await self.rows("SELECT contact_id FROM contact")}

    async def window(
        self,
        contact_id: UUID,
        line_id: UUID,
        *,
        written: datetime | None,
        closed: datetime | None = None,
        opted_out: datetime | None = None,
    ) -> None:
        await self.rows(
            """INSERT INTO service_window
                 (tenant_id, line_id, contact_id, channel, last_customer_message_at, closed_by_provider_at,
                  opted_out_at)
               VALUES ($1, $2, $3, 'whatsapp', $4, $5, $6)""",
            self.tenant_id,
            line_id,
            contact_id,
            written,
            closed,
            opted_out,
        )

    async def two_contacts_with_windows(
        self, first: dict[str, datetime | None], second: dict[str, datetime | None]
    ) -> dict[str, Any]:
        """Let the same person, known twice, have two windows on one line; return the one that a merge leaves."""
        line_id = self.new_id()
        await self.window(await self.resolve(NUMBER), line_id, **{"written": None, **first})
        self.clock.advance(seconds=1)
        await self.window(await self.resolve(USER_ID), line_id, **{"written": None, **second})
        await self.resolve(NUMBER, USER_ID)
        [window] = await self.rows("SELECT * FROM service_window")
        return window


@pytest.fixture
def book(db: Database, cast: Cast, clock: Clock, new_id: Callable[[], UUID]) -> Book:
    return Book(db, cast.acme, clock, new_id)


async def test_any_of_the_addresses_leads_to_the_same_contact(book: Book) -> None:
    contact_id = await book.resolve(NUMBER, USER_ID, PARENT_ID)
    for address in (NUMBER, USER_ID, PARENT_ID):
        assert await book.resolve(address) == contact_id
        assert await book.find(address) == contact_id
    assert await book.contacts() == {contact_id}


async def test_an_address_seen_beside_a_known_one_is_learned(book: Book) -> None:
    contact_id = await book.resolve(NUMBER)
    assert await book.resolve(USER_ID, NUMBER) == contact_id
    assert await book.resolve(USER_ID) == contact_id


async def test_looking_for_somebody_unknown_makes_nobody(book: Book) -> None:
    assert await book.find(NUMBER) is None
    assert await book.contacts() == set()
    assert await book.owners() == {}


async def test_the_same_number_at_two_businesses_is_two_contacts(
    book: Book, db: Database, cast: Cast, clock: Clock, new_id: Callable[[], UUID]
) -> None:
    theirs = Book(db, cast.mallory, clock, new_id)
    assert await book.resolve(NUMBER) != await theirs.resolve(NUMBER)
    assert len(await book.contacts()) == 1


async def test_twenty_first_messages_at_the_same_moment_make_one_contact(book: Book) -> None:
    found = await asyncio.gather(*(book.resolve(NUMBER, USER_ID) for _ in range(20)))
    assert len(set(found)) == 1
    assert await book.contacts() == set(found)


async def test_first_messages_that_share_only_some_addresses_make_one_contact(book: Book) -> None:
    everybody = (NUMBER, USER_ID, PARENT_ID)
    await asyncio.gather(*(book.resolve(*some) for length in (2, 3) for some in permutations(everybody, length)))
    owners = set((await book.owners()).values())
    assert len(owners) == 1
    assert await book.contacts() == owners


async def test_contacts_that_are_merged_while_others_write_stay_one_contact(book: Book) -> None:
    await book.resolve(NUMBER)
    await book.resolve(USER_ID)
    await book.resolve(PARENT_ID)
    await asyncio.gather(
        *(book.resolve(*some) for _ in range(5) for some in ((NUMBER, USER_ID), (USER_ID, PARENT_ID), (PARENT_ID,)))
    )
    owners = set((await book.owners()).values())
    assert len(owners) == 1
    assert await book.contacts() == owners
    assert {await book.resolve(address) for address in (NUMBER, USER_ID, PARENT_ID)} == owners


async def test_a_merge_waits_for_whoever_works_with_the_contact(book: Book) -> None:
    older = await book.resolve(NUMBER)
    book.clock.advance(seconds=1)
    younger = await book.resolve(USER_ID)
    async with book.db.transaction(book.tenant_id) as connection:
        assert await find(connection, book.tenant_id, [USER_ID]) == younger
        merging = asyncio.create_task(book.resolve(NUMBER, USER_ID))
        await until_somebody_waits(book.db)
        await connection.execute(
            "INSERT INTO service_window (tenant_id, line_id, contact_id, channel) VALUES ($1, $2, $3, 'whatsapp')",
            book.tenant_id,
            book.new_id(),
            younger,
        )
    assert await merging == older
    assert await book.rows("SELECT contact_id FROM service_window") == [{"contact_id": older}]


async def test_the_older_contact_stays_and_gets_everything_the_younger_has(book: Book) -> None:
    older = await book.resolve(NUMBER, name="Anna")
    book.clock.advance(seconds=60)
    younger = await book.resolve(USER_ID, OTHER_NUMBER, name="A. Beispiel")
    ids = await _belongings(book, younger)
    assert await book.resolve(USER_ID, NUMBER) == older
    assert await book.contacts() == {older}
    assert set((await book.owners()).values()) == {older}
    for table, row_id in ids.items():
        assert await book.rows(f"SELECT {table}_id AS id, contact_id FROM {table}") == [
            {"id": row_id, "contact_id": older}
        ]
    [contact] = await book.rows("SELECT name FROM contact")
    assert contact["name"] == "Anna"


async def test_what_is_known_of_both_is_kept_the_older_having_the_last_word(book: Book) -> None:
    older = await book.resolve(NUMBER)
    book.clock.advance(seconds=60)
    younger = await book.resolve(USER_ID, name="Anna")
    for contact_id, facts in ((older, {"hair": "long"}), (younger, {"hair": "short", "since": "2024"})):
        await book.rows("UPDATE contact SET facts = $2 WHERE contact_id = $1", contact_id, facts)
    await book.resolve(NUMBER, USER_ID)
    [contact] = await book.rows("SELECT name, facts FROM contact")
    assert contact == {"name": "Anna", "facts": {"hair": "long", "since": "2024"}}


async def test_an_unknown_address_may_join_two_known_ones(book: Book) -> None:
    older = await book.resolve(NUMBER)
    book.clock.advance(seconds=60)
    await book.resolve(USER_ID)
    assert await book.resolve(NUMBER, USER_ID, PARENT_ID) == older
    assert await book.owners() == {NUMBER.value: older, USER_ID.value: older, PARENT_ID.value: older}


async def test_windows_on_different_lines_are_all_kept(book: Book) -> None:
    now = book.clock.now()
    older, younger = await book.resolve(NUMBER), await book.resolve(USER_ID)
    lines = {book.new_id(), book.new_id()}
    for contact_id, line_id in zip((older, younger), lines, strict=True):
        await book.window(contact_id, line_id, written=now)
    await book.resolve(NUMBER, USER_ID)
    windows = await book.rows("SELECT line_id, last_customer_message_at FROM service_window")
    assert {window["line_id"] for window in windows} == lines
    assert {window["last_customer_message_at"] for window in windows} == {now}


async def test_windows_of_different_channels_stay_apart(book: Book) -> None:
    now, line_id = book.clock.now(), book.new_id()
    older, younger = await book.resolve(NUMBER), await book.resolve(USER_ID)
    await book.window(older, line_id, written=now, opted_out=now - timedelta(hours=1))
    await book.rows("UPDATE service_window SET channel = 'sms'")
    await book.window(younger, line_id, written=now - timedelta(hours=2))
    await book.resolve(NUMBER, USER_ID)
    windows = await book.rows("SELECT channel, last_customer_message_at, opted_out_at FROM service_window")
    assert {window["channel"]: window["last_customer_message_at"] for window in windows} == {
        "sms": now,
        "whatsapp": now - timedelta(hours=2),
    }
    # Whoever wrote after a STOP by SMS has not taken it back.
    assert [window["opted_out_at"] for window in windows if window["channel"] == "sms"] == [now - timedelta(hours=1)]


async def test_of_two_windows_the_later_message_counts(book: Book) -> None:
    now = book.clock.now()
    window = await book.two_contacts_with_windows({"written": now - timedelta(hours=3)}, {"written": now})
    assert window["last_customer_message_at"] == now


@pytest.mark.parametrize("column", ["closed", "opted_out"])
async def test_a_closing_or_a_stop_survives_a_merge_unless_the_customer_wrote_since(book: Book, column: str) -> None:
    now = book.clock.now()
    name = {"closed": "closed_by_provider_at", "opted_out": "opted_out_at"}[column]
    window = await book.two_contacts_with_windows({"written": now - timedelta(hours=2), column: now}, {"written": now})
    assert window[name] == now


@pytest.mark.parametrize("column", ["closed", "opted_out"])
async def test_a_message_to_the_other_contact_since_then_opens_again(book: Book, column: str) -> None:
    now = book.clock.now()
    name = {"closed": "closed_by_provider_at", "opted_out": "opted_out_at"}[column]
    window = await book.two_contacts_with_windows(
        {"written": now - timedelta(hours=2), column: now - timedelta(hours=1)}, {"written": now}
    )
    assert window[name] is None


async def test_a_stop_of_somebody_who_never_wrote_survives_a_merge(book: Book) -> None:
    now = book.clock.now()
    window = await book.two_contacts_with_windows({"opted_out": now}, {})
    assert (window["last_customer_message_at"], window["opted_out_at"]) == (None, now)


async def test_the_name_follows_the_profile_and_is_never_lost_to_an_empty_one(book: Book) -> None:
    await book.resolve(NUMBER, name="Anna")
    await book.resolve(NUMBER, name="Anna B.")
    await book.resolve(NUMBER)
    assert await book.rows("SELECT name FROM contact") == [{"name": "Anna B."}]


async def test_a_very_long_name_is_cut_and_written_once(book: Book) -> None:
    await book.resolve(NUMBER, name="x" * 5_000)
    [first] = await book.rows("SELECT name, xmin::text AS version FROM contact")
    await book.resolve(NUMBER, name="x" * 5_000)
    [second] = await book.rows("SELECT name, xmin::text AS version FROM contact")
    assert first["name"] == "x" * LONGEST_NAME
    assert second == first


async def _belongings(book: Book, contact_id: UUID) -> dict[str, UUID]:
    """Give a contact a conversation, a message and an appointment; return the rows' ids by table."""
    ids = {table: book.new_id() for table in ("conversation", "message", "appointment")}
    tenant_id, line_id, agent_id, now = book.tenant_id, book.new_id(), book.new_id(), book.clock.now()
    await book.rows(
        """INSERT INTO conversation (tenant_id, conversation_id, line_id, contact_id, channel, reply_address_kind,
                                     reply_address, agent_id, agent_version, started_at, last_message_at)
           VALUES ($1, $2, $3, $4, 'whatsapp', 'bsuid', 'DE.1001', $5, 1, $6, $6)""",
        tenant_id,
        ids["conversation"],
        line_id,
        contact_id,
        agent_id,
        now,
    )
    await book.rows(
        """INSERT INTO message (tenant_id, message_id, conversation_id, line_id, contact_id, direction, author, kind,
                                state, created_at)
           VALUES ($1, $2, $3, $4, $5, 'in', 'customer', 'text', 'received', $6)""",
        tenant_id,
        ids["message"],
        ids["conversation"],
        line_id,
        contact_id,
        now,
    )
    await book.rows(
        """INSERT INTO appointment (tenant_id, appointment_id, agent_id, contact_id, service, during, created_at,
                                    changed_at)
           VALUES ($1, $2, $3, $4, 'Haarschnitt', tstzrange($5, $6), $7, $7)""",
        tenant_id,
        ids["appointment"],
        agent_id,
        contact_id,
        now + timedelta(days=1),
        now + timedelta(days=1, minutes=45),
        now,
    )
    return ids
