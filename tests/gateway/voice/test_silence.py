from gateway.voice.talk.silence import Fillers, Idle


def test_a_filler_is_due_after_a_while_of_waiting_in_silence() -> None:
    fillers = Fillers()
    assert fillers.due_ms(0) is None
    fillers.begin("tool", 1_000)
    assert fillers.due_ms(0) == 2_200
    assert fillers.due_ms(1_500) == 2_700
    fillers.end("tool")
    assert fillers.due_ms(0) is None


def test_the_second_filler_comes_later_and_is_the_last() -> None:
    fillers = Fillers()
    fillers.begin("tool", 0)
    assert fillers.fill(0, 1_200) is False
    assert fillers.due_ms(2_000) == 2_000 + 3_600
    assert fillers.fill(2_000, 5_600) is True
    assert fillers.due_ms(10_000) is None


def test_a_wait_that_has_begun_does_not_begin_again() -> None:
    fillers = Fillers()
    fillers.begin("engine", 0)
    fillers.begin("engine", 900)
    assert fillers.due_ms(0) == 1_000


def test_a_silent_caller_is_asked_a_few_times_and_anew_once_they_have_answered() -> None:
    idle = Idle(prompt_after_ms=10_000, end_after=2)
    assert idle.due_ms(500) == 10_500
    assert [idle.prompt() for _ in range(3)] == [True, True, False]
    idle.is_broken()
    assert idle.prompt()
