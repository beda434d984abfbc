"""What holds for every route: who may ask, what belongs to whom, how refusals look."""

import base64
from collections.abc import Mapping
from uuid import uuid4

from gateway.alerts import raise_alert
from gateway.api.call import PREFIX
from gateway.api.routes import ROUTES
from gateway.identity import list_api_keys, revoke_api_key
from tests.cast import CREDIT_MILLICREDITS, Cast
from tests.conftest import Clock
from tests.gateway.api.conftest import Caller, Salon, an_agent
from tests.gateway.api.test_calls import a_phone_call

BODIES: Mapping[str, object] = {
    "AgentTable": an_agent("Mallory"),
    "NewMessage": {"text": "Hallo"},
    "Publication": {},
    "RollBack": {"version": 1},
    "WebhookChange": {"enabled": True},
}
# What is deleted is not there for the routes after it.
IN_ORDER = sorted(ROUTES, key=lambda route: route.method == "DELETE")
LISTS = [route.path for route in ROUTES if route.method == "GET" and "cursor" in route.query.model_fields]


async def acmes_things(acme: Caller, salon: Salon) -> dict[str, str]:
    """Something of acme's for every place in a path."""
    services = salon.services
    conversation_id = await salon.receive("Hallo")
    sent = await acme.post(f"/conversations/{conversation_id}/messages", {"text": "Guten Tag"})
    await acme.ask("PUT", f"/agents/{salon.agent_id}/draft", an_agent("Entwurf"))
    alert_id, order_id = services.new_id(), services.new_id()
    await acme.post("/plan", {"plan": "Start"})
    webhook = (await acme.post("/webhooks", {"url": "https://salon.example/hook"})).content
    await acme.post(f"/webhooks/{webhook['id']}/test")
    [delivery] = await acme.walk(f"/webhooks/{webhook['id']}/deliveries")
    async with services.db.transaction(salon.tenant_id) as connection:
        await raise_alert(
            connection,
            salon.tenant_id,
            kind="model_down",
            dedupe_key="once",
            detail={},
            now=services.now(),
            new_id=lambda: alert_id,
        )
        await connection.execute(
            """INSERT INTO number_order (tenant_id, order_id, line_id, number, kind, country, agent_id, channels, state,
                                         claimed_until, created_at, ended_at)
               VALUES ($1, $2, $3, '+4915199999999', 'mobile', 'DE', $4, '{sms}', 'failed', $5, $5, $5)""",
            salon.tenant_id,
            order_id,
            services.new_id(),
            salon.agent_id,
            services.now(),
        )
    return {
        "conversation_id": str(conversation_id),
        "receipt_id": sent.content["receipt_id"],
        "agent_id": str(salon.agent_id),
        "alert_id": str(alert_id),
        "version": "1",
        "webhook_id": webhook["id"],
        "delivery_id": delivery["id"],
        "line_id": str(salon.line_id),
        "order_id": str(order_id),
        "call_id": str(await a_phone_call(salon)),
        "month": "2026-11",
    }


async def test_without_a_key_nothing_is_told(nobody: Caller, acme: Caller, salon: Salon) -> None:
    things = await acmes_things(acme, salon)
    for route in ROUTES:
        for stranger in (nobody, Caller(nobody.client, "tm_unknown"), Caller(nobody.client, "\u00e9 x")):
            answer = await stranger.ask(route.method, route.path.format(**things), BODIES.get(route.body.__name__))
            assert (answer.status, answer.code) == (401, "unauthorized"), route
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_what_is_another_tenants_is_not_there(acme: Caller, mallory: Caller, salon: Salon) -> None:
    things = await acmes_things(acme, salon)
    for route in IN_ORDER:
        if "{" in route.path and "{month}" not in route.path:  # a month is nobody's
            path, body = route.path.format(**things), BODIES.get(route.body.__name__)
            answer = await mallory.ask(route.method, path, body)
            assert (answer.status, answer.code) == (404, "not_found"), route
            assert (await acme.ask(route.method, path, body)).status != 404, "or else this says nothing"


async def test_lists_hold_only_ones_own(acme: Caller, mallory: Caller, salon: Salon) -> None:
    await acmes_things(acme, salon)
    for path in LISTS:
        if "{" not in path:
            assert await acme.walk(path) != [], path
            theirs = await mallory.walk(path)
            assert [each for each in theirs if each.get("kind") != "grant"] == [], path


async def test_nothing_of_acmes_changes_when_mallory_tries(acme: Caller, mallory: Caller, salon: Salon) -> None:
    things = await acmes_things(acme, salon)
    before = [await acme.get(path.format(**things)) for path in LISTS]
    agent = await acme.get(f"/agents/{salon.agent_id}")
    for route in ROUTES:
        if route.method != "GET" and "{" in route.path:
            await mallory.ask(route.method, route.path.format(**things), BODIES.get(route.body.__name__))
    assert [await acme.get(path.format(**things)) for path in LISTS] == before
    assert await acme.get(f"/agents/{salon.agent_id}") == agent


async def test_a_revoked_key_opens_nothing(acme: Caller, salon: Salon, cast: Cast, clock: Clock) -> None:
    assert (await acme.ask("GET", "/balance")).status == 200
    async with salon.services.db.directory() as connection:
        [key] = await list_api_keys(connection, cast.acme)
        assert key.last_used_at == clock.now()
        await revoke_api_key(connection, cast.acme, key.api_key_id, now=clock.now())
    assert (await acme.ask("GET", "/balance")).status == 401


async def test_only_a_bearer_key_is_one(acme: Caller, nobody: Caller) -> None:
    for header in ("", "Bearer", "Bearer ", "Basic {token}", "{token}", "Bearer {token}x"):
        given = header.format(token=acme.token)
        assert (await nobody.ask("GET", "/balance", headers={"Authorization": given})).status == 401
    for scheme in ("Bearer", "bearer", "BEARER"):
        answer = await nobody.ask("GET", "/balance", headers={"Authorization": f"{scheme} {acme.token}"})
        assert answer.content["balance_millicredits"] == CREDIT_MILLICREDITS


async def test_a_page_has_between_1_and_200_items(acme: Caller) -> None:
    for path in (path for path in LISTS if "{" not in path):
        for limit in ("0", "201", "-1", "many", ""):
            answer = await acme.ask("GET", path, query={"limit": limit})
            assert (answer.status, answer.code, answer.fields) == (422, "invalid_request", ["limit"])
        assert (await acme.ask("GET", path, query={"limit": 200})).status == 200


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


STRANGE_CURSORS = (
    "",
    "x",
    "ä",
    "x" * 501,
    encoded("7"),
    encoded("{}"),
    encoded("[]"),
    encoded("[1.5]"),
    encoded("[-1]"),
    encoded(f"[{2**63}]"),
    encoded('["2026-11-24T10:00:00","00000000000000000000000000000000"]'),
    encoded('["now","00000000000000000000000000000000"]'),
    encoded('["2026-11-24T10:00:00+00:00","x"]'),
    encoded("[[[["),
)


async def test_a_cursor_from_elsewhere_is_refused(acme: Caller) -> None:
    for path in ("/ledger", "/receipts", "/conversations", "/alerts"):
        for cursor in STRANGE_CURSORS:
            answer = await acme.ask("GET", path, query={"cursor": cursor})
            assert (answer.status, answer.fields) == (422, ["cursor"]), cursor


async def test_a_misspelled_parameter_is_refused(acme: Caller) -> None:
    answer = await acme.ask("GET", "/ledger", query={"limt": 5})
    assert (answer.status, answer.fields) == (422, ["limt"])
    assert (await acme.ask("GET", "/balance", query={"x": 1})).fields == ["x"]


async def test_ids_that_nobody_has_are_not_found(acme: Caller) -> None:
    for thing in (uuid4(), "x", "00000000", "%00"):
        for path in (f"/receipts/{thing}", f"/conversations/{thing}", f"/conversations/{thing}/messages"):
            assert (await acme.ask("GET", path)).code == "not_found"


async def test_what_is_not_in_the_api_is_not_found(acme: Caller) -> None:
    assert (await acme.ask("GET", "/wallets")).code == "not_found"
    assert (await acme.ask("DELETE", "/balance")).code == "method_not_allowed"
    assert PREFIX == "/api/v1", "other people's programs rely on it"
