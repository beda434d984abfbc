"""What the model writes to the appointments: read as it is meant, or refused with words about what is wrong."""

from datetime import UTC, date, datetime, time
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from agents.errors import ToolFailedError
from agents.model import ToolDefinition
from agents.tools.appointments.arguments import (
    BookArguments,
    CancelArguments,
    FreeArguments,
    MoveArguments,
    NoArguments,
    moment,
    service_of,
)
from agents.tools.appointments.definitions import BOOK, CANCEL, FREE, MINE, MOVE
from agents.tools.arguments import ToolArguments, read
from tests.agents.tools.salon import BERLIN, at, lindenhof

READERS: list[tuple[ToolDefinition, type[ToolArguments]]] = [
    (FREE, FreeArguments),
    (BOOK, BookArguments),
    (MINE, NoArguments),
    (MOVE, MoveArguments),
    (CANCEL, CancelArguments),
]


def test_null_and_empty_arguments_are_as_if_left_out() -> None:
    assert read(FreeArguments, {"service": None, "day": "", "part_of_day": " "}) == FreeArguments()


def test_arguments_are_read_as_days_times_and_ids() -> None:
    wish = read(FreeArguments, {"day": "2026-11-27", "from_time": "14:30", "part_of_day": "evening"})
    assert (wish.day, wish.from_time, wish.part_of_day) == (date(2026, 11, 27), time(14, 30), "evening")
    assert read(CancelArguments, {"appointment_id": str(UUID(int=7))}).appointment_id == UUID(int=7)


@pytest.mark.parametrize(
    ("model", "arguments", "told"),
    [
        (FreeArguments, {"day": "morgen"}, "day: must be a day like 2026-11-27"),
        (FreeArguments, {"day": "9999-12-31"}, "day: must be a day like 2026-11-27"),
        (FreeArguments, {"day": 1795737600}, "day: must be a day like 2026-11-27"),
        (FreeArguments, {"from_time": "halb drei"}, "from_time: must be a time like 14:30"),
        (FreeArguments, {"part_of_day": "night"}, "part_of_day: must be one of 'morning', 'afternoon' or 'evening'"),
        (FreeArguments, {"from_tim": "14:00"}, 'from_tim: is not a known setting; did you mean "from_time"?'),
        (FreeArguments, {"service": ["Haarschnitt"]}, "service: must be text"),
        (BookArguments, {}, "start: is missing"),
        (BookArguments, {"start": "x", "note": "n" * 501}, "note: is longer than 500 characters"),
        (BookArguments, {"start": "x", "contact_id": "7"}, "contact_id: is not a known setting"),
        (CancelArguments, {"appointment_id": "7"}, "appointment_id: must be an appointment_id as a tool has named it"),
        (MoveArguments, {"new_start": None}, "new_start: is missing"),
        (NoArguments, {"contact": "+491751234567"}, "contact: is not a known setting"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_with_words(
    model: type[ToolArguments], arguments: dict[str, object], told: str
) -> None:
    with pytest.raises(ToolFailedError) as refused:
        read(model, arguments)
    assert str(refused.value) == told


@pytest.mark.parametrize(("definition", "reader"), READERS, ids=[shown.name for shown, _ in READERS])
def test_the_model_is_shown_exactly_what_is_read(definition: ToolDefinition, reader: type[ToolArguments]) -> None:
    fields = reader.model_fields
    assert definition.parameters["additionalProperties"] is False
    assert set(definition.parameters["properties"]) == set(fields)  # type: ignore[call-overload]  # a JSON schema
    assert definition.parameters["required"] == [name for name, field in fields.items() if field.is_required()]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-27T09:00", datetime(2026, 11, 27, 8, 0, tzinfo=UTC)),
        ("2026-11-27 09:00:00", datetime(2026, 11, 27, 8, 0, tzinfo=UTC)),
        ("2026-11-27T09:00+01:00", datetime(2026, 11, 27, 8, 0, tzinfo=UTC)),
        ("2026-11-27T09:00Z", datetime(2026, 11, 27, 9, 0, tzinfo=UTC)),
        ("2026-10-25T02:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25T02:30+01:00", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
    ],
)
def test_a_moment_without_offset_is_on_the_agents_wall_clock(text: str, instant: datetime) -> None:
    assert moment(text, BERLIN) == instant


@pytest.mark.parametrize(
    "text", ["2026-11-27", "20261127", "Freitag um 9", "0001-01-01T00:00", "9999-12-31T23:59Z", "2026-11-27T25:00"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ToolFailedError, match="write a date and time like 2026-11-27T09:00"):
        moment(text, ZoneInfo("Pacific/Kiritimati"))


def test_a_time_that_the_clock_jumps_over_is_refused() -> None:
    with pytest.raises(ToolFailedError, match="does not exist"):
        moment("2027-03-28T02:30", BERLIN)
    assert moment("2027-03-28T03:00", BERLIN) == at("2027-03-28T03:00")


def test_a_service_is_found_whatever_its_case_and_spaces() -> None:
    assert service_of(lindenhof(), " dauer WELLE".replace(" W", "w")).minutes == 120


def test_the_only_service_needs_no_name() -> None:
    agent = lindenhof(service=[{"name": "Haarschnitt", "minutes": 45}])
    assert service_of(agent, None).name == "Haarschnitt"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (None, 'say which service; there are: "Haarschnitt", "Dauerwelle"'),
        ("Massage", 'there is no such service; there are: "Haarschnitt", "Dauerwelle"'),
    ],
)
def test_a_service_that_is_not_clear_is_asked_for_with_what_there_is(name: str | None, told: str) -> None:
    with pytest.raises(ToolFailedError) as refused:
        service_of(lindenhof(), name)
    assert str(refused.value) == told
