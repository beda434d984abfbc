"""What an agent can do on the phone only."""

from agents.agent import parse_agent
from agents.tools.phone import phone_tools

BASE = {"name": "Rezeption", "instructions": "Hilf."}


def test_an_agent_can_hang_up_and_take_messages_and_put_through_only_with_a_number() -> None:
    without = phone_tools(parse_agent(BASE))
    assert [tool.name for tool in without] == ["take_message", "end_call"]
    with_number = phone_tools(parse_agent({**BASE, "voice": {"transfer_to": "+49 30 1234567"}}))
    assert [tool.name for tool in with_number] == ["transfer_call", "take_message", "end_call"]


def test_a_number_to_put_through_to_is_never_told_to_the_model() -> None:
    for tool in phone_tools(parse_agent({**BASE, "voice": {"transfer_to": "+49 30 1234567"}})):
        assert "1234567" not in f"{tool.description}{tool.parameters}"
        assert tool.parameters["additionalProperties"] is False
