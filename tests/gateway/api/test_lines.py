from tests.gateway.api.conftest import Caller, Salon


async def test_lines_are_listed_without_their_secrets(acme: Caller, salon: Salon) -> None:
    assert await acme.get("/lines") == {
        "items": [
            {
                "id": str(salon.line_id),
                "number": "+4915100000001",
                "kind": "mobile",
                "channels": ["whatsapp", "sms"],
                "agent_id": str(salon.agent_id),
                "whatsapp_provider": "meta",
                "whatsapp_phone_number_id": "1000001",
                "state": "active",
                "provisioned_on": "2026-11-01",
                "rented_until": None,
                "unpaid_since": None,
            }
        ],
        "next_cursor": None,
    }


async def test_pages_show_every_line_once(acme: Caller, salon: Salon) -> None:
    for number in ("+493000000001", "+4915100000009", "+4915100000000"):
        await salon.sql(
            """INSERT INTO line (tenant_id, line_id, number, kind, channels, agent_id, provisioned_on, created_at)
               SELECT tenant_id, gen_random_uuid(), $1, 'mobile', '{sms}', agent_id, provisioned_on, created_at
               FROM line LIMIT 1""",
            number,
        )
    assert [each["number"] for each in await acme.walk("/lines", limit=2)] == [
        "+4915100000000",
        "+4915100000001",
        "+4915100000009",
        "+493000000001",
    ]
