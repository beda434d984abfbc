"""What nobody asks for happens all the same: holds and grants end, old rows go, forgotten turns are over."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest

from gateway.sweeps import expire_grants, free_holds, housekeep
from gateway.takeover import take_over
from metering.operations import Grant, Hold
from tests.gateway.mailroom import Mailroom


async def granted(mailroom: Mailroom, *, days: int | None) -> None:
    grant_id, now = mailroom.services.new_id(), mailroom.clock.now()
    grant = Grant(
        reference=str(grant_id),
        grant_id=grant_id,
        kind="promotion",
        amount_millicredits=1_000,
        reason="t",
        expires_at=None if days is None else now + timedelta(days=days),
    )
    await mailroom.services.ledger.submit(mailroom.cast.acme, grant)


async def held(mailroom: Mailroom, *, seconds: float) -> None:
    now = mailroom.clock.now()
    hold = Hold(
        key=str(mailroom.services.new_id()),
        max_millicredits=100,
        min_millicredits=100,
        step_millicredits=1,
        may_shrink=False,
        expires_at=now + timedelta(seconds=seconds),
        rate_card="t",
        day=now.date(),
    )
    await mailroom.services.ledger.hold(mailroom.cast.acme, hold, wait_s=1)


async def running_turn(mailroom: Mailroom) -> UUID:
    """Let Anna write and a worker die in the middle of its answer; return the conversation."""
    await mailroom.receive(mailroom.text(1))
    conversation = await mailroom.row("SELECT conversation_id FROM conversation")
    await mailroom.rows(
        """INSERT INTO turn (tenant_id, turn_id, conversation_id, state, lease_epoch, input_version, agent_version,
                             trace_id, started_at) VALUES ($1, $2, $3, 'running', 1, 1, 1, 't', $4)""",
        mailroom.cast.acme,
        mailroom.services.new_id(),
        conversation["conversation_id"],
        mailroom.clock.now(),
    )
    until = mailroom.clock.now() + timedelta(seconds=30)
    await mailroom.rows("UPDATE conversation SET lease_epoch = 1, lease_until = $1", until)
    return UUID(str(conversation["conversation_id"]))


async def _stopped(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(2, "STOP"))


async def _taken_over(mailroom: Mailroom) -> None:
    conversation = await mailroom.row("SELECT conversation_id FROM conversation")
    async with mailroom.services.db.transaction(mailroom.cast.acme) as connection:
        await take_over(connection, mailroom.cast.acme, conversation["conversation_id"], mailroom.clock.now())


async def test_a_hold_whose_worker_died_frees_its_credits_and_one_at_work_keeps_them(mailroom: Mailroom) -> None:
    await granted(mailroom, days=None)
    await held(mailroom, seconds=10)
    await held(mailroom, seconds=90)
    mailroom.clock.advance(seconds=30)
    await free_holds(mailroom.services)
    assert await mailroom.rows("SELECT held_millicredits FROM wallet") == [{"held_millicredits": 100}]


async def test_what_is_left_of_an_expired_grant_is_gone(mailroom: Mailroom) -> None:
    before = await mailroom.balance()
    await granted(mailroom, days=1)
    await granted(mailroom, days=None)
    mailroom.clock.advance(seconds=2 * 86_400)
    await expire_grants(mailroom.services)
    assert await mailroom.balance() == before + 1_000


async def test_the_age_of_the_oldest_due_work_is_measured(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    mailroom.clock.advance(seconds=62)
    await free_holds(mailroom.services)
    shown = mailroom.services.metrics.render().decode()
    assert 'turnmeter_queue_age_seconds{queue="conversations"} 60.5' in shown
    assert 'turnmeter_queue_age_seconds{queue="outbox"} 0.0' in shown


async def test_webhook_bodies_go_when_no_provider_repeats_them(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    await housekeep(mailroom.services)
    assert len(await mailroom.rows("SELECT webhook_id FROM webhook")) == 1
    mailroom.clock.advance(seconds=31 * 86_400)
    await housekeep(mailroom.services)
    assert await mailroom.rows("SELECT webhook_id FROM webhook") == []
    assert len(await mailroom.rows("SELECT message_id FROM message")) == 1


@pytest.mark.parametrize(
    ("leave", "state"),
    [
        (_stopped, "no_reply"),
        (_taken_over, "handed_over"),
    ],
)
async def test_a_turn_whose_worker_died_before_somebody_ended_the_talk_is_over(
    mailroom: Mailroom, leave: Callable[[Mailroom], Awaitable[None]], state: str
) -> None:
    await running_turn(mailroom)
    await leave(mailroom)
    await housekeep(mailroom.services)
    assert await mailroom.rows("SELECT state FROM turn") == [{"state": "running"}]  # the worker may be alive
    mailroom.clock.advance(seconds=60)
    await housekeep(mailroom.services)
    assert await mailroom.rows("SELECT state, ended_at FROM turn") == [
        {"state": state, "ended_at": mailroom.clock.now()}
    ]


async def test_a_turn_that_is_due_is_left_to_the_next_worker(mailroom: Mailroom) -> None:
    await running_turn(mailroom)
    mailroom.clock.advance(seconds=60)
    await housekeep(mailroom.services)
    assert await mailroom.rows("SELECT state FROM turn") == [{"state": "running"}]
