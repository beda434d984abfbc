import asyncio

import asyncpg

from tests.gateway.cli.installation import ROOT, Installation


def falsify(installation: Installation, statement: str, tenant_id: str) -> None:
    """Change the books behind turnmeter's back, as the database's owner could."""

    async def run() -> None:
        connection = await asyncpg.connect(installation.database_url)
        await connection.execute(statement, tenant_id)
        await connection.close()

    asyncio.run(run())


def test_books_that_agree_pass_with_a_count_of_what_was_checked(installation: Installation) -> None:
    installation.succeed("tenant", "create", "Honest", "--plan", "Start")
    installation.succeed("apply", "Honest", str(ROOT / "examples/lindenhof.toml"))
    assert installation.succeed("audit", "Honest", "--json").json == {
        "tenants": 1,
        "entries": 2,
        "receipts": 1,
        "differences": [],
    }
    assert "1 tenants, 2 entries, 1 receipts: all books agree." in installation.succeed("audit", "Honest").out


def test_a_changed_balance_fails_the_audit_of_that_tenant_and_of_all(installation: Installation) -> None:
    for name in ("Changed", "Untouched"):
        tenant_id = installation.succeed("tenant", "create", name, "--plan", "Start", "--json").json["tenant_id"]
        if name == "Changed":
            falsify(
                installation,
                "UPDATE wallet SET balance_millicredits = balance_millicredits + 1 WHERE tenant_id = $1::text::uuid",
                tenant_id,
            )
    failed = installation.run("audit")
    assert failed.code == 1
    assert failed.err.startswith("turnmeter: Changed: ")
    assert "150000001 found" in failed.err
    assert "the books of 1 do not agree" in failed.out
    differences = installation.run("audit", "Changed", "--json")
    assert differences.code == 1
    assert differences.json["differences"]
    assert installation.succeed("audit", "Untouched", "--json").json["differences"] == []
