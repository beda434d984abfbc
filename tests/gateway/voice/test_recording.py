"""Recording at Twilio: only where the owner wants it, only after a yes, and nothing of it here."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from gateway.errors import MediaError
from gateway.voice import call_store, recording
from gateway.voice.call import Call
from tests.gateway.voice.engine import ScriptedEngine
from tests.gateway.voice.telephone import PUBLIC, Telephone

ASKING = {"recording": "ask"}
CALLBACK = "/webhooks/twilio/voice/recording"


@pytest.fixture
async def telephone(
    open_telephone: Callable[..., AbstractAsyncContextManager[Telephone]],
) -> AsyncIterator[Telephone]:
    async with open_telephone(engines={"realtime": ScriptedEngine()}) as opened:
        yield opened


async def ringing(telephone: Telephone, **voice: str) -> Call:
    await telephone.change_agent(voice=voice)
    await telephone.ring()
    services, row = telephone.services, await telephone.call()
    async with services.db.transaction(row["tenant_id"]) as connection:
        return await call_store.load_call(connection, row["tenant_id"], row["call_id"], services.versions)


async def state(telephone: Telephone) -> str:
    word: str = (await telephone.call())["recording"]
    return word


async def recorded(telephone: Telephone, call: Call, **fields: str) -> None:
    given = {"RecordingSid": "RE1", "RecordingStatus": "completed", "RecordingDuration": "42", **fields}
    await telephone.tell(f"{CALLBACK}/{call.call_id}?tenant={call.tenant_id}", **given)


async def test_where_nothing_is_recorded_nobody_is_asked_and_a_yes_records_nothing(telephone: Telephone) -> None:
    call = await ringing(telephone)
    assert not recording.wanted(call)
    assert not await recording.asked(telephone.services, call)
    assert not await recording.answer(telephone.services, call, agreed=True)
    assert telephone.carrier.asked == []
    await recorded(telephone, call)
    assert await state(telephone) == "none"
    assert (await telephone.call())["recording_sid"] is None


async def test_a_no_is_kept_and_records_nothing(telephone: Telephone) -> None:
    call = await ringing(telephone, **ASKING)
    assert await recording.asked(telephone.services, call)
    assert not await recording.answer(telephone.services, call, agreed=False)
    assert not await recording.answer(telephone.services, call, agreed=True)
    assert telephone.carrier.asked == []
    await recorded(telephone, call)
    row = await telephone.call()
    assert (row["recording"], row["recording_consent_at"], row["recording_sid"]) == ("refused", None, None)


async def test_after_a_yes_twilio_records_and_tells_how_long_it_was(telephone: Telephone) -> None:
    call = await ringing(telephone, **ASKING)
    assert await recording.answer(telephone.services, call, agreed=True)
    [(_, path, form)] = telephone.carrier.asked
    assert path == "Calls/CA1/Recordings.json"
    assert form["RecordingStatusCallback"] == f"{PUBLIC}{CALLBACK}/{call.call_id}?tenant={call.tenant_id}"
    row = await telephone.call()
    assert (row["recording"], row["recording_sid"]) == ("running", "RE1")
    assert row["recording_consent_at"] == telephone.clock.now()
    for _ in range(2):
        await recorded(telephone, call)
    row = await telephone.call()
    assert (row["recording"], row["recording_duration_s"]) == ("stored", 42)


async def test_a_recording_that_does_not_begin_has_failed(telephone: Telephone) -> None:
    call = await ringing(telephone, **ASKING)
    telephone.carrier.refuses_with = 21220
    assert not await recording.answer(telephone.services, call, agreed=True)
    assert await state(telephone) == "failed"


async def test_a_recording_of_nothing_has_failed(telephone: Telephone) -> None:
    call = await ringing(telephone, **ASKING)
    await recording.answer(telephone.services, call, agreed=True)
    await recorded(telephone, call, RecordingStatus="absent")
    assert await state(telephone) == "failed"


async def test_what_is_told_of_another_recording_changes_nothing(telephone: Telephone) -> None:
    call = await ringing(telephone, **ASKING)
    await recording.answer(telephone.services, call, agreed=True)
    await recorded(telephone, call, RecordingSid="RE2")
    assert await state(telephone) == "running"


async def test_a_recording_ends_before_a_person_is_dialled(telephone: Telephone) -> None:
    call = await ringing(telephone, **ASKING)
    await recording.stop(telephone.services, call)
    assert telephone.carrier.asked == []
    await recording.answer(telephone.services, call, agreed=True)
    await recording.stop(telephone.services, call)
    assert telephone.carrier.asked[-1] == ("POST", "Calls/CA1/Recordings/RE1.json", {"Status": "stopped"})


async def test_a_recording_is_heard_from_twilio_and_deleted_there(telephone: Telephone, tmp_path: Path) -> None:
    call = await ringing(telephone, **ASKING)
    await recording.answer(telephone.services, call, agreed=True)
    await recorded(telephone, call)
    telephone.carrier.sound = bytes(range(256)) * 1_000
    services, who = telephone.services, (call.tenant_id, call.call_id)
    heard = b"".join([piece async for piece in recording.fetch(services, *who)])
    assert heard == telephone.carrier.sound
    await recording.delete(services, *who)
    assert telephone.carrier.asked[-1][:2] == ("DELETE", "Recordings/RE1.json")
    assert await state(telephone) == "none"
    with pytest.raises(LookupError):
        await recording.delete(services, *who)
    written = [
        path for path in tmp_path.rglob("*") if path.is_file() and telephone.carrier.sound[:64] in path.read_bytes()
    ]
    assert written == []


async def test_a_recording_that_twilio_keeps_is_not_forgotten(telephone: Telephone) -> None:
    call = await ringing(telephone, **ASKING)
    await recording.answer(telephone.services, call, agreed=True)
    await recorded(telephone, call)
    telephone.carrier.refuses_with = 20003
    who = (call.tenant_id, call.call_id)
    with pytest.raises(MediaError):
        await recording.delete(telephone.services, *who)
    with pytest.raises(MediaError):
        async for _ in recording.fetch(telephone.services, *who):
            pass
    assert await state(telephone) == "stored"


async def test_mallory_hears_and_deletes_no_recording_of_acmes(telephone: Telephone) -> None:
    call = await ringing(telephone, **ASKING)
    await recording.answer(telephone.services, call, agreed=True)
    await recorded(telephone, call)
    with pytest.raises(LookupError):
        await recording.delete(telephone.services, telephone.cast.mallory, call.call_id)
    with pytest.raises(LookupError):
        async for _ in recording.fetch(telephone.services, telephone.cast.mallory, call.call_id):
            pass
