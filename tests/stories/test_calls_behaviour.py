"""How a call behaves when it is not smooth: interrupted, silent, without an engine, moved to another process."""

import contextlib
import io
import statistics
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.app import open_services, system_id
from gateway.logs import configure_logs
from gateway.simulator.realtime_mind import Action, UseTool, Utter
from gateway.simulator.speech import spoken
from gateway.simulator.twilio_call import PlacedCall
from gateway.simulator.twilio_exchange import Answer
from tests.stories.serving import served
from tests.stories.speech import CALLER, GREETING, SPEAKS, Telephone, cost, opened_telephone
from tests.stories.world import World, until

LONG = "Wir haben von Montag bis Freitag geöffnet, jeweils von neun bis achtzehn Uhr, und dienstags gibt es eine Pause."
MORE = "Am Wochenende ist geschlossen."
QUIET = b"\xff"
TIMES = 3
COLLEAGUE = "+493012345678"


@pytest.fixture(autouse=True)
def _logs() -> None:
    configure_logs()


async def interrupts(telephone: Telephone, call: PlacedCall, answers: int) -> float:
    """Ask, interrupt the answer, and hear the next one; return by how much the truncation was off."""
    before = len(telephone.realtime.sessions[0].memory.truncations)
    asked_ms = call.heard_ms
    await telephone.say(call, "Wann haben Sie geöffnet?")
    await call.wait_for_heard(asked_ms + 600)
    telephone.realtime.caller_says(None, "Moment bitte!")
    await call.speak(SPEAKS)
    session = await telephone.listening(answers=answers)
    cleared_ms = call.happened("cleared")[-1].at_ms
    heard = [one for one in call.heard if one.begins_ms < cleared_ms]
    played_ms = sum(one.ms for one in heard) - asked_ms
    cut, *later = session.memory.truncations[before:]
    assert [(one.audio_end_ms, one.refusal) for one in later] == [(0, "")] * len(later)
    after = b"".join(one.audio for one in call.heard if one.begins_ms >= cleared_ms)
    assert after.rstrip(QUIET) == spoken("Gern.", "de").rstrip(QUIET)
    return abs(cut.audio_end_ms - played_ms)


async def test_an_interruption_is_told_as_it_was_heard_and_nothing_late_is_heard(
    database_url: str, tmp_path: Path
) -> None:
    answers: list[str | tuple[Action, ...]] = [(Utter(LONG), Utter(MORE)), "Gern."]
    async with opened_telephone(database_url, tmp_path, *answers * TIMES) as telephone:
        telephone.realtime.faults.late_deltas = 4
        call = await telephone.ring()
        off_ms = [await interrupts(telephone, call, 3 + 2 * time) for time in range(TIMES)]
        assert statistics.median(off_ms) <= 40, off_ms
        assert not telephone.realtime.sessions[0].errors
        await call.hang_up()
        row = await telephone.over(call)
        assert row["figures"]["barge_ins"] == TIMES
        assert row["figures"]["late_deltas"] > 0
        assert [text for _, text in await telephone.speeches()].count(MORE) == 0


async def test_a_session_is_replaced_before_the_vendor_ends_it_and_nobody_notices(
    database_url: str, tmp_path: Path
) -> None:
    async with opened_telephone(database_url, tmp_path, "Um neun.") as telephone:
        telephone.realtime.session_s = 13.0
        call = await telephone.ring()
        telephone.realtime.session_s = 3_600.0
        second = await telephone.realtime.session(2)
        await until(lambda: _true(not telephone.realtime.sessions[0].is_open))
        await telephone.say(call, "Wann öffnen Sie?")
        await telephone.listening(answers=1)
        assert [item.text for item in second.view().items] == [GREETING, "Wann öffnen Sie?", "Um neun."]
        await call.hang_up()
        row = await telephone.over(call)
        assert (row["figures"]["rotations"], row["figures"]["reconnects"]) == (1, 0)
        said = await telephone.world.rows(
            "SELECT text, created_at FROM message WHERE kind = 'speech' ORDER BY created_at"
        )
        assert [row["text"] for row in said] == [GREETING, "Wann öffnen Sie?", "Um neun."]
        ahead_s = (said[2]["created_at"] - said[1]["created_at"]).total_seconds()  # type: ignore[operator]  # moments
        assert ahead_s > len(SPEAKS.rstrip(QUIET)) / 8_000 - 0.2


async def test_a_tool_whose_model_dies_is_used_once_and_its_result_is_known_to_the_next(
    database_url: str, tmp_path: Path
) -> None:
    wanted = UseTool("take_message", {"text": "Bitte zurückrufen."})
    async with opened_telephone(database_url, tmp_path, wanted, "Ist notiert.", "Ist notiert.") as telephone:
        call = await telephone.ring()
        await telephone.say(call, "Bitte rufen Sie mich zurück.")
        first = telephone.realtime.sessions[0]
        await call.wait_for(lambda _: len(first.answers) == 2 and first.answers[1].status == "completed")
        first.drop()
        second = await telephone.realtime.session(2)
        await telephone.listening(answers=1)
        assert any(item.kind == "tool_result" or "take_message" in item.text for item in second.view().items)
        await call.hang_up()
        await telephone.over(call)
        assert len(await telephone.world.rows("SELECT FROM message WHERE kind = 'note'")) == 1
        assert [text for _, text in await telephone.speeches()].count(GREETING) == 1


@pytest.mark.parametrize("person", [False, True], ids=["nobody", "a person"])
async def test_without_a_model_for_good_the_caller_hears_why_and_is_put_through_if_that_is_possible(
    database_url: str, tmp_path: Path, *, person: bool
) -> None:
    voice = (f'transfer_to = "{COLLEAGUE}"', "transfer_timeout_s = 5") if person else ()
    async with opened_telephone(database_url, tmp_path, voice=voice) as telephone:
        telephone.world.twilio.calls.answers[COLLEAGUE] = Answer(talks_s=0.5)
        call = await telephone.ring()
        await telephone.realtime.sessions[0].object_to("insufficient_quota")
        await call.wait_for(lambda placed: bool(placed.legs) or placed.is_over, timeout_s=30)
        row = await telephone.over(call)
        assert len(call.legs) == int(person)
        assert row["end_reason"] == ("forwarded" if person else "technical")
        assert len(telephone.realtime.sessions) == 1
        said = " ".join([text for _, text in await telephone.speeches()] + list(call.said))
        assert ("Ich verbinde Sie" if person else "technisches Problem") in said
        assert not (person and "Auf Wiederhören" in said)


async def test_a_model_that_does_not_say_what_it_is_is_reminded(database_url: str, tmp_path: Path) -> None:
    async with opened_telephone(database_url, tmp_path) as telephone:
        telephone.realtime.mind.answers[0] = "Hallo, was kann ich tun?"  # type: ignore[attr-defined]  # a script
        call = await telephone.ring()
        session = telephone.realtime.sessions[0]
        notes = [item.text for item in session.view().items if item.kind == "note"]
        assert any("KI" in note and GREETING in note for note in notes)
        await call.hang_up()
        await telephone.over(call)


async def test_a_silent_caller_is_asked_and_then_taken_leave_of(database_url: str, tmp_path: Path) -> None:
    voice = ("idle_prompt_s = 3", "idle_end_after = 1")
    async with opened_telephone(database_url, tmp_path, voice=voice) as telephone:
        call = await telephone.ring()
        row = await telephone.over(call)
        assert row["end_reason"] == "idle"
        assert (call.end_reason, row["figures"]["idle_prompts"]) == ("rest", 1)
        said = [text for _, text in await telephone.speeches()]
        assert len(said) == 3
        assert "Auf Wiederhören" in said[-1]


@contextlib.asynccontextmanager
async def another_process(world: World) -> AsyncIterator[str]:
    """Run a second gateway on the same rows, which Twilio reaches from now on; yields the first one's address."""
    settings, limits = world.services.settings, world.services.limits
    async with (
        open_services(settings, now=world.clock.now, new_id=system_id, limits=limits) as services,
        served(services) as url,
    ):
        first, world.url = world.url, url
        yield first
        await until(lambda: _true(not services.live_calls.calls))
        await world.quiet()
        world.url = first


async def active(world: World, url: str) -> int:
    async with world.http.get(f"{url}/health/active-calls") as response:
        return int((await response.json())["active_calls"])


async def test_a_call_goes_on_in_another_process_when_its_own_is_to_end(database_url: str, tmp_path: Path) -> None:
    async with opened_telephone(database_url, tmp_path, "Um neun.") as telephone:
        world = telephone.world
        before, _, _ = await world.wallet()
        call = await telephone.ring()
        async with another_process(world) as first:
            assert (await active(world, first), await active(world, world.url)) == (1, 0)
            for live in list(world.services.live_calls.calls.values()):
                live.move()

            async def is_elsewhere() -> bool:
                there, here = await active(world, world.url), await active(world, first)
                return (there, here) == (1, 0) and call.listener is not None

            await until(is_elsewhere)
            second = await telephone.realtime.session(2)
            await telephone.say(call, "Wann öffnen Sie?")
            await call.wait_for(lambda _: bool(second.answers) and second.answers[-1].status == "completed")
            await call.wait_for_heard(call.heard_ms + 100)
            await call.hang_up()
        row = await telephone.over(call)
        gap_ms = call.happened("stream")[1].at_ms - call.happened("stream_ended")[0].at_ms
        assert gap_ms < 3_000
        assert [item.text for item in second.view().items] == [GREETING, "Wann öffnen Sie?", "Um neun."]
        assert (row["minutes_charged"], row["end_reason"]) == (1, "caller_hung_up")
        assert before - (await world.wallet())[0] == cost(row)


async def test_what_is_logged_of_a_call_names_nobody_and_quotes_nothing(database_url: str, tmp_path: Path) -> None:
    logged = io.StringIO()
    configure_logs(logged)
    message = UseTool("take_message", {"text": "Bitte zurückrufen."})
    async with opened_telephone(database_url, tmp_path, message, "Ist notiert.", LONG) as telephone:
        call = await telephone.ring()
        await telephone.say(call, "Bitte rufen Sie mich zurück.")
        await telephone.listening(answers=3)
        telephone.realtime.sessions[0].drop()
        await telephone.realtime.session(2)
        telephone.world.twilio.faults.call_updates_failed = 9
        await call.press("73")
        await call.hang_up()
        await telephone.over(call)
        secrets = [CALLER, CALLER.removeprefix("+"), telephone.world.salon.business.display_number.removeprefix("+")]
        quoted = ["zurück", "notiert", "Hallo", "73]", "[Tasten"]
        assert "engine_lost" in logged.getvalue()
        assert [word for word in [*secrets, *quoted] if word in logged.getvalue()] == []


async def _true(holds: object) -> bool:
    return bool(holds)
