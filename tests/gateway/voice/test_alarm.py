import asyncio

from gateway.voice.media.alarm import Alarm


async def test_ringing_before_the_waiting_counts() -> None:
    alarm = Alarm()
    alarm.ring()
    await asyncio.wait_for(alarm.wait(None), 5)


async def test_it_waits_for_a_time_and_no_longer() -> None:
    await asyncio.wait_for(Alarm().wait(0.01), 5)


async def test_one_who_is_rung_all_the_time_lets_others_have_their_turn() -> None:
    alarm, others = Alarm(), []

    async def other() -> None:
        others.append("had a turn")

    task = asyncio.create_task(other())
    for _ in range(3):
        alarm.ring()
        await alarm.wait(None)
    assert others == ["had a turn"]
    await task
