"""The operator sees what was signed and led nowhere."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from tests.gateway.cli.installation import Installation


def test_what_was_put_aside_is_shown_with_its_reason_newest_first(installation: Installation) -> None:
    async def put_aside(url: str) -> None:
        connection = await asyncpg.connect(url)
        for number, reason in enumerate(("malformed", "unknown_line")):
            await connection.execute(
                "INSERT INTO quarantine VALUES ($1, 'meta', $2, 'whatsapp_phone_number_id 999', $3, $4)",
                UUID(int=number + 1),
                reason,
                b'{"entry": []}',
                datetime(2026, 11, 25, 8, number, tzinfo=UTC),
            )
        await connection.close()

    assert installation.database_url is not None
    installation.succeed("migrate")
    asyncio.run(put_aside(installation.database_url))
    shown = installation.succeed("quarantine", "--json").json["items"]
    assert [(item["reason"], item["body"]) for item in shown] == [
        ("unknown_line", '{"entry": []}'),
        ("malformed", '{"entry": []}'),
    ]
    assert len(installation.succeed("quarantine", "--limit", "1", "--json").json["items"]) == 1
    assert "unknown_line" in installation.succeed("quarantine").out
    assert installation.run("quarantine", "--limit", "0").code == 2
