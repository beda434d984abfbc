"""What the simulated Realtime server refuses, as its vendor would."""

import copy

import pytest

from gateway.simulator.openai_realtime_wire import (
    Problem,
    error,
    merged,
    session_problem,
    truncation_problem,
    usage,
)

SESSION = {
    "type": "realtime",
    "output_modalities": ["audio"],
    "instructions": "Du bist Lina.",
    "audio": {
        "input": {
            "format": {"type": "audio/pcmu"},
            "turn_detection": {"type": "server_vad", "create_response": True, "interrupt_response": True},
            "transcription": {"model": "gpt-4o-mini-transcribe", "language": "de"},
            "noise_reduction": {"type": "near_field"},
        },
        "output": {"format": {"type": "audio/pcmu"}, "voice": "marin", "speed": 1.0},
    },
    "tools": [{"type": "function", "name": "find_slots", "description": "", "parameters": {}}],
    "max_output_tokens": 1024,
    "truncation": {
        "type": "retention_ratio",
        "retention_ratio": 0.8,
        "token_limits": {"post_instructions": 8000},
    },
}


def problem_of(*path: str, value: object, model: str = "gpt-realtime") -> Problem | None:
    """Change one thing in a good session and have it looked at."""
    session = copy.deepcopy(SESSION)
    inner: dict[str, object] = session
    for name in path[:-1]:
        inner = inner[name]  # type: ignore[assignment]  # objects all the way down
    inner[path[-1]] = value
    return session_problem(session, model=model, voice_in_use=None)


def test_a_good_session_is_taken() -> None:
    assert session_problem(SESSION, model="gpt-realtime", voice_in_use=None) is None
    assert session_problem({"type": "realtime"}, model="gpt-realtime", voice_in_use=None) is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("audio", "input", "format"), {"type": "audio/pcmu", "rate": 8000}),
        (("audio", "output", "format"), {"type": "audio/pcm"}),
        (("audio", "output", "format"), "g711_ulaw"),
        (("audio", "output", "voice"), "lina"),
        (("audio", "output", "speed"), 1.6),
        (("audio", "input", "turn_detection", "type"), "vad"),
        (("audio", "input", "turn_detection", "threshold"), 2),
        (("audio", "input", "noise_reduction", "type"), "none"),
        (("audio", "input", "transcription"), {"model": 7}),
        (("output_modalities",), ["audio", "text"]),
        (("instructions",), None),
        (("tools",), [{"type": "function", "name": "no spaces", "parameters": {}}]),
        (("tools",), [{"type": "function", "name": "x", "parameters": {}, "strict": True}]),
        (("tools",), {}),
        (("max_output_tokens",), 4097),
        (("truncation",), "never"),
    ],
)
def test_what_is_not_as_it_should_be_is_refused(path: tuple[str, ...], value: object) -> None:
    problem = problem_of(*path, value=value)
    assert problem is not None
    assert problem.code == "invalid_value"
    assert (problem.param or "").startswith("session." + ".".join(path)[:12])


@pytest.mark.parametrize(
    "path",
    [("modalities",), ("temperature",), ("audio", "voice"), ("audio", "input", "turn_detection", "silence_ms")],
)
def test_what_the_vendor_does_not_know_is_refused(path: tuple[str, ...]) -> None:
    problem = problem_of(*path, value="x")
    assert problem is not None
    assert problem.code in {"unknown_parameter", "invalid_value"}
    assert path[-1] in problem.message or "turn_detection" in problem.message


def test_what_may_be_nothing_may_be_nothing() -> None:
    for name in ("turn_detection", "transcription", "noise_reduction"):
        assert problem_of("audio", "input", name, value=None) is None
    assert problem_of("max_output_tokens", value="inf") is None
    assert problem_of("truncation", value="disabled") is None
    assert problem_of("audio", value=None) == Problem(
        code="invalid_type", message="Invalid type for 'session.audio': expected an object.", param="session.audio"
    )


def test_reasoning_is_for_models_that_reason() -> None:
    refused = problem_of("reasoning", value={"effort": "low"})
    assert refused is not None
    assert refused.code == "unknown_parameter"
    assert problem_of("reasoning", value={"effort": "low"}, model="gpt-realtime-2.1") is None


@pytest.mark.parametrize("session", [None, {}, {"type": "transcription"}])
def test_a_session_says_that_it_is_one(session: object) -> None:
    problem = session_problem(session, model="gpt-realtime", voice_in_use=None)
    assert problem is not None
    assert problem.code == "missing_required_parameter"


def test_a_voice_stays_once_it_was_heard() -> None:
    problem = session_problem(SESSION, model="gpt-realtime", voice_in_use="cedar")
    assert problem is not None
    assert problem.code == "cannot_update_voice"
    assert session_problem(SESSION, model="gpt-realtime", voice_in_use="marin") is None
    assert session_problem({"type": "realtime"}, model="gpt-realtime", voice_in_use="marin") is None


@pytest.mark.parametrize(
    ("audio_ms", "wanted_ms", "message"),
    [
        (2650.0, 2650, None),
        (2650.6, 2650, None),
        (2650.0, 0, None),
        (2650.0, 9100, "Audio content of 2650ms is already shorter than 9100ms"),
        (2650.0, 2651, "Audio content of 2650ms is already shorter than 2651ms"),
        (0.0, 0, "Only model output audio messages can be truncated"),
        (None, 5, "Error truncating item: the item with id 'item_1' does not exist."),
        (2650.0, -1, "Invalid type for 'audio_end_ms': expected an integer."),
        (2650.0, 1.5, "Invalid type for 'audio_end_ms': expected an integer."),
    ],
)
def test_only_audio_that_is_there_can_be_cut(audio_ms: float | None, wanted_ms: object, message: str | None) -> None:
    problem = truncation_problem(audio_ms, wanted_ms, item_id="item_1")
    assert (problem and problem.message) == message


def test_an_update_changes_what_it_says_and_leaves_the_rest() -> None:
    after = merged(SESSION, {"type": "realtime", "audio": {"output": {"speed": 1.2}}})
    assert after["instructions"] == "Du bist Lina."
    assert after["audio"]["output"] == {"format": {"type": "audio/pcmu"}, "voice": "marin", "speed": 1.2}  # type: ignore[index]
    assert after["audio"]["input"] == SESSION["audio"]["input"]  # type: ignore[index]


def test_an_error_says_whose_fault_it_is() -> None:
    ours = error(Problem(code="invalid_value", message="x"), event_id="event_7")
    assert ours["error"]["type"] == "invalid_request_error"  # type: ignore[index]
    assert ours["error"]["event_id"] == "event_7"  # type: ignore[index]
    assert error(Problem(code="server_error", message="x"))["error"]["type"] == "server_error"  # type: ignore[index]


def test_usage_adds_up() -> None:
    counted = usage(input_text=400, input_audio=20, cached=200, output_text=10, output_audio=40)
    assert (counted["input_tokens"], counted["output_tokens"], counted["total_tokens"]) == (420, 50, 470)
