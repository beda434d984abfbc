"""A message leaves once, in its place, while it may; what does not leave is given back."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import aiohttp
import pytest

from gateway import outbox_store
from gateway.channels.whatsapp.client import MetaChannel
from gateway.errors import SendRefusedError
from gateway.outbox import alert_kind, deliver, send
from gateway.outbox_store import SendLease
from gateway.simulator.meta import FakeMeta
from gateway.simulator.meta_wire import Business
from gateway.system_messages import queue_free_text
from tests.gateway.mailroom import ANNA, OF_ACME, Mailroom

TOKEN = "outbox-token"
OUTBOX = "SELECT state, attempts, unknowns, due_at, lease_until FROM outbox ORDER BY position"


@dataclass
class PostOffice:
    """Anna has written; what is put into her conversation goes to a Meta that keeps its reports to itself."""

    room: Mailroom
    meta: FakeMeta

    @property
    def delivered(self) -> list[str]:
        return [sent.text for sent in self.meta.sent_to(ANNA)]

    async def claim(self) -> list[SendLease]:
        now = self.room.clock.now()
        async with self.room.services.db.queue() as connection:
            return await outbox_store.claim_due(connection, now=now, lease_until=now + timedelta(seconds=30), limit=10)

    async def send_due(self) -> list[bool]:
        return [await send(self.room.services, lease) for lease in await self.claim()]

    async def states(self) -> list[str]:
        rows = await self.room.rows("SELECT m.state FROM message m JOIN outbox o USING (message_id) ORDER BY position")
        return [row["state"] for row in rows]

    async def conversation_id(self) -> UUID:
        return UUID(str((await self.room.row("SELECT conversation_id FROM conversation"))["conversation_id"]))

    async def answer(self, *, position: int, leased: bool = False) -> UUID:
        """Put one charged part into the outbox; `leased` to the worker that has written it."""
        message_id = await self.room.sent(position, state="queued")
        await self.room.rows("UPDATE message SET text = $2 WHERE message_id = $1", message_id, f"Teil {position}")
        if leased:
            until = self.room.clock.now() + timedelta(seconds=30)
            await self.room.rows(
                "UPDATE outbox SET lease_epoch = 1, lease_until = $2 WHERE message_id = $1", message_id, until
            )
        return message_id


@pytest.fixture
async def office(mailroom: Mailroom) -> AsyncIterator[PostOffice]:
    business = Business(phone_number_id=OF_ACME, display_number="+49151")
    meta = FakeMeta(webhook_url="", app_secret="", token=TOKEN, businesses=[business])
    meta.faults.reports_withheld = True
    async with meta.running() as url, aiohttp.ClientSession() as http:
        mailroom.services = replace(mailroom.services, channels={"meta": MetaChannel(http, url, TOKEN)})
        await mailroom.receive(mailroom.text(1))
        yield PostOffice(room=mailroom, meta=meta)


async def test_parts_leave_one_after_the_other(office: PostOffice) -> None:
    for position in (1, 2, 3):
        await office.answer(position=position)
    for _ in range(3):
        assert await office.send_due() == [True]
    assert office.delivered == ["Teil 1", "Teil 2", "Teil 3"]
    assert await office.claim() == []
    assert await office.states() == ["sent"] * 3


async def test_an_answer_does_not_overtake_one_that_waits_to_be_sent_again(office: PostOffice) -> None:
    room = office.room
    office.meta.faults.throttled = 1
    await office.answer(position=1)
    assert await office.send_due() == [False]
    second = await office.answer(position=2, leased=True)
    await deliver(room.services, room.cast.acme, await office.conversation_id(), [second])
    assert office.delivered == []
    room.clock.advance(seconds=3)
    await office.send_due()
    await office.send_due()
    assert office.delivered == ["Teil 1", "Teil 2"]


async def test_parts_behind_one_that_is_throttled_are_free_for_any_worker(office: PostOffice) -> None:
    room = office.room
    office.meta.faults.throttled = 1
    parts = [await office.answer(position=position, leased=True) for position in (1, 2)]
    await deliver(room.services, room.cast.acme, await office.conversation_id(), parts)
    assert [row["lease_until"] for row in await room.rows(OUTBOX)] == [None, None]
    assert office.delivered == []


async def test_two_workers_hand_over_a_message_once(office: PostOffice) -> None:
    await office.answer(position=1)
    [slow] = await office.claim()
    office.room.clock.advance(seconds=60)
    [quick] = await office.claim()
    assert await send(office.room.services, slow) is False
    assert await send(office.room.services, quick) is True
    assert await send(office.room.services, quick) is False
    assert office.delivered == ["Teil 1"]


async def test_a_message_whose_sender_died_waits_for_the_report_and_is_sent_again_without_one(
    office: PostOffice,
) -> None:
    room = office.room
    message_id = await office.answer(position=1)
    [lease] = await office.claim()
    async with room.services.db.transaction(room.cast.acme) as connection:
        await outbox_store.start_attempt(connection, lease, now=room.clock.now(), lease_until=room.clock.now())
    room.clock.advance(seconds=60)
    assert await office.send_due() == [False]
    [row] = await room.rows(OUTBOX)
    assert (row["state"], row["unknowns"]) == ("unknown", 1)
    assert office.delivered == []
    room.clock.advance(seconds=601)
    assert await office.send_due() == [True]
    assert [sent.callback for sent in office.meta.sent_to(ANNA)] == [str(message_id)]


async def test_a_message_of_unknown_fate_is_given_back_when_the_window_has_closed_meanwhile(
    office: PostOffice,
) -> None:
    room = office.room
    before = await room.balance()
    await office.answer(position=1)
    office.meta.faults.dropped_before_accept = 1
    assert await office.send_due() == [False]
    room.clock.advance(seconds=24 * 3600)
    assert await office.send_due() == [False]
    assert await office.states() == ["refunded"]
    assert await room.balance() == before
    assert office.delivered == []


async def test_a_stop_holds_back_what_was_not_sent_yet_but_not_its_own_confirmation(office: PostOffice) -> None:
    room = office.room
    before = await room.balance()
    await office.answer(position=1)
    await room.rows("UPDATE conversation SET next_position = 2")
    await room.receive(room.text(2, "STOP"))
    while leases := await office.claim():
        for lease in leases:
            await send(room.services, lease)
    assert await office.states() == ["refunded", "sent"]
    assert len(office.delivered) == 1
    assert "keine weiteren Nachrichten" in office.delivered[0]
    assert await room.balance() == before


async def test_an_apology_of_a_turn_that_a_stop_has_ended_is_not_sent(office: PostOffice) -> None:
    room, tenant_id = office.room, office.room.cast.acme
    await room.receive(room.text(2, "STOP"))
    await office.send_due()
    async with room.services.db.transaction(tenant_id) as connection:
        await queue_free_text(
            connection,
            tenant_id,
            await office.conversation_id(),
            text="Entschuldigung.",
            trace_id="t",
            now=room.clock.now(),
            new_id=room.services.new_id,
            turn_id=room.services.new_id(),
        )
    await office.send_due()
    assert [text for text in office.delivered if text.startswith("Entschuldigung")] == []


async def test_a_provider_that_stays_busy_gives_the_credits_back_and_tells_the_owner(office: PostOffice) -> None:
    room = office.room
    before = await room.balance()
    office.meta.faults.throttled = 100
    await office.answer(position=1)
    for _ in range(8):
        await office.send_due()
        room.clock.advance(seconds=700)
    assert await office.states() == ["refunded"]
    assert await room.balance() == before
    [alert] = await room.rows("SELECT kind, detail FROM alert")
    assert (alert["kind"], alert["detail"]["code"], alert["detail"]["refunded"]) == (
        "delivery_failed",
        "too_often",
        True,
    )


async def test_nobody_waits_for_an_attempt_that_would_come_too_late(office: PostOffice) -> None:
    room = office.room
    before = await room.balance()
    room.services = replace(room.services, limits=replace(room.services.limits, send_for_s=1.0))
    office.meta.faults.throttled = 1
    await office.answer(position=1)
    await office.send_due()
    assert await office.states() == ["refunded"]
    assert await room.balance() == before


@pytest.mark.parametrize(
    ("failure", "refusal", "kind"),
    [
        ("window_closed", None, "window_closed"),
        ("131047", SendRefusedError("131047", "t", window_closed=True), "window_closed"),
        ("131042", SendRefusedError("131042", "t", payment_problem=True), "provider_payment"),
        ("190", SendRefusedError("190", "t", channel_down=True), "provider_account"),
        ("131026", SendRefusedError("131026", "t"), "delivery_failed"),
        ("lost", None, "delivery_failed"),
    ],
)
def test_the_owner_is_told_what_is_wrong(failure: str, refusal: SendRefusedError | None, kind: str) -> None:
    assert alert_kind(failure, refusal) == kind
