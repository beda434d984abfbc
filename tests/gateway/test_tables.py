from collections.abc import AsyncIterator

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel import AutoString, SQLModel

import agents.tables
import gateway.announcement_tables
import gateway.call_tables
import gateway.conversation_tables
import gateway.tables
import metering.tables

MODULES = (
    agents.tables,
    gateway.announcement_tables,
    gateway.call_tables,
    gateway.conversation_tables,
    gateway.tables,
    metering.tables,
)
# They lead to a tenant, so they cannot begin with one; what nobody could be found for has none.
DIRECTORY = {
    "tenant",
    "line_directory",
    "api_key",
    "sign_in",
    "invoice_directory",
    "quarantine",
    "alembic_version",
    "call_token",
}


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def names_of(owner: "asyncpg.Connection[asyncpg.Record]", question: str) -> set[str]:
    return {row[0] for row in await owner.fetch(question)}


def _is_other_type(_context: object, _found: object, _column: object, found: object, said: object) -> bool | None:
    """Text has two names: SQLModel's is a VARCHAR without a length, which PostgreSQL treats as the same."""
    return False if isinstance(found, Text) and isinstance(said, AutoString) else None


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": _is_other_type})
    return list(compare_metadata(context, SQLModel.metadata))


def test_every_table_is_described_by_one_class() -> None:
    rows = [name for module in MODULES for name in vars(module) if name.endswith("Row")]
    assert len(rows) == len(set(rows)) == len(SQLModel.metadata.tables)


async def test_the_models_and_the_migrated_schema_agree(database_url: str) -> None:
    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(database_url)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
    await engine.dispose()


async def test_the_tenant_leads_every_primary_key_and_every_unique_index(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    unique = await owner.fetch(
        """
        SELECT i.indrelid::regclass::text AS relation, i.indexrelid::regclass::text AS name, a.attname AS leads
        FROM pg_index i
        JOIN pg_class c ON c.oid = i.indrelid
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indisunique AND c.relnamespace = 'public'::regnamespace
        """
    )
    assert len(unique) > 40
    assert [row["name"] for row in unique if row["leads"] != "tenant_id" and row["relation"] not in DIRECTORY] == []


async def test_every_table_of_a_tenant_stands_behind_the_second_wall(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    everything = await names_of(owner, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    walled = await names_of(
        owner, "SELECT relname FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace"
    )
    assert everything - walled == DIRECTORY
    policies = await names_of(
        owner, "SELECT tablename FROM pg_policies WHERE policyname = 'tenant_only' AND roles = '{turnmeter_app}'"
    )
    assert policies == walled


async def test_the_roles_own_nothing_and_cannot_pass_the_wall(owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    roles = await owner.fetch(
        "SELECT rolname, rolsuper OR rolbypassrls OR rolcanlogin AS strong FROM pg_roles WHERE rolname = ANY ($1)",
        ["turnmeter_app", "turnmeter_queue", "turnmeter_jobs"],
    )
    assert [row["strong"] for row in roles] == [False, False, False]
    owners = await names_of(
        owner, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('public', 'turnmeter_jobs')"
    )
    assert owners.isdisjoint({"turnmeter_app", "turnmeter_queue", "turnmeter_jobs"})


async def test_the_queue_role_reads_no_texts_and_no_addresses(owner: "asyncpg.Connection[asyncpg.Record]") -> None:
    readable = await owner.fetch(
        """
        SELECT table_name, column_name FROM information_schema.column_privileges
        WHERE grantee = 'turnmeter_queue' AND privilege_type = 'SELECT' AND table_schema = 'public'
        """
    )
    columns = {(row["table_name"], row["column_name"]) for row in readable}
    texts = {"text", "content", "name", "facts", "reply_address", "address", "detail", "lines", "arguments", "result"}
    private = {(table, column) for table, column in columns if column in texts and table != "quarantine"}
    assert private == {("tenant", "name")}
    assert {table for table, _ in columns}.isdisjoint({"message", "message_media", "contact", "contact_address"})


async def test_the_jobs_role_reaches_schedules_and_nothing_of_a_tenant(
    owner: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    reachable = await owner.fetch(
        """
        SELECT DISTINCT table_schema || '.' || table_name FROM information_schema.table_privileges
        WHERE grantee = 'turnmeter_jobs'
        """
    )
    assert {row[0] for row in reachable} == {"turnmeter_jobs.pgqueuer_schedules", "turnmeter_jobs.pgqueuer_log"}
    others = await owner.fetch(
        """
        SELECT grantee FROM information_schema.table_privileges
        WHERE table_schema = 'turnmeter_jobs' AND grantee IN ('turnmeter_app', 'turnmeter_queue')
        """
    )
    assert others == []
