"""A salon to book in: Tuesday to Friday with a lunch break, Saturday mornings, closed on a few days."""

from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from agents.agent import AgentConfiguration, parse_agent

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)  # a Tuesday, 11:00 in Berlin
LINDENHOF: Mapping[str, object] = {
    "name": "Rezeption",
    "instructions": "Du bist die Rezeption.",
    "tools": ["appointments", "opening_hours", "handover"],
    "hours": {
        "tuesday": ["09:00-13:00", "14:00-18:00"],
        "wednesday": ["09:00-13:00", "14:00-18:00"],
        "thursday": ["09:00-13:00", "14:00-20:00"],
        "friday": ["09:00-13:00", "14:00-18:00"],
        "saturday": ["09:00-13:00"],
    },
    "closed_days": [{"date": "2026-12-11", "label": "Betriebsausflug"}],
    "holidays": "BE",
    "service": [
        {"name": "Haarschnitt", "minutes": 45, "buffer_minutes": 15},
        {"name": "Dauerwelle", "minutes": 120},
    ],
    "booking": {"lead_minutes": 60, "horizon_days": 60, "grid_minutes": 15, "open_per_contact": 3},
}


def lindenhof(**changes: object) -> AgentConfiguration:
    return parse_agent({**LINDENHOF, **changes})


def at(text: str) -> datetime:
    """A moment on the wall clock of Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)
