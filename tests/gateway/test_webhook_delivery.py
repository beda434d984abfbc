"""Events reach an owner's system: signed, once if it takes them, again if it does not, and never elsewhere."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.db import Database
from gateway.events_out import record_event
from gateway.secret_box import SecretBox
from gateway.services import Services
from gateway.webhook_delivery import deliver_as_they_come, deliver_due
from gateway.webhook_log import Delivery, forget_old, list_deliveries, send_again
from gateway.webhook_store import (
    Endpoint,
    change_endpoint,
    create_endpoint,
    delete_endpoint,
    list_endpoints,
    renew_secret,
    rotate_secrets,
)
from tests.cast import Cast
from tests.conftest import Clock
from tests.gateway.receiver import Receiver
from tests.gateway.wiring import wired

DAY_S = 86_400.0


@dataclass
class Desk:
    """One tenant's webhooks, each call in its own transaction."""

    services: Services
    tenant_id: UUID
    clock: Clock

    async def open(self, url: str, kinds: Sequence[str] = ()) -> tuple[UUID, str]:
        endpoint_id = self.services.new_id()
        async with self.services.db.transaction(self.tenant_id) as connection:
            secret = await create_endpoint(
                connection,
                self.tenant_id,
                endpoint_id=endpoint_id,
                url=url,
                kinds=kinds,
                secret_box=self.services.secret_box,
                may_stay_inside=True,
                now=self.services.now(),
            )
        return endpoint_id, secret

    async def happen(
        self,
        kind: str = "delivery.failed",
        subject_id: UUID | None = None,
        *,
        then: Callable[[], object] = bool,
        **detail: object,
    ) -> None:
        async with self.services.db.transaction(self.tenant_id) as connection:
            await record_event(
                connection,
                self.tenant_id,
                kind=kind,
                subject_id=subject_id or self.services.new_id(),
                detail=detail,
                now=self.services.now(),
                new_id=self.services.new_id,
            )
            then()

    async def log(self, endpoint_id: UUID) -> list[Delivery]:
        async with self.services.db.transaction(self.tenant_id) as connection:
            return await list_deliveries(connection, self.tenant_id, endpoint_id, limit=100)

    async def endpoints(self) -> list[Endpoint]:
        async with self.services.db.transaction(self.tenant_id) as connection:
            return await list_endpoints(connection, self.tenant_id)

    async def later(self, *, seconds: float) -> None:
        self.clock.advance(seconds=seconds)
        await deliver_due(self.services)

    async def alerts(self) -> list[dict[str, Any]]:
        async with self.services.db.transaction(self.tenant_id) as connection:
            return [dict(row) for row in await connection.fetch("SELECT kind, detail FROM alert")]


def inside(services: Services, **limits: object) -> Services:
    changed = {"webhooks_may_stay_inside": True, **limits}
    return replace(services, limits=replace(services.limits, **changed))  # type: ignore[arg-type]  # of one limit each


@pytest.fixture
async def services(db: Database, clock: Clock, new_id: Callable[[], UUID], tmp_path: Path) -> AsyncIterator[Services]:
    async with wired(db, clock, new_id, tmp_path) as services:
        yield inside(services)


@pytest.fixture
def desk(services: Services, cast: Cast, clock: Clock) -> Desk:
    return Desk(services, cast.acme, clock)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    server = await made.start()
    yield made
    await server.close()


async def test_an_event_arrives_once_signed_and_as_it_was_recorded(
    desk: Desk, receiver: Receiver, services: Services
) -> None:
    endpoint_id, secret = await desk.open(receiver.url)
    message_id = services.new_id()
    await desk.happen("delivery.failed", message_id, message_id=message_id, code="131026")
    await deliver_due(services)
    await deliver_due(services)
    [post] = receiver.received
    assert post.is_signed_by(secret)
    assert not post.is_signed_by("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert post.body == {
        "type": "delivery.failed",
        "timestamp": "2026-11-24T10:00:00.000000Z",
        "data": {"message_id": str(message_id), "code": "131026"},
    }
    [delivery] = await desk.log(endpoint_id)
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("delivered", 1, 200)
    assert post.webhook_id == f"evt_{delivery.event_id.hex}"


async def test_only_endpoints_that_want_a_kind_and_are_on_hear_of_it(desk: Desk, receiver: Receiver) -> None:
    await desk.open(receiver.url + "?all")
    await desk.open(receiver.url, ["balance.low"])
    off, _ = await desk.open(receiver.url)
    async with desk.services.db.transaction(desk.tenant_id) as connection:
        await change_endpoint(connection, desk.tenant_id, off, enabled=False, may_stay_inside=True)
    await desk.happen("delivery.failed")
    await desk.happen("balance.low")
    await deliver_due(desk.services)
    assert sorted(receiver.kinds) == ["balance.low", "balance.low", "delivery.failed"]
    assert await desk.log(off) == []


async def test_each_tenant_hears_of_its_own(desk: Desk, receiver: Receiver, cast: Cast) -> None:
    await desk.open(receiver.url)
    await Desk(desk.services, cast.mallory, desk.clock).happen()
    await deliver_due(desk.services)
    assert receiver.received == []


async def test_what_is_recorded_twice_is_told_once(desk: Desk, receiver: Receiver) -> None:
    await desk.open(receiver.url)
    turn_id = desk.services.new_id()
    await desk.happen("turn.completed", turn_id)
    await desk.happen("turn.completed", turn_id)
    await deliver_due(desk.services)
    assert receiver.kinds == ["turn.completed"]


async def test_a_receiver_that_is_down_gets_the_same_event_later(desk: Desk, receiver: Receiver) -> None:
    endpoint_id, secret = await desk.open(receiver.url)
    receiver.answer = lambda _post: 503
    await desk.happen()
    await deliver_due(desk.services)
    [endpoint] = await desk.endpoints()
    assert endpoint.failing_since == desk.clock.now()
    await desk.later(seconds=4.9)
    assert len(receiver.received) == 1
    await desk.later(seconds=1.2)
    [delivery] = await desk.log(endpoint_id)
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("pending", 2, 503)
    receiver.answer = lambda _post: 204
    await desk.later(seconds=360)
    first, second, third = receiver.received
    assert first.webhook_id == second.webhook_id == third.webhook_id
    assert third.timestamp_s > first.timestamp_s
    assert all(post.is_signed_by(secret) for post in receiver.received)
    [delivery] = await desk.log(endpoint_id)
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("delivered", 3, 204)
    [endpoint] = await desk.endpoints()
    assert endpoint.failing_since is None


async def test_nobody_listening_a_slow_answer_and_a_redirect_are_failures(desk: Desk, receiver: Receiver) -> None:
    nobody, _ = await desk.open("http://127.0.0.1:9/hook")
    await desk.happen()
    await deliver_due(desk.services)
    [delivery] = await desk.log(nobody)
    assert (delivery.state, delivery.last_status, delivery.last_error) == ("pending", None, "not_connected")

    moved, _ = await desk.open(receiver.url, ["balance.low"])
    receiver.answer = lambda _post: 307
    await desk.happen("balance.low")
    await deliver_due(desk.services)
    [delivery] = await desk.log(moved)
    assert (delivery.state, delivery.last_status) == ("pending", 307)

    slow, _ = await desk.open(receiver.url, ["tenant.paused"])
    receiver.pause_s = 0.5
    await desk.happen("tenant.paused")
    await deliver_due(inside(desk.services, webhook_answer_s=0.1))
    [delivery] = await desk.log(slow)
    assert (delivery.state, delivery.last_error) == ("pending", "timeout")


async def test_an_event_is_given_up_after_ten_attempts(desk: Desk, receiver: Receiver) -> None:
    endpoint_id, _ = await desk.open(receiver.url)
    receiver.answer = lambda _post: 500
    await desk.happen()
    await deliver_due(desk.services)
    for _ in range(12):
        await desk.later(seconds=1.3 * DAY_S)
        if (await desk.log(endpoint_id))[0].state != "pending":
            break
    assert len(receiver.received) <= 10


async def test_an_endpoint_that_fails_for_five_days_is_switched_off_and_the_owner_is_told(
    desk: Desk, receiver: Receiver
) -> None:
    endpoint_id, _ = await desk.open(receiver.url)
    receiver.answer = lambda _post: 500
    await desk.happen()
    for _ in range(5):
        await desk.happen()
        await desk.later(seconds=1.3 * DAY_S)
    [endpoint] = await desk.endpoints()
    assert (endpoint.enabled, endpoint.disabled_reason) == (False, "failing")
    assert {delivery.state for delivery in await desk.log(endpoint_id)} == {"failed"}
    [alert] = await desk.alerts()
    assert alert == {"kind": "webhook_disabled", "detail": {"endpoint_id": str(endpoint_id), "reason": "failing"}}
    before = len(receiver.received)
    await desk.happen()
    await desk.later(seconds=DAY_S)
    assert len(receiver.received) == before


async def test_a_receiver_that_says_gone_is_switched_off_at_once(desk: Desk, receiver: Receiver) -> None:
    endpoint_id, _ = await desk.open(receiver.url)
    receiver.answer = lambda _post: 410
    await desk.happen()
    await deliver_due(desk.services)
    [endpoint] = await desk.endpoints()
    assert (endpoint.enabled, endpoint.disabled_reason) == (False, "gone")
    assert (await desk.log(endpoint_id))[0].state == "failed"
    async with desk.services.db.transaction(desk.tenant_id) as connection:
        await change_endpoint(connection, desk.tenant_id, endpoint_id, enabled=True, may_stay_inside=True)
        await send_again(
            connection,
            desk.tenant_id,
            endpoint_id,
            (await list_deliveries(connection, desk.tenant_id, endpoint_id, limit=1))[0].event_id,
            now=desk.clock.now(),
        )
    receiver.answer = lambda _post: 200
    await deliver_due(desk.services)
    assert [delivery.state for delivery in await desk.log(endpoint_id)] == ["delivered"]


async def test_a_new_secret_signs_beside_the_old_one_for_a_day(desk: Desk, receiver: Receiver) -> None:
    endpoint_id, old = await desk.open(receiver.url)
    async with desk.services.db.transaction(desk.tenant_id) as connection:
        new = await renew_secret(
            connection, desk.tenant_id, endpoint_id, secret_box=desk.services.secret_box, now=desk.clock.now()
        )
    assert new is not None
    assert new != old
    await desk.happen()
    await deliver_due(desk.services)
    await desk.happen()
    await desk.later(seconds=DAY_S + 1)
    both, one = receiver.received
    assert both.is_signed_by(new)
    assert both.is_signed_by(old)
    assert one.is_signed_by(new)
    assert len(one.signatures) == 1


async def test_secrets_are_stored_encrypted_and_follow_the_operators_key(desk: Desk, receiver: Receiver) -> None:
    _, secret = await desk.open(receiver.url)
    async with desk.services.db.transaction(desk.tenant_id) as connection:
        stored = await connection.fetchval("SELECT secret_encrypted FROM webhook_endpoint")
        assert await rotate_secrets(connection, desk.services.secret_box, desk.tenant_id) == 0
    assert secret.encode() not in stored
    assert desk.services.secret_box.decrypt(stored) not in stored


async def test_a_new_key_of_the_operators_takes_over_both_secrets(desk: Desk, receiver: Receiver) -> None:
    old, new = "o" * 32, "n" * 32
    services = replace(desk.services, secret_box=SecretBox(old))
    endpoint_id, _ = await Desk(services, desk.tenant_id, desk.clock).open(receiver.url)
    async with desk.services.db.transaction(desk.tenant_id) as connection:
        renewed = await renew_secret(
            connection, desk.tenant_id, endpoint_id, secret_box=SecretBox(old), now=desk.clock.now()
        )
        assert await rotate_secrets(connection, SecretBox(f"{new},{old}"), desk.tenant_id) == 2
        assert await rotate_secrets(connection, SecretBox(f"{new},{old}"), desk.tenant_id) == 0
    await desk.happen()
    await deliver_due(replace(desk.services, secret_box=SecretBox(new)))
    [post] = receiver.received
    assert renewed is not None
    assert post.is_signed_by(renewed)
    assert len(post.signatures) == 2


async def test_two_processes_post_an_event_once(desk: Desk, receiver: Receiver) -> None:
    await desk.open(receiver.url)
    receiver.pause_s = 0.2
    for _ in range(5):
        await desk.happen()
    await asyncio.gather(deliver_due(desk.services), deliver_due(desk.services))
    assert len(receiver.received) == len({post.webhook_id for post in receiver.received}) == 5


async def test_a_process_that_dies_while_posting_leaves_the_event_to_another(desk: Desk, receiver: Receiver) -> None:
    await desk.open(receiver.url)
    receiver.pause_s = 0.5
    await desk.happen()
    posting = asyncio.create_task(deliver_due(desk.services))
    await receiver.came.wait()
    posting.cancel()
    await asyncio.gather(posting, return_exceptions=True)
    receiver.pause_s = 0.0
    await desk.later(seconds=30)
    assert len(receiver.received) == 1
    await desk.later(seconds=31)
    assert len(receiver.received) == 2
    assert len({post.webhook_id for post in receiver.received}) == 1


async def test_one_tenants_slow_receiver_leaves_room_for_others(desk: Desk, receiver: Receiver, cast: Cast) -> None:
    crawling = Receiver(pause_s=1.0)
    server = await crawling.start()
    await desk.open(crawling.url)
    other = Desk(desk.services, cast.mallory, desk.clock)
    await other.open(receiver.url)
    for _ in range(40):
        await desk.happen()
    await other.happen()
    posting = asyncio.create_task(deliver_due(desk.services))
    await receiver.came.wait()
    assert len(crawling.received) <= desk.services.limits.webhooks_per_tenant
    posting.cancel()
    await asyncio.gather(posting, return_exceptions=True)
    await server.close()


async def test_an_event_of_this_process_wakes_the_posting(desk: Desk, receiver: Receiver) -> None:
    await desk.open(receiver.url)
    waiting = asyncio.create_task(deliver_as_they_come(desk.services))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await desk.happen()
    await waiting
    await deliver_due(desk.services)
    assert len(receiver.received) == 1


async def test_an_event_that_was_undone_wakes_nobody_and_is_not_sent(desk: Desk, receiver: Receiver) -> None:
    await desk.open(receiver.url)
    desk.services.db.events_left.clear()
    with pytest.raises(ZeroDivisionError):
        await desk.happen(then=lambda: 1 // 0)
    assert not desk.services.db.events_left.is_set()
    await deliver_due(desk.services)
    assert receiver.received == []


async def test_without_leave_nothing_is_posted_to_this_machine(desk: Desk, receiver: Receiver) -> None:
    endpoint_id, _ = await desk.open(receiver.url)
    await desk.happen()
    await deliver_due(inside(desk.services, webhooks_may_stay_inside=False))
    assert receiver.received == []
    [delivery] = await desk.log(endpoint_id)
    assert (delivery.state, delivery.last_error) == ("pending", "address_not_public")


async def test_the_log_is_kept_for_a_month_and_goes_with_its_endpoint(desk: Desk, receiver: Receiver) -> None:
    endpoint_id, _ = await desk.open(receiver.url)
    await desk.happen()
    await deliver_due(desk.services)
    desk.clock.advance(seconds=29 * DAY_S)
    await desk.happen()
    async with desk.services.db.transaction(desk.tenant_id) as connection:
        await forget_old(connection, desk.tenant_id, now=desk.clock.now())
    assert len(await desk.log(endpoint_id)) == 2
    desk.clock.advance(seconds=2 * DAY_S)
    async with desk.services.db.transaction(desk.tenant_id) as connection:
        await forget_old(connection, desk.tenant_id, now=desk.clock.now())
    assert [delivery.state for delivery in await desk.log(endpoint_id)] == ["pending"]
    async with desk.services.db.transaction(desk.tenant_id) as connection:
        assert await delete_endpoint(connection, desk.tenant_id, endpoint_id)
        assert not await delete_endpoint(connection, desk.tenant_id, endpoint_id)
    assert await desk.log(endpoint_id) == []
