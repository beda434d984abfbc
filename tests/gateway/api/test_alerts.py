from uuid import uuid4

from gateway.alerts import raise_alert
from tests.conftest import Clock
from tests.gateway.api.conftest import Caller, Salon


async def tell(salon: Salon, kind: str) -> None:
    services = salon.services
    async with services.db.transaction(salon.tenant_id) as connection:
        await raise_alert(
            connection,
            salon.tenant_id,
            kind=kind,
            dedupe_key=kind,
            detail={"line_id": str(salon.line_id)},
            now=services.now(),
            new_id=services.new_id,
        )


async def test_alerts_are_listed_newest_first_until_acknowledged(acme: Caller, salon: Salon, clock: Clock) -> None:
    for number in range(5):
        await tell(salon, f"model_down_{number}")
        clock.advance(seconds=1)
    alerts = await acme.walk("/alerts", limit=2)
    assert [each["kind"] for each in alerts] == [f"model_down_{number}" for number in reversed(range(5))]
    assert alerts[0]["detail"] == {"line_id": str(salon.line_id)}
    answer = await acme.post(f"/alerts/{alerts[0]['id']}/acknowledge")
    assert (answer.status, answer.content) == (204, None)
    still_open = await acme.walk("/alerts", open_only="true")
    assert [each["kind"] for each in still_open] == [f"model_down_{number}" for number in reversed(range(4))]
    assert (await acme.get("/alerts", limit=1))["items"][0]["acknowledged_at"] is not None


async def test_an_unknown_alert_is_not_found(acme: Caller) -> None:
    assert (await acme.post(f"/alerts/{uuid4()}/acknowledge")).status == 404
    assert (await acme.post("/alerts/7/acknowledge")).status == 404
