"""A customer's message opens the window by the customer's clock, and words of command are obeyed at once."""

from datetime import timedelta

import pytest

from gateway.channels.whatsapp.window import is_open
from tests.gateway.mailroom import ANNA, Mailroom

WINDOW = "SELECT last_customer_message_at, closed_by_provider_at, opted_out_at FROM service_window"


async def open_now(mailroom: Mailroom) -> bool:
    window = await mailroom.row(WINDOW)
    margin_s = mailroom.services.limits.window_margin_s
    return is_open(window["last_customer_message_at"], window["closed_by_provider_at"], mailroom.clock.now(), margin_s)


async def states(mailroom: Mailroom) -> dict[str, str]:
    rows = await mailroom.rows("SELECT provider_id, state FROM message WHERE direction = 'in'")
    return {row["provider_id"].removeprefix("wamid."): row["state"] for row in rows}


async def test_a_late_webhook_opens_the_window_for_what_is_left_of_it(mailroom: Mailroom) -> None:
    written = mailroom.clock.now()
    mailroom.clock.advance(seconds=5 * 3600)
    await mailroom.receive(mailroom.text(1, at=written))
    assert (await mailroom.row(WINDOW))["last_customer_message_at"] == written
    mailroom.clock.advance(seconds=19 * 3600 - 61)
    assert await open_now(mailroom)
    mailroom.clock.advance(seconds=1)
    assert not await open_now(mailroom)


async def test_a_clock_that_runs_ahead_does_not_lengthen_the_window(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1, at=mailroom.clock.now() + timedelta(hours=3)))
    assert (await mailroom.row(WINDOW))["last_customer_message_at"] == mailroom.clock.now()


async def test_an_older_message_that_comes_later_moves_nothing_back(mailroom: Mailroom) -> None:
    start = mailroom.clock.now()
    mailroom.clock.advance(seconds=600)
    await mailroom.receive(mailroom.text(2))
    await mailroom.receive(mailroom.text(1, at=start))
    assert (await mailroom.row(WINDOW))["last_customer_message_at"] == mailroom.clock.now()


async def test_a_message_of_yesterday_is_recorded_and_the_owner_told_once(mailroom: Mailroom) -> None:
    written = mailroom.clock.now()
    mailroom.clock.advance(seconds=24 * 3600)
    await mailroom.receive(mailroom.text(1, at=written), mailroom.text(2, at=written))
    assert await states(mailroom) == {"IN1": "recorded", "IN2": "recorded"}
    assert (await mailroom.row("SELECT due_at FROM conversation"))["due_at"] is None
    assert [row["kind"] for row in await mailroom.rows("SELECT kind FROM alert")] == ["late_message"]


async def test_a_message_just_under_a_day_old_is_still_answered(mailroom: Mailroom) -> None:
    written = mailroom.clock.now()
    mailroom.clock.advance(seconds=24 * 3600 - 1)
    await mailroom.receive(mailroom.text(1, at=written))
    assert await states(mailroom) == {"IN1": "received"}


async def test_stop_ends_what_is_unanswered_and_is_confirmed_once(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1, "Was kostet ein Schnitt?"))
    mailroom.clock.advance(seconds=1)
    await mailroom.receive(mailroom.text(2, "STOP"))
    mailroom.clock.advance(seconds=1)
    await mailroom.receive(mailroom.text(3, "Stopp!"))
    assert await states(mailroom) == {"IN1": "recorded", "IN2": "recorded", "IN3": "recorded"}
    assert (await mailroom.row(WINDOW))["opted_out_at"] is not None
    conversation = await mailroom.row("SELECT due_at, pending_since FROM conversation")
    assert conversation == {"due_at": None, "pending_since": None}
    [confirmation] = await mailroom.rows("SELECT text, author FROM message WHERE direction = 'out'")
    assert confirmation["author"] == "system"
    assert "keine weiteren Nachrichten" in confirmation["text"]


async def test_the_next_own_message_after_stop_opens_the_talk_again(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1, "stop"))
    mailroom.clock.advance(seconds=60)
    await mailroom.receive(mailroom.text(2, "Doch noch eine Frage"))
    assert (await mailroom.row(WINDOW))["opted_out_at"] is None
    assert (await states(mailroom))["IN2"] == "received"
    assert (await mailroom.row("SELECT due_at FROM conversation"))["due_at"] is not None


async def test_a_stop_that_arrives_after_a_later_message_undoes_nothing(mailroom: Mailroom) -> None:
    stopped = mailroom.clock.now()
    mailroom.clock.advance(seconds=60)
    await mailroom.receive(mailroom.text(2, "Ich schreibe wieder"))
    await mailroom.receive(mailroom.text(1, "STOP", at=stopped))
    assert (await mailroom.row(WINDOW))["opted_out_at"] is None


@pytest.mark.parametrize("words", ["Stop, eine Frage noch", "CANCEL", "Ja"])
async def test_talk_that_only_contains_such_a_word_is_talk(mailroom: Mailroom, words: str) -> None:
    await mailroom.receive(mailroom.text(1, words))
    assert await states(mailroom) == {"IN1": "received"}
    assert (await mailroom.row(WINDOW))["opted_out_at"] is None


async def test_the_owners_keyword_hands_over_to_a_person(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1, "Mensch!"))
    conversation = await mailroom.row("SELECT mode, due_at FROM conversation")
    assert conversation == {"mode": "human", "due_at": None}
    [told] = await mailroom.rows("SELECT text FROM message WHERE direction = 'out'")
    assert told["text"] == "Ein Mensch meldet sich gleich."
    assert [row["kind"] for row in await mailroom.rows("SELECT kind FROM alert")] == ["handover"]


async def test_a_button_is_due_at_once_and_media_wait_a_little_longer(mailroom: Mailroom) -> None:
    reply = {"type": "button_reply", "button_reply": {"id": "1", "title": "Dienstag"}}
    await mailroom.receive(mailroom.message(1, "interactive", interactive=reply))
    assert (await mailroom.row("SELECT due_at FROM conversation"))["due_at"] == mailroom.clock.now()
    image = {"id": "media-1", "mime_type": "image/jpeg", "sha256": "x", "caption": "So?"}
    await mailroom.receive(mailroom.message(2, "image", wa_id="4917", image=image), wa_id="4917")
    due = await mailroom.rows("SELECT due_at FROM conversation ORDER BY due_at DESC LIMIT 1")
    quiet_ms = mailroom.services.limits.burst_media_quiet_ms
    assert due == [{"due_at": mailroom.clock.now() + timedelta(milliseconds=quiet_ms)}]


async def test_what_came_with_a_message_is_kept_with_it(mailroom: Mailroom) -> None:
    image = {"id": "media-1", "mime_type": "image/jpeg", "sha256": "x", "caption": "So?"}
    context = {"from": "49151", "id": "wamid.OUT9"}
    await mailroom.receive(mailroom.message(1, "image", image=image, context=context))
    message = await mailroom.row("SELECT kind, text, content FROM message")
    assert (message["kind"], message["text"]) == ("image", "[image] So?")
    assert message["content"]["media"][0]["provider_media_id"] == "media-1"
    assert message["content"]["reply_to_provider_id"] == "wamid.OUT9"
    assert message["content"]["whatsapp"] == {"type": "image", "image": image, "context": context}


async def test_a_customer_known_by_number_and_id_is_one_contact(mailroom: Mailroom) -> None:
    by_number = mailroom.text(1)
    by_id = {**mailroom.text(2), "from_user_id": "DE.1001"}
    del by_id["from"]
    both = {**mailroom.text(3), "from_user_id": "DE.1001"}
    await mailroom.receive(by_number)
    await mailroom.receive(by_id, wa_id="DE.1001")
    assert len(await mailroom.rows("SELECT FROM contact")) == 2
    await mailroom.receive(both)
    assert len(await mailroom.rows("SELECT FROM contact")) == 1
    addresses = {row["address"] for row in await mailroom.rows("SELECT address FROM contact_address")}
    assert addresses == {f"+{ANNA}", "DE.1001"}


async def test_silence_of_a_day_begins_a_new_conversation(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    mailroom.clock.advance(seconds=24 * 3600 + 1)
    await mailroom.receive(mailroom.text(2))
    assert len(await mailroom.rows("SELECT FROM conversation")) == 2


async def test_a_suspended_line_stores_and_does_not_answer(mailroom: Mailroom) -> None:
    async with mailroom.services.db.transaction(mailroom.cast.acme) as connection:
        await connection.execute("UPDATE line SET state = 'suspended'")
    await mailroom.receive(mailroom.text(1))
    assert (await mailroom.row("SELECT due_at FROM conversation"))["due_at"] is None
    assert await states(mailroom) == {"IN1": "received"}


async def test_a_stop_that_was_overtaken_ends_nothing_that_was_written_after_it(mailroom: Mailroom) -> None:
    stopped_at = mailroom.clock.now()
    mailroom.clock.advance(seconds=5)
    await mailroom.receive(mailroom.text(2, "Doch noch eine Frage: was kostet ein Haarschnitt?"))
    await mailroom.receive(mailroom.text(1, "STOP", at=stopped_at))
    conversation = await mailroom.row("SELECT due_at, pending_since FROM conversation")
    assert None not in conversation.values()
    rows = await mailroom.rows("SELECT provider_id, state FROM message WHERE direction = 'in' ORDER BY provider_id")
    assert rows == [
        {"provider_id": "wamid.IN1", "state": "recorded"},
        {"provider_id": "wamid.IN2", "state": "received"},
    ]
    assert await mailroom.rows("SELECT kind FROM alert") == []
