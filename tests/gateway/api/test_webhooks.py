"""An owner's systems subscribe to events, look at what was sent and ask for it again; nobody else's do."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from gateway.services import Services
from gateway.webhook_delivery import deliver_due
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.api.conftest import Caller
from tests.gateway.receiver import Receiver

URL = "https://salon.example/hook"


async def make(caller: Caller, **body: object) -> Any:  # noqa: ANN401 - JSON
    answer = await caller.post("/webhooks", {"url": URL, **body})
    assert answer.status == 201, answer
    return answer.content


async def test_a_secret_is_shown_when_it_is_made_and_when_it_is_renewed(acme: Caller) -> None:
    made = await make(acme, kinds=["turn.completed"])
    assert made["secret"].startswith("whsec_")
    shown = await acme.get(f"/webhooks/{made['id']}")
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert await acme.walk("/webhooks") == [shown]
    renewed = (await acme.post(f"/webhooks/{made['id']}/rotate")).content
    assert renewed["secret"].startswith("whsec_")
    assert renewed["secret"] != made["secret"]
    assert renewed["id"] == made["id"]


async def test_a_webhook_is_changed_switched_off_and_deleted(acme: Caller) -> None:
    made = await make(acme)
    path = f"/webhooks/{made['id']}"
    changed = await acme.ask("PATCH", path, {"url": URL + "2", "kinds": ["balance.low"]})
    assert (changed.content["url"], changed.content["kinds"], changed.content["enabled"]) == (
        URL + "2",
        ["balance.low"],
        True,
    )
    off = await acme.ask("PATCH", path, {"enabled": False})
    assert (off.content["enabled"], off.content["disabled_reason"], off.content["url"]) == (False, "by_hand", URL + "2")
    assert (await acme.post(f"{path}/test")).code == "webhook_disabled"
    on = await acme.ask("PATCH", path, {"enabled": True})
    assert (on.content["enabled"], on.content["disabled_reason"]) == (True, None)
    assert (await acme.ask("DELETE", path)).status == 204
    assert (await acme.ask("DELETE", path)).status == 404
    assert await acme.walk("/webhooks") == []


@pytest.mark.parametrize(
    "url", ["http://salon.example/hook", "https://127.0.0.1/hook", "https://localhost/", "salon.example", ""]
)
async def test_a_url_that_leads_nowhere_or_inside_is_refused(acme: Caller, url: str) -> None:
    answer = await acme.post("/webhooks", {"url": url})
    assert (answer.status, answer.fields) == (422, ["url"])
    made = await make(acme)
    assert (await acme.ask("PATCH", f"/webhooks/{made['id']}", {"url": url})).fields == ["url"]


async def test_an_unknown_kind_is_refused(acme: Caller) -> None:
    assert (await acme.post("/webhooks", {"url": URL, "kinds": ["turn.begun"]})).status == 422


async def test_ten_webhooks_are_enough(acme: Caller) -> None:
    for _ in range(10):
        await make(acme)
    assert (await acme.post("/webhooks", {"url": URL})).code == "too_many_webhooks"


async def test_another_tenants_webhook_is_not_found(acme: Caller, mallory: Caller) -> None:
    made = await make(acme)
    tried = (await acme.post(f"/webhooks/{made['id']}/test")).content
    for method, path in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/rotate"),
        ("POST", "/test"),
        ("GET", "/deliveries"),
        ("POST", f"/deliveries/{tried['id']}/retry"),
    ):
        assert (await mallory.ask(method, f"/webhooks/{made['id']}{path}", {})).status == 404, path
    assert await mallory.walk("/webhooks") == []
    assert (await acme.get(f"/webhooks/{made['id']}"))["enabled"]
    assert (await acme.post(f"/webhooks/{made['id']}/deliveries/{uuid4()}/retry")).status == 404


async def test_a_test_event_is_sent_logged_and_sent_again(
    acme: Caller, services: Services, cast: Cast, clock: Clock
) -> None:
    receiver = Receiver()
    server = await receiver.start()
    made = await make(acme, kinds=["balance.low"])
    path = f"/webhooks/{made['id']}"
    inside = replace(services, limits=replace(services.limits, webhooks_may_stay_inside=True))
    async with services.db.transaction(cast.acme) as connection:
        await connection.execute("UPDATE webhook_endpoint SET url = $1", receiver.url)
    queued = await acme.post(f"{path}/test")
    assert (queued.status, queued.content["kind"], queued.content["state"]) == (202, "webhook.test", "pending")
    await deliver_due(inside)
    [delivery] = await acme.walk(f"{path}/deliveries")
    assert (delivery["state"], delivery["attempts"], delivery["last_status"]) == ("delivered", 1, 200)
    assert receiver.received[0].is_signed_by(made["secret"])
    assert receiver.received[0].body == delivery["body"]
    again = await acme.post(f"{path}/deliveries/{delivery['id']}/retry")
    assert (again.status, again.content["state"]) == (202, "pending")
    await deliver_due(inside)
    assert [post.webhook_id for post in receiver.received] == [f"evt_{UUID(delivery['id']).hex}"] * 2
    for _ in range(4):
        clock.advance(seconds=1)
        await acme.post(f"{path}/test")
    assert len(await acme.walk(f"{path}/deliveries", limit=2)) == 5
    await server.close()
