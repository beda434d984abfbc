"""What Meta sends is stored once, with its tenant, whatever else is in the same body."""

import asyncio
from datetime import timedelta

import orjson
import pytest

from tests.gateway.mailroom import ANNA, EMRE, OF_ACME, OF_MALLORY, Mailroom, body, change


async def test_twenty_copies_at_the_same_moment_are_one_message(mailroom: Mailroom) -> None:
    copy = body(change(mailroom.text(1)))
    assert set(await asyncio.gather(*(mailroom.post(copy) for _ in range(20)))) == {200}
    assert len(await mailroom.rows("SELECT FROM message")) == 1
    assert len(await mailroom.rows("SELECT FROM conversation")) == 1
    assert len(await mailroom.rows("SELECT FROM webhook")) == 1
    assert (await mailroom.row("SELECT input_version FROM conversation"))["input_version"] == 1


async def test_many_customers_first_messages_at_once_are_kept_apart(mailroom: Mailroom) -> None:
    posts = [
        mailroom.post(body(change(mailroom.text(10 * n + k, wa_id=f"4917{n}"), wa_id=f"4917{n}")))
        for n in range(8)
        for k in range(3)
    ]
    assert set(await asyncio.gather(*posts)) == {200}
    assert len(await mailroom.rows("SELECT FROM contact")) == 8
    assert len(await mailroom.rows("SELECT FROM conversation")) == 8
    assert len(await mailroom.rows("SELECT FROM message")) == 24


async def test_every_item_of_a_batch_is_stored(mailroom: Mailroom) -> None:
    batch = body(
        change(mailroom.text(1), mailroom.text(2)),
        change(mailroom.text(3, wa_id=EMRE), mailroom.text(4, wa_id=EMRE), wa_id=EMRE),
        change(mailroom.status("sent"), mailroom.status("read"), kind="statuses"),
    )
    assert await mailroom.post(batch) == 200
    assert len(await mailroom.rows("SELECT FROM message")) == 4
    assert len(await mailroom.rows("SELECT FROM delivery_report")) == 2
    assert await mailroom.rows("SELECT body FROM webhook") == [{"body": batch}]


async def test_a_batch_that_was_stored_in_part_is_completed_when_it_comes_again(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    await mailroom.receive(mailroom.text(1), mailroom.text(2))
    assert len(await mailroom.rows("SELECT FROM message")) == 2


async def test_two_tenants_in_one_body_see_nothing_of_each_other(mailroom: Mailroom) -> None:
    mixed = body(
        change(mailroom.text(1, "an Acme"), line=OF_ACME), change(mailroom.text(1, "an Mallory"), line=OF_MALLORY)
    )
    assert await mailroom.post(mixed) == 200
    for tenant_id, own, other in (
        (mailroom.cast.acme, "an Acme", b"Mallory"),
        (mailroom.cast.mallory, "an Mallory", b"Acme"),
    ):
        assert await mailroom.rows("SELECT text FROM message", tenant_id=tenant_id) == [{"text": own}]
        [kept] = await mailroom.rows("SELECT body FROM webhook", tenant_id=tenant_id)
        assert own.encode() in kept["body"]
        assert other not in kept["body"]


async def test_a_line_that_nobody_has_is_put_aside_for_the_operator(mailroom: Mailroom) -> None:
    unknown = body(change(mailroom.text(1), line="9999999"))
    assert await mailroom.post(unknown) == 200
    [kept] = await mailroom.quarantine()
    assert (kept["reason"], kept["body"]) == ("unknown_line", unknown)
    assert "9999999" in kept["detail"]
    assert await mailroom.rows("SELECT FROM message") == []


async def test_what_cannot_be_read_is_put_aside_and_the_rest_is_stored(mailroom: Mailroom) -> None:
    await mailroom.receive({"type": "text", "from": ANNA}, mailroom.text(1))
    [kept] = await mailroom.quarantine()
    assert kept["reason"] == "malformed"
    assert orjson.loads(kept["body"]) == {"type": "text", "from": ANNA}
    assert len(await mailroom.rows("SELECT FROM message")) == 1


@pytest.mark.parametrize("signed", [b"", b"not JSON", b"[]", b"\xff\xfe"])
async def test_a_signed_body_that_is_no_webhook_is_put_aside_whole(mailroom: Mailroom, signed: bytes) -> None:
    assert await mailroom.post(signed) == 200
    assert [kept["body"] for kept in await mailroom.quarantine()] == [signed]


async def test_what_no_column_takes_is_put_aside_instead_of_repeated_for_days(mailroom: Mailroom) -> None:
    bad = mailroom.text(1) | {"id": "wamid.\u0000"}
    await mailroom.receive(bad, mailroom.text(2))
    assert [kept["reason"] for kept in await mailroom.quarantine()] == ["not_storable"]
    assert [row["provider_id"] for row in await mailroom.rows("SELECT provider_id FROM message")] == ["wamid.IN2"]


async def test_nul_and_lone_surrogates_become_replacement_characters_and_the_body_is_kept(mailroom: Mailroom) -> None:
    raw = body(change(mailroom.text(1, "HERE"))).replace(b"HERE", rb"a\u0000b\ud83dc").replace(b"Anna", rb"An\ud800na")
    assert await mailroom.post(raw) == 200
    assert await mailroom.rows("SELECT text FROM message") == [{"text": "a\ufffdb\ufffdc"}]
    assert await mailroom.rows("SELECT name FROM contact") == [{"name": "An\ufffdna"}]
    assert await mailroom.rows("SELECT body FROM webhook") == [{"body": raw}]


async def test_a_new_line_receives_at_once_and_a_known_one_is_remembered(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1), line="1000009")
    async with mailroom.services.db.directory() as connection:
        await connection.execute(
            "INSERT INTO line_directory VALUES ('whatsapp_phone_number_id', '1000009', $1, $2)",
            mailroom.cast.acme,
            mailroom.line_ids[mailroom.cast.acme],
        )
    await mailroom.receive(mailroom.text(2), line="1000009")
    assert [row["provider_id"] for row in await mailroom.rows("SELECT provider_id FROM message")] == ["wamid.IN2"]


async def test_a_database_that_is_away_asks_for_the_webhook_again(mailroom: Mailroom) -> None:
    await mailroom.services.db.close()
    assert await mailroom.post(body(change(mailroom.text(1)))) == 503


async def test_a_message_is_due_when_its_burst_ends(mailroom: Mailroom) -> None:
    start = mailroom.clock.now()
    limits = mailroom.services.limits
    await mailroom.receive(mailroom.text(1))
    first = await mailroom.row("SELECT due_at, pending_since FROM conversation")
    assert first == {"due_at": start + timedelta(milliseconds=limits.burst_quiet_ms), "pending_since": start}
    for number in range(2, 12):
        mailroom.clock.advance(seconds=1)
        await mailroom.receive(mailroom.text(number))
    last = await mailroom.row("SELECT due_at, pending_since FROM conversation")
    assert last == {"due_at": start + timedelta(milliseconds=limits.burst_cap_ms), "pending_since": start}
