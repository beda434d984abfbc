"""What is wrong with a configuration, in the words of the person who wrote it."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from agents.agent import parse_agent, parse_agents
from agents.errors import ConfigurationError

BASE: Mapping[str, object] = {"name": "Rezeption", "instructions": "Hilf den Kunden."}


def problems(**changes: object) -> tuple[str, ...]:
    table = {name: value for name, value in {**BASE, **changes}.items() if value is not ...}
    with pytest.raises(ConfigurationError) as caught:
        parse_agent(table)
    return tuple(problem.removeprefix('agent "Rezeption": ') for problem in caught.value.problems)


MUST_DISCLOSE = (
    'disclosure: must say that a machine is talking ("KI", "künstliche Intelligenz", "digitale Assistentin", "AI", '
    '"virtual assistant"); it can be reworded, not removed'
)


TWO_DAYS = 'ends before it begins; write a night as two days, "20:00-24:00" and "00:00-02:00"'


STATES = "BW, BY, BE, BB, HB, HH, HE, MV, NI, NW, RP, SL, SN, ST, SH, TH"


WRONG: Mapping[str, tuple[Mapping[str, object], str]] = {
    # texts
    "no instructions": ({"instructions": ...}, "instructions: is missing"),
    "blank instructions": ({"instructions": " \n"}, "instructions: must not be empty"),
    "long instructions": ({"instructions": "x" * 12_001}, "instructions: is longer than 12000 characters"),
    "facts as a list": ({"facts": ["a"]}, "facts: must be text"),
    "long facts": ({"facts": "x" * 20_001}, "facts: is longer than 20000 characters"),
    "never as text": ({"never": "a"}, "never: must be a list"),
    "an empty rule": ({"never": ["a", ""]}, "never 2: must not be empty"),
    "too many rules": ({"never": ["a"] * 51}, "never: has more than 50 entries"),
    "long greeting": ({"greeting": "x" * 501}, "greeting: is longer than 500 characters"),
    "away text as a number": ({"away_text": 5}, "away_text: must be text"),
    "long away text": ({"away_text": "x" * 1001}, "away_text: is longer than 1000 characters"),
    "keywords as text": ({"handover_keywords": "Mensch"}, "handover_keywords: must be a list"),
    "long keyword": ({"handover_keywords": ["x" * 41]}, "handover_keywords 1: is longer than 40 characters"),
    "too many keywords": ({"handover_keywords": ["x"] * 31}, "handover_keywords: has more than 30 entries"),
    # words from a list
    "unknown language": ({"language": "fr"}, "language: must be one of 'de' or 'en'"),
    "unknown time zone": ({"timezone": "Berlin"}, 'timezone: "Berlin" is not known; write it like "Europe/Berlin"'),
    "a path as time zone": ({"timezone": "../x"}, 'timezone: "../x" is not known; write it like "Europe/Berlin"'),
    "a folder as time zone": ({"timezone": "Europe"}, 'timezone: "Europe" is not known; write it like "Europe/Berlin"'),
    "no time zone": ({"timezone": ""}, 'timezone: "" is not known; write it like "Europe/Berlin"'),
    "unknown state": (
        {"holidays": "Bayern"},
        f'holidays: "Bayern" is not a German state; write one of {STATES}',
    ),
    "unknown tool": (
        {"tools": ["appointment"]},
        "tools 1: must be one of 'appointments', 'opening_hours' or 'handover'",
    ),
    "tools as text": ({"tools": "handover"}, "tools: must be a list"),
    "a tool twice": ({"tools": ["handover", "handover"]}, 'tools: "handover" is there twice'),
    "after hours": ({"after_hours": "never"}, "after_hours: must be one of 'always', 'during' or 'outside'"),
    "when spent": (
        {"budgets": {"when_spent": "cry"}},
        "budgets, when_spent: must be one of 'away_text', 'handover' or 'silence'",
    ),
    "unknown channel": ({"channel": {"fax": {}}}, "channel, fax: must be one of 'whatsapp', 'sms' or 'voice'"),
    # numbers
    "few tokens": ({"answer_max_tokens": 49}, "answer_max_tokens: must be at least 50"),
    "many tokens": ({"answer_max_tokens": 4001}, "answer_max_tokens: must be at most 4000"),
    "tokens as text": ({"answer_max_tokens": "800"}, "answer_max_tokens: must be a whole number"),
    "minutes as yes": (
        {"service": [{"name": "A", "minutes": True}]},
        "service 1, minutes: must be a whole number",
    ),
    "half minutes": ({"service": [{"name": "A", "minutes": 4.5}]}, "service 1, minutes: must be a whole number"),
    "a negative budget": ({"budgets": {"contact": -1}}, "budgets, contact: must be at least 0"),
    "a budget beyond measure": ({"budgets": {"agent": 10**13}}, "budgets, agent: must be at most 1000000000000"),
    "a channel's budget": (
        {"channel": {"sms": {"budget_contact": "much"}}},
        "channel, sms, budget_contact: must be a whole number",
    ),
    "a negative notice": ({"booking": {"lead_minutes": -1}}, "booking, lead_minutes: must be at least 0"),
    # SMS
    "no segments": ({"sms": {"segments_max": 0}}, "sms, segments_max: must be at least 1"),
    "many segments": ({"sms": {"segments_max": 11}}, "sms, segments_max: must be at most 10"),
    "segments as text": ({"sms": {"segments_max": "4"}}, "sms, segments_max: must be a whole number"),
    "unicode as text": ({"sms": {"allow_unicode": "yes"}}, "sms, allow_unicode: must be true or false"),
    "SMS as a number": ({"sms": 4}, "sms: must be a table"),
    "misspelled segments": (
        {"sms": {"segment_max": 4}},
        'sms, segment_max: is not a known setting; did you mean "segments_max"?',
    ),
    # hours
    "hours as text": ({"hours": "9-5"}, "hours: must be a table"),
    "a day as text": (
        {"hours": {"monday": "09:00-10:00"}},
        'hours, monday: must be a list such as ["09:00-13:00", "14:00-18:00"]',
    ),
    "a short block": (
        {"hours": {"monday": ["9-10"]}},
        "hours, monday: must be written like \"09:00-13:00\", not '9-10'",
    ),
    "hour 25": ({"hours": {"monday": ["09:00-25:00"]}}, 'hours, monday: "09:00-25:00" is not a time of day'),
    "minute 60": ({"hours": {"monday": ["09:60-10:00"]}}, 'hours, monday: "09:60-10:00" is not a time of day'),
    "past midnight": (
        {"hours": {"monday": ["20:00-02:00"]}},
        f'hours, monday: "20:00-02:00" {TWO_DAYS}',
    ),
    "disorder": (
        {"hours": {"monday": ["14:00-18:00", "09:00-13:00"]}},
        'hours, monday: "09:00-13:00" must stand before "14:00-18:00"',
    ),
    "overlap": (
        {"hours": {"monday": ["09:00-14:00", "13:00-18:00"]}},
        'hours, monday: "09:00-14:00" and "13:00-18:00" overlap',
    ),
    # closed days
    "closed days as text": ({"closed_days": "2026-01-01"}, "closed_days: must be a list"),
    "a closed number": ({"closed_days": [5]}, "closed_days 1: must be a table"),
    "closed backwards": (
        {"closed_days": ["2026-01-02/2026-01-01"]},
        "closed_days 1: 2026-01-01 is before 2026-01-02",
    ),
    "a long label": (
        {"closed_days": [{"date": "2026-01-02", "label": "x" * 81}]},
        "closed_days 1, label: is longer than 80 characters",
    ),
    # services
    "no minutes": ({"service": [{"name": "A"}]}, "service 1, minutes: is missing"),
    "few minutes": ({"service": [{"name": "A", "minutes": 4}]}, "service 1, minutes: must be at least 5"),
    "many minutes": ({"service": [{"name": "A", "minutes": 1441}]}, "service 1, minutes: must be at most 1440"),
    "a service twice": (
        {"service": [{"name": "Schnitt", "minutes": 10}, {"name": "schnitt ", "minutes": 20}]},
        'service 2: "schnitt" is there twice',
    ),
    "one service as a table": ({"service": {"name": "A", "minutes": 10}}, "service: must be a list"),
    "a service as text": ({"service": ["A"]}, "service 1: must be a table"),
    # misspelled settings
    "misspelled": ({"instructons": "x"}, 'instructons: is not a known setting; did you mean "instructions"?'),
    "unheard of": ({"xyz": 1}, "xyz: is not a known setting"),
    "misspelled day": (
        {"hours": {"mon": ["09:00-10:00"]}},
        'hours, mon: is not a known setting; did you mean "monday"?',
    ),
    "misspelled price": (
        {"service": [{"name": "A", "minutes": 10, "prise": "5"}]},
        'service 1, prise: is not a known setting; did you mean "price"?',
    ),
    "misspelled budget": (
        {"budgets": {"contct": 1}},
        'budgets, contct: is not a known setting; did you mean "contact"?',
    ),
    "misspelled on a channel": (
        {"channel": {"sms": {"greting": "x"}}},
        'channel, sms, greting: is not a known setting; did you mean "greeting"?',
    ),
    "perhaps enabled": ({"channel": {"sms": {"enabled": "perhaps"}}}, "channel, sms, enabled: must be true or false"),
    "a channel as a number": ({"channel": {"sms": 5}}, "channel, sms: must be a table"),
    "channels as a list": ({"channel": [1]}, "channel: must be a table"),
    # disclosure
    "no machine": ({"disclosure": "Ich bin Anna."}, MUST_DISCLOSE),
    "denied": ({"disclosure": "Ich bin keine KI."}, MUST_DISCLOSE),
    "taken away": ({"disclosure": ""}, "disclosure: must not be empty"),
    "long": ({"disclosure": "KI " * 200}, "disclosure: is longer than 500 characters"),
}


@pytest.mark.parametrize(("changes", "problem"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said_in_the_owners_words(changes: Mapping[str, object], problem: str) -> None:
    assert problems(**changes) == (problem,)


@pytest.mark.parametrize("day", ["2026-02-30", "morgen", datetime(2026, 1, 1, 5, tzinfo=UTC)])
def test_a_closed_day_that_is_no_date_says_how_to_write_one(day: object) -> None:
    assert problems(closed_days=[day]) == (
        "closed_days 1, from: must be a date like 2026-12-24",
        "closed_days 1, to: must be a date like 2026-12-24",
    )


def test_appointments_need_services_and_hours() -> None:
    assert problems(tools=["appointments"]) == (
        "tools: appointments need at least one [[agent.service]] with a name and minutes",
        "tools: appointments need opening hours in [agent.hours]",
    )
    hours = {"monday": ["09:00-10:00"]}
    assert problems(tools=["appointments"], hours=hours) == (
        "tools: appointments need at least one [[agent.service]] with a name and minutes",
    )


def test_every_problem_is_found_at_once() -> None:
    assert problems(facts=5, model="", holidays=7) == (
        "facts: must be text",
        "model: must not be empty",
        "holidays: must be text",
    )
    assert problems(disclosure="Anna.", timezone="X") == (
        'timezone: "X" is not known; write it like "Europe/Berlin"',
        MUST_DISCLOSE,
    )


def test_a_problem_names_its_agent_even_if_that_has_no_name() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_agent({"name": " ", "instructions": "x"})
    assert caught.value.problems == ('agent "without a name": name: must not be empty',)
    with pytest.raises(ConfigurationError, match=r'^agent "x{80}": name: is longer than 80 characters$'):
        parse_agent({"name": "x" * 5000, "instructions": "x"})


def test_the_problems_of_all_agents_of_a_file_are_found_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_agents({"agent": [{"name": "A"}, {"instructions": "x"}, BASE, BASE]})
    assert caught.value.problems == (
        'agent "A": instructions: is missing',
        'agent "without a name": name: is missing',
        'agent "Rezeption": is there twice',
    )


@pytest.mark.parametrize("written", [5, "Rezeption", dict(BASE), [5]], ids=["number", "text", "one table", "numbers"])
def test_agents_must_be_tables_of_a_list(written: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_agents({"agent": written})
    assert caught.value.problems == ("agent: must be written as [[agent]] tables",)
