"""Phone calls on the command line."""

import asyncio
from uuid import UUID

import asyncpg

from tests.gateway.cli.installation import Installation

AGENT_AND_LINE = """
[[agent]]
name = "Rezeption"
instructions = "Du bist die Rezeption."
[agent.voice]
goodbye_text = "Tschüss!"
[[line]]
number = "+493000000001"
kind = "local"
agent = "Rezeption"
channels = ["voice"]
"""
CALL = "01a20cff-7d00-7000-8000-000000000001"


def ring(installation: Installation, tenant: str) -> None:
    async def insert() -> None:
        connection = await asyncpg.connect(installation.database_url)
        try:
            await connection.execute(
                """INSERT INTO call (tenant_id, call_id, conversation_id, line_id, contact_id, agent_id, agent_version,
                                     call_sid, engine, rate_card, state, lease_until, offered_at, stream_started_at,
                                     ended_at, end_reason, duration_s, minutes_charged, input_tokens, output_tokens,
                                     figures, provider_usage)
                   SELECT t.tenant_id, $2, $2, l.line_id, $2, l.agent_id, 1, 'CA1', 'realtime', 'card', 'ended', now(),
                          '2026-11-24 10:00+00', '2026-11-24 10:00:01+00', '2026-11-24 10:01:10+00', 'caller_hung_up',
                          70, 2, 690, 400, '{"first_audio_ms": 210}', '{"tokens": {"audio": 812}}'
                   FROM tenant t JOIN line l USING (tenant_id) WHERE t.name = $1""",
                tenant,
                UUID(CALL),
            )
            await connection.execute(
                """INSERT INTO call_leg (tenant_id, call_id, leg, state, time_limit_s, minutes_charged, outcome,
                                         dialled_at, ended_at)
                   SELECT tenant_id, $2, 1, 'ended', 600, 0, 'busy', '2026-11-24 10:01:00+00', '2026-11-24 10:01:05+00'
                   FROM tenant WHERE name = $1""",
                tenant,
                UUID(CALL),
            )
        finally:
            await connection.close()

    asyncio.run(insert())


def test_calls_are_listed_and_one_is_shown_with_all_that_is_known_of_it(installation: Installation) -> None:
    installation.succeed("tenant", "create", "Telefon")
    installation.succeed("credits", "grant", "Telefon", "20000", "--reason", "first")
    installation.succeed("apply", "Telefon", "-", stdin=AGENT_AND_LINE)
    assert installation.succeed("call", "list", "Telefon", "--json").json == {"items": []}
    ring(installation, "Telefon")
    [listed] = installation.succeed("call", "list", "Telefon", "--json").json["items"]
    assert (listed["id"], listed["state"], listed["minutes_charged"]) == (CALL, "ended", 2)
    people = installation.succeed("call", "list", "Telefon").out
    assert CALL in people
    assert "withheld" in people
    assert "ended (caller_hung_up)" in people
    shown = installation.succeed("call", "show", "Telefon", CALL, "--json").json
    assert (shown["input_tokens"], shown["charged_millicredits"], shown["caller"]) == (690, 0, None)
    assert [(leg["leg"], leg["outcome"]) for leg in shown["legs"]] == [(1, "busy")]
    told = installation.succeed("call", "show", "Telefon", CALL).out
    for expected in (
        "2026-11-24 11:00:01",
        "70 s",
        "690 in, 400 out",
        "ended (busy)",
        "first_audio_ms",
        "tokens.audio",
    ):
        assert expected in told


def test_what_is_no_call_of_the_tenant_is_refused(installation: Installation) -> None:
    installation.succeed("tenant", "create", "Stumm")
    assert "call list" in installation.refuse("call", "show", "Stumm", CALL)
    assert "not the id of a call" in installation.refuse("call", "show", "Stumm", "CA1")


def test_how_an_agent_is_on_the_phone_is_exported_and_applied_again(installation: Installation) -> None:
    installation.succeed("tenant", "create", "Export")
    installation.succeed("credits", "grant", "Export", "20000", "--reason", "first")
    installation.succeed("apply", "Export", "-", stdin=AGENT_AND_LINE.replace("0001", "0002"))
    exported = installation.succeed("export", "Export").out
    assert '[agent.voice]\ngoodbye_text = "Tschüss!"' in exported
    again = installation.succeed("apply", "Export", "-", "--json", stdin=exported).json
    assert [agent["change"] for agent in again["agents"]] == ["unchanged"]
