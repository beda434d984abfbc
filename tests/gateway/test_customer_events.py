"""Reactions, edits, revokes and the like bring things up to date in any order, and start no turn."""

from datetime import timedelta

from tests.gateway.mailroom import ANNA, Mailroom

MESSAGE = "SELECT text, reaction, edited_at, revoked_at, state FROM message WHERE provider_id = 'wamid.IN1'"
NEW_NUMBER = "491700000199"


async def input_version(mailroom: Mailroom) -> int:
    return int((await mailroom.row("SELECT input_version FROM conversation"))["input_version"])


async def test_a_reaction_is_noted_and_taken_back(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    await mailroom.receive(mailroom.message(2, "reaction", reaction={"message_id": "wamid.IN1", "emoji": "👍🏽"}))
    assert (await mailroom.row(MESSAGE))["reaction"] == "👍🏽"
    await mailroom.receive(mailroom.message(3, "reaction", reaction={"message_id": "wamid.IN1"}))
    assert (await mailroom.row(MESSAGE))["reaction"] is None
    assert await input_version(mailroom) == 1


async def test_a_reaction_opens_no_window(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    before = await mailroom.row("SELECT last_customer_message_at FROM service_window")
    mailroom.clock.advance(seconds=600)
    await mailroom.receive(mailroom.message(2, "reaction", reaction={"message_id": "wamid.IN1", "emoji": "👍"}))
    assert await mailroom.row("SELECT last_customer_message_at FROM service_window") == before


async def test_the_newest_edit_wins_whatever_order_they_come_in(mailroom: Mailroom) -> None:
    start = mailroom.clock.now()
    await mailroom.receive(mailroom.text(1, "Dienstag"))
    mailroom.clock.advance(seconds=60)

    def edit(number: int, words: str, after_s: int) -> dict[str, object]:
        changed = {"original_message_id": "wamid.IN1", "message": {"type": "text", "text": {"body": words}}}
        return mailroom.message(number, "edit", at=start + timedelta(seconds=after_s), edit=changed)

    await mailroom.receive(edit(3, "Donnerstag", 20))
    await mailroom.receive(edit(2, "Mittwoch", 10))
    message = await mailroom.row(MESSAGE)
    assert (message["text"], message["edited_at"]) == ("Donnerstag", start + timedelta(seconds=20))
    assert await input_version(mailroom) == 1


async def test_a_revoked_message_is_for_nobody_to_answer(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    await mailroom.receive(mailroom.message(2, "revoke", revoke={"original_message_id": "wamid.IN1"}))
    message = await mailroom.row(MESSAGE)
    assert message["state"] == "recorded"
    assert message["revoked_at"] is not None


async def test_an_update_of_a_message_that_never_came_is_no_error(mailroom: Mailroom) -> None:
    await mailroom.receive(
        mailroom.message(2, "reaction", reaction={"message_id": "wamid.IN9", "emoji": "👍"}),
        mailroom.message(3, "revoke", revoke={"original_message_id": "wamid.IN9"}),
        mailroom.message(4, "edit", edit={"original_message_id": "wamid.IN9", "message": {"type": "text"}}),
    )
    assert await mailroom.rows("SELECT FROM message") == []
    assert await mailroom.quarantine() == []


async def test_a_customer_cannot_change_what_the_business_wrote(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    message_id = await mailroom.sent()
    changed = {"original_message_id": "wamid.OUT1", "message": {"type": "text", "text": {"body": "Gratis!"}}}
    await mailroom.receive(
        mailroom.message(2, "edit", edit=changed),
        mailroom.message(3, "revoke", revoke={"original_message_id": "wamid.OUT1"}),
    )
    message = await mailroom.message_row(message_id)
    assert (message["text"], message["revoked_at"]) == ("Gern!", None)


async def test_the_owner_writing_from_the_phone_takes_over(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    echo = {"from": "49151", "to": ANNA, "id": "wamid.ECHO", "timestamp": mailroom.stamp(), "type": "text"}
    await mailroom.receive({**echo, "text": {"body": "Hier ist Petra."}}, kind="message_echoes")
    await mailroom.receive({**echo, "text": {"body": "Hier ist Petra."}}, kind="message_echoes")
    assert await mailroom.row("SELECT mode, due_at FROM conversation") == {"mode": "human", "due_at": None}
    written = await mailroom.rows("SELECT text, author, state FROM message WHERE direction = 'out'")
    assert written == [{"text": "Hier ist Petra.", "author": "member", "state": "sent"}]


async def test_an_echo_that_comes_a_day_late_takes_nothing_over(mailroom: Mailroom) -> None:
    start = mailroom.clock.now()
    mailroom.clock.advance(seconds=24 * 3600)
    await mailroom.receive(mailroom.text(1))
    echo = {"to": ANNA, "id": "wamid.ECHO", "timestamp": mailroom.stamp(start), "type": "text", "text": {"body": "?"}}
    await mailroom.receive(echo, kind="message_echoes")
    assert (await mailroom.row("SELECT mode FROM conversation"))["mode"] == "agent"


async def test_answers_follow_a_customer_to_a_new_number(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    system = {"type": "user_changed_number", "body": "User Anna changed", "wa_id": NEW_NUMBER}
    await mailroom.receive(mailroom.message(2, "system", system=system))
    assert (await mailroom.row("SELECT reply_address FROM conversation"))["reply_address"] == f"+{NEW_NUMBER}"
    await mailroom.receive(mailroom.text(3, wa_id=NEW_NUMBER), wa_id=NEW_NUMBER)
    assert len(await mailroom.rows("SELECT FROM contact")) == 1
    assert len(await mailroom.rows("SELECT FROM conversation")) == 1


async def test_a_change_of_somebody_unknown_makes_no_contact(mailroom: Mailroom) -> None:
    system = {"type": "user_changed_number", "body": "User Anna changed", "wa_id": NEW_NUMBER}
    await mailroom.receive(mailroom.message(2, "system", system=system))
    assert await mailroom.rows("SELECT FROM contact") == []


async def test_a_wish_told_to_meta_counts_until_the_customer_writes(mailroom: Mailroom) -> None:
    await mailroom.receive(mailroom.text(1))
    mailroom.clock.advance(seconds=60)

    def wish(value: str) -> dict[str, object]:
        return {"wa_id": ANNA, "category": "marketing_messages", "value": value, "timestamp": mailroom.stamp()}

    await mailroom.receive(wish("stop"), kind="user_preferences")
    assert (await mailroom.row("SELECT opted_out_at FROM service_window"))["opted_out_at"] is not None
    mailroom.clock.advance(seconds=60)
    await mailroom.receive(wish("resume"), kind="user_preferences")
    assert (await mailroom.row("SELECT opted_out_at FROM service_window"))["opted_out_at"] is None
    await mailroom.receive(wish("stop"), kind="user_preferences")
    mailroom.clock.advance(seconds=60)
    await mailroom.receive(mailroom.text(2))
    assert (await mailroom.row("SELECT opted_out_at FROM service_window"))["opted_out_at"] is None


async def test_the_owner_hears_once_a_day_that_meta_is_not_paid_or_has_blocked_the_account(mailroom: Mailroom) -> None:
    for _ in range(3):
        await mailroom.receive({"code": 131042}, kind="errors")
        await mailroom.receive({"code": "131031"}, kind="errors")
        await mailroom.receive({"code": 131026}, kind="errors")
    alerts = await mailroom.rows("SELECT kind FROM alert ORDER BY kind")
    assert alerts == [{"kind": "provider_account"}, {"kind": "provider_payment"}]


async def test_anything_else_is_kept_and_starts_nothing(mailroom: Mailroom) -> None:
    await mailroom.receive({"id": "wacid.1", "event": "connect"}, kind="calls")
    assert len(await mailroom.rows("SELECT FROM webhook")) == 1
    assert await mailroom.rows("SELECT FROM conversation") == []
