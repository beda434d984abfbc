"""An agent's configuration: what may be written, what is wrong with what was written, and how it comes back."""

import json
import tomllib
from collections.abc import Mapping
from datetime import date

import pytest
from pydantic import ValidationError

from agents.agent import AgentConfiguration, dump_agent, parse_agent, parse_agents
from agents.parts import Block, ClosedDays, SmsStyle
from agents.texts import DEFAULT_HANDOVER_KEYWORDS, DEFAULT_TEXTS

BASE: Mapping[str, object] = {"name": "Rezeption", "instructions": "Hilf den Kunden."}


EVERYTHING = """
name = "Rezeption"
instructions = "Hilf den Kunden."
facts = "Parkplätze im Hof."
never = ["Rabatte versprechen"]
greeting = "Hallo, hier ist die digitale Assistentin (KI) vom Salon Lindenhof."
language = "en"
timezone = "Europe/Vienna"
model = "small"
tools = ["appointments", "opening_hours", "handover"]
closed_days = [
  2026-12-24,
  "2026-12-31",
  "2027-08-01/2027-08-14",
  { date = 2027-01-02, label = "Inventur" },
  { from = "2027-03-01", to = "2027-03-02" },
  { from = 2027-04-01 },
]
holidays = "SN"
after_hours = "during"
disclosure = "I am the salon's AI."
away_text = "Back soon."
apology_text = "Sorry."
handover_text = "A person will answer."
handover_keywords = ["human", "Anna"]
answer_max_tokens = 400

[hours]
tuesday = ["09:00-13:00", "14:00 \u2013 18:00"]
saturday = ["00:00-24:00"]

[[service]]
name = "Haarschnitt"
minutes = 45
price = "39 €"
buffer_minutes = 15

[[service]]
name = "Beratung"
minutes = 15

[booking]
lead_minutes = 120
horizon_days = 30
grid_minutes = 30
open_per_contact = 2

[budgets]
contact = 0
agent = 50000
when_spent = "handover"

[sms]
segments_max = 2
allow_unicode = true

[channel.whatsapp]
greeting = "Hi!"
budget_contact = 2000

[channel.sms]
enabled = false
instructions_extra = "Ein Satz genügt."
answer_max_tokens = 100
away_text = "Später."
budget_channel = 7000
"""


def everything() -> AgentConfiguration:
    return parse_agent(tomllib.loads(EVERYTHING))


def test_a_name_and_instructions_are_enough() -> None:
    agent = parse_agent(BASE)
    assert (agent.name, agent.language, agent.zone.key, agent.answer_max_tokens) == (
        "Rezeption",
        "de",
        "Europe/Berlin",
        800,
    )
    assert agent.tools == ("opening_hours", "handover")
    assert agent.disclosure == DEFAULT_TEXTS["disclosure"]["de"]
    assert agent.handover_keywords == DEFAULT_HANDOVER_KEYWORDS["de"]
    assert agent.hours.never_open


def test_an_english_agent_has_english_texts_unless_its_owner_words_them() -> None:
    agent = parse_agent({**BASE, "language": "en", "away_text": "Bin weg."})
    assert agent.apology_text == DEFAULT_TEXTS["apology_text"]["en"]
    assert agent.away_text == "Bin weg."


def test_everything_that_can_be_written_is_read() -> None:
    agent = everything()
    assert agent.hours.tuesday == (Block(540, 780), Block(840, 1080))
    assert agent.hours.saturday == (Block(0, 1440),)
    assert agent.hours.on(date(2026, 11, 24)) == agent.hours.tuesday
    assert agent.hours.on(date(2026, 11, 25)) == ()
    assert [(days.first, days.last, days.label) for days in agent.closed_days] == [
        (date(2026, 12, 24), date(2026, 12, 24), ""),
        (date(2026, 12, 31), date(2026, 12, 31), ""),
        (date(2027, 8, 1), date(2027, 8, 14), ""),
        (date(2027, 1, 2), date(2027, 1, 2), "Inventur"),
        (date(2027, 3, 1), date(2027, 3, 2), ""),
        (date(2027, 4, 1), date(2027, 4, 1), ""),
    ]
    assert agent.services[0].buffer_minutes == 15
    assert agent.budgets.contact == 0
    assert agent.sms == SmsStyle(segments_max=2, allow_unicode=True)


def test_closed_days_cover_their_first_and_last() -> None:
    days = ClosedDays.model_validate("2027-08-01/2027-08-14")
    assert [days.covers(date(2027, 7, 31)), days.covers(date(2027, 8, 1))] == [False, True]
    assert [days.covers(date(2027, 8, 14)), days.covers(date(2027, 8, 15))] == [True, False]


def test_what_is_written_back_is_read_as_the_same_agent() -> None:
    for agent in (everything(), parse_agent(BASE), parse_agent({**BASE, "language": "en"})):
        table = dump_agent(agent)
        assert parse_agent(table) == agent
        assert parse_agent(json.loads(json.dumps(table))) == agent


def test_what_is_as_shipped_is_not_written_back() -> None:
    assert dump_agent(parse_agent(BASE)) == dict(BASE)
    assert dump_agent(parse_agent({**BASE, "language": "en"})) == {**BASE, "language": "en"}


def test_names_in_the_file_are_those_written_back() -> None:
    table = dump_agent(everything())
    assert {"service", "channel"} <= table.keys()
    assert table["hours"] == {"tuesday": ["09:00-13:00", "14:00-18:00"], "saturday": ["00:00-24:00"]}
    closed_days = table["closed_days"]
    assert isinstance(closed_days, list)
    assert closed_days[3] == {"from": "2027-01-02", "to": "2027-01-02", "label": "Inventur"}


def test_an_answer_by_sms_has_four_plain_segments_at_most_unless_its_owner_says_so() -> None:
    agent = parse_agent({**BASE, "channel": {"sms": {"greeting": "Hallo!"}}})
    assert (agent.sms.segments_max, agent.sms.allow_unicode) == (4, False)
    assert agent.on_channel("sms").sms == agent.sms
    one = parse_agent({**BASE, "sms": {"segments_max": 1}})
    assert dump_agent(one) == {**BASE, "sms": {"segments_max": 1}}
    assert dump_agent(parse_agent({**BASE, "sms": {"segments_max": 4}})) == dict(BASE)


def test_a_configuration_cannot_be_changed() -> None:
    agent = parse_agent(BASE)
    with pytest.raises(ValidationError):
        agent.name = "Anders"  # type: ignore[misc]  # that it fails is the point


def test_a_channel_differs_where_its_owner_says_so_and_nowhere_else() -> None:
    agent = everything()
    sms, whatsapp, voice = (agent.on_channel(channel) for channel in ("sms", "whatsapp", "voice"))
    assert sms.instructions == "Hilf den Kunden.\n\nEin Satz genügt."
    assert (sms.answer_max_tokens, sms.away_text, sms.budgets.channel, sms.budgets.contact) == (100, "Später.", 7000, 0)
    assert (whatsapp.greeting, whatsapp.budgets.contact, whatsapp.budgets.agent) == ("Hi!", 2000, 50000)
    assert (whatsapp.answer_max_tokens, whatsapp.away_text) == (400, "Back soon.")
    assert voice is agent


def test_an_empty_greeting_on_a_channel_is_a_greeting_taken_away() -> None:
    agent = parse_agent({**BASE, "greeting": "Hallo!", "channel": {"sms": {"greeting": ""}}})
    assert agent.on_channel("sms").greeting == ""
    assert agent.on_channel("whatsapp").greeting == "Hallo!"


def test_a_service_is_found_whatever_its_case_and_spaces() -> None:
    agent = parse_agent({**BASE, "service": [{"name": "Waschen und  Föhnen".replace("  ", " "), "minutes": 30}]})
    found = agent.find_service("  WASCHEN   und föhnen ")
    assert found is not None
    assert found.minutes == 30
    assert agent.find_service("Waschen") is None


def test_nul_and_lone_surrogates_become_replacement_characters() -> None:
    agent = parse_agent({**BASE, "facts": "a\x00b", "never": ["\ud800"]})
    assert (agent.facts, agent.never) == ("a\ufffdb", ("\ufffd",))


def test_a_file_may_have_several_agents_and_other_tables() -> None:
    agents = parse_agents({"agent": [BASE, {**BASE, "name": "Zweite"}], "line": [{"number": 5}]})
    assert [agent.name for agent in agents] == ["Rezeption", "Zweite"]
    assert parse_agents({"line": []}) == ()
