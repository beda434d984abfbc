"""Somebody calls the salon, on real sockets and at the pace of speech: what they say, hear and what is paid."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.logs import configure_logs
from gateway.simulator.realtime_mind import Action, MindEvent, SessionView, Spoken, UseTool, Utter
from metering.receipts import list_receipts
from tests.stories.speech import CALLER, GREETING, SPEAKS, cost, opened_telephone
from tests.stories.test_a_booking import appointments, next_friday

LONG = "Wir haben von Montag bis Freitag geöffnet, jeweils von neun bis achtzehn Uhr, und dienstags gibt es eine Pause."


@pytest.fixture(autouse=True)
def _logs() -> None:
    configure_logs()


class Receptionist:
    """Greets, looks up Friday, books the first time, says so, and hangs up when the caller says goodbye."""

    def __init__(self, day: str) -> None:
        self.day = day

    async def hear(self, session: SessionView, event: MindEvent) -> Sequence[Action]:
        results = [item.text for item in session.items if item.kind == "tool_result"]
        if isinstance(event, Spoken) and "Tschüss" in event.text:
            return (Utter("Auf Wiederhören!"), UseTool("end_call", {"reason": "done"}))
        if isinstance(event, Spoken):
            return (UseTool("free_appointments", {"day": self.day}),)
        if not results:
            return (Utter(GREETING),)
        found = json.loads(results[-1])
        if "booked" in found:
            return (Utter("Gebucht."),)
        return (UseTool("book_appointment", {"start": found["free"][0]["start"]}),)


async def test_a_caller_books_and_says_goodbye_and_pays_for_what_was_said_and_heard(
    database_url: str, tmp_path: Path
) -> None:
    async with opened_telephone(database_url, tmp_path) as telephone:
        world = telephone.world
        nine = next_friday(world)
        telephone.realtime.mind = Receptionist(nine.date().isoformat())
        before, _, _ = await world.wallet()
        call = await telephone.ring()
        await telephone.say(call, "Ich hätte gern am Freitag einen Termin.")
        session = await telephone.listening(answers=4)
        await telephone.say(call, "Danke, Tschüss!")
        row = await telephone.over(call)

        assert [(one["start"], one["address"]) for one in await appointments(world)] == [(nine, CALLER)]
        assert row["end_reason"] == "agent_hung_up"
        assert await telephone.speeches() == [
            ("agent", GREETING),
            ("customer", "Ich hätte gern am Freitag einen Termin."),
            ("agent", "Gebucht."),
            ("customer", "Danke, Tschüss!"),
            ("agent", "Auf Wiederhören!"),
        ]
        assert row["input_tokens"] == session.appended_bytes // 800
        assert abs(row["output_tokens"] - call.heard_ms // 50) <= 2
        after, held, _ = await world.wallet()
        assert (before - after, held) == (cost(row), 0)
        async with world.services.db.transaction(world.salon.tenant_id) as connection:
            receipts = await list_receipts(connection, world.salon.tenant_id, limit=50, before=None)
        assert sum(receipt.total_millicredits for receipt in receipts if receipt.subject == "call") == cost(row)


async def test_a_caller_who_interrupts_hears_no_more_and_pays_for_no_more(database_url: str, tmp_path: Path) -> None:
    async with opened_telephone(database_url, tmp_path, LONG, "Gern.") as telephone:
        call = await telephone.ring()
        greeted_ms = call.heard_ms
        await telephone.say(call, "Wann haben Sie geöffnet?")
        await call.wait_for_heard(greeted_ms + 1_200)
        telephone.realtime.caller_says(None, "Moment bitte!")
        await call.speak(SPEAKS)
        session = await telephone.listening(answers=3)
        [cut] = session.memory.truncations
        assert not session.errors
        assert not cut.refusal
        assert cut.audio_end_ms < cut.audio_ms
        answered = session.memory.items[cut.item_id]
        assert answered.heard_ms == cut.audio_end_ms
        await call.hang_up()
        row = await telephone.over(call)
        assert abs(row["output_tokens"] * 50 - call.heard_ms) < 400
        interrupted = [text for author, text in await telephone.speeches() if author == "agent"][1]
        assert interrupted.startswith("Wir haben")
        assert interrupted.endswith("…")
        assert row["figures"]["barge_ins"] == 1


async def test_a_model_that_dies_in_the_middle_of_a_word_is_replaced_and_speech_goes_on(
    database_url: str, tmp_path: Path
) -> None:
    answers = ("Ich sehe nach.", "Und dienstags gibt es eine Pause.")
    async with opened_telephone(database_url, tmp_path, *answers) as telephone:
        call = await telephone.ring()
        telephone.realtime.faults.dropped_after_ms.append(400)
        await telephone.say(call, "Wann haben Sie geöffnet?")
        second = await telephone.realtime.session(2)
        await telephone.listening(answers=1)
        assert [item.kind for item in second.view().items][:2] == ["agent", "customer"]
        assert second.view().items[0].text == GREETING
        assert len([answer for answer in second.answers if answer.status == "completed"]) == 1
        await call.hang_up()
        row = await telephone.over(call)
        assert row["figures"]["reconnects"] == 1
        said = [text for author, text in await telephone.speeches() if author == "agent"]
        assert said[0] == GREETING
        assert said.count(GREETING) == 1
        assert said[-1] == answers[1]


async def test_a_caller_who_hangs_up_while_a_tool_runs_keeps_what_it_did_and_nothing_else(
    database_url: str, tmp_path: Path
) -> None:
    wanted = UseTool("take_message", {"text": "Bitte zurückrufen."})
    async with opened_telephone(database_url, tmp_path, wanted) as telephone:
        call = await telephone.ring()
        await telephone.say(call, "Bitte rufen Sie mich zurück.")
        await call.wait_for(lambda _: len(telephone.realtime.sessions[0].answers) == 2)
        await call.hang_up()
        row = await telephone.over(call)
        notes = await telephone.world.rows("SELECT text FROM message WHERE kind = 'note'")
        assert [note["text"] for note in notes] in ([], ["Bitte zurückrufen."])
        assert row["end_reason"] == "caller_hung_up"


async def test_a_line_that_goes_dead_without_a_word_is_noticed_and_settled(database_url: str, tmp_path: Path) -> None:
    async with opened_telephone(database_url, tmp_path) as telephone:
        before, _, _ = await telephone.world.wallet()
        call = await telephone.ring()
        call.lose_connection()
        row = await telephone.over(call)
        assert row["end_reason"] == "connection_lost"
        assert call.end_reason == "rest"
        assert before - (await telephone.world.wallet())[0] == cost(row)


async def test_words_that_twilio_tells_twice_change_nothing(database_url: str, tmp_path: Path) -> None:
    async with opened_telephone(database_url, tmp_path) as telephone:
        telephone.world.twilio.faults.copies = 3
        before, _, _ = await telephone.world.wallet()
        call = await telephone.ring()
        await call.hang_up()
        row = await telephone.over(call)
        assert await telephone.world.rows("SELECT FROM call") == [{}]
        assert before - (await telephone.world.wallet())[0] == cost(row)
        assert row["reconciled_at"] is not None


async def test_keys_that_are_pressed_reach_the_agent(database_url: str, tmp_path: Path) -> None:
    async with opened_telephone(database_url, tmp_path, "Sie haben die Vier gedrückt.") as telephone:
        call = await telephone.ring()
        await call.press("4#")
        session = await telephone.listening(answers=2)
        assert "[Tasten gedrückt: 4#]" in [item.text for item in session.view().items]
        await call.hang_up()
        await telephone.over(call)
