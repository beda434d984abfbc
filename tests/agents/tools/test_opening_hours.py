"""Opening hours as they are told to the model: now, a day and the six after it."""

from dataclasses import replace

import pytest

from agents.agent import AgentConfiguration
from agents.errors import ToolFailedError
from agents.tools.opening_hours import OpeningHours
from tests.agents.acting import context_of
from tests.agents.tools.salon import at, lindenhof


async def told(agent: AgentConfiguration, now: str, **arguments: object) -> list[str]:
    return (await OpeningHours(agent).call(replace(context_of(), now=lambda: at(now)), arguments, None)).splitlines()


async def test_a_week_from_today_is_told_with_breaks_holidays_and_closed_days() -> None:
    assert await told(lindenhof(), "2026-12-09T10:00") == [
        "Jetzt geöffnet.",
        "Mittwoch, 9. Dezember 2026: 09:00-13:00, 14:00-18:00",
        "Donnerstag, 10. Dezember 2026: 09:00-13:00, 14:00-20:00",
        "Freitag, 11. Dezember 2026: zu (Betriebsausflug)",
        "Samstag, 12. Dezember 2026: 09:00-13:00",
        "Sonntag, 13. Dezember 2026: zu",
        "Montag, 14. Dezember 2026: zu",
        "Dienstag, 15. Dezember 2026: 09:00-13:00, 14:00-18:00",
    ]


@pytest.mark.parametrize(
    ("now", "first"),
    [
        ("2026-12-09T13:00", "Jetzt geschlossen. Öffnet wieder: Mittwoch, 9. Dezember 2026, 14:00 Uhr"),
        ("2026-12-09T18:00", "Jetzt geschlossen. Öffnet wieder: Donnerstag, 10. Dezember 2026, 09:00 Uhr"),
        ("2026-12-10T20:30", "Jetzt geschlossen. Öffnet wieder: Samstag, 12. Dezember 2026, 09:00 Uhr"),
        ("2026-12-24T20:00", "Jetzt geschlossen. Öffnet wieder: Dienstag, 29. Dezember 2026, 09:00 Uhr"),
    ],
    ids=["lunch break", "evening", "before a closed day", "before Christmas"],
)
async def test_when_it_is_closed_the_next_opening_is_told(now: str, first: str) -> None:
    assert (await told(lindenhof(), now))[0] == first


async def test_a_wished_day_comes_first_and_now_is_told_all_the_same() -> None:
    lines = await told(lindenhof(), "2026-11-24T11:00", day="2026-12-24")
    assert lines[0] == "Jetzt geöffnet."
    assert lines[1] == "Donnerstag, 24. Dezember 2026: 09:00-13:00, 14:00-20:00"
    assert lines[2] == "Freitag, 25. Dezember 2026: zu (1. Weihnachtstag)"
    assert len(lines) == 8


async def test_it_is_told_in_english_to_an_english_agent() -> None:
    lines = await told(lindenhof(language="en"), "2026-12-24T20:00")
    assert lines[0] == "Closed now. Opens again: Tuesday, 29 December 2026, 09:00"
    assert lines[2] == "Friday, 25 December 2026: closed (Christmas Day)"


async def test_a_business_that_never_opens_has_no_next_opening() -> None:
    assert (await told(lindenhof(hours={}, tools=["opening_hours"]), "2026-12-09T10:00"))[0] == "Jetzt geschlossen."


async def test_the_day_is_the_agents_own_and_not_greenwichs() -> None:
    lines = await told(lindenhof(), "2026-12-10T00:30")
    assert lines[1].startswith("Donnerstag, 10. Dezember 2026")


@pytest.mark.parametrize("day", ["Freitag", "9999-12-31", "0001-01-01", 5])
async def test_what_is_no_day_is_refused(day: object) -> None:
    with pytest.raises(ToolFailedError, match="day: must be a day like 2026-11-27"):
        await told(lindenhof(), "2026-11-24T11:00", day=day)
