"""Which tools an agent has."""

from typing import get_args

import pytest

from agents.agent import ToolName
from agents.tools.registry import tools_for
from tests.agents.acting import context_of
from tests.agents.tools.salon import lindenhof

FIVE = ["free_appointments", "book_appointment", "my_appointments", "move_appointment", "cancel_appointment"]


def test_tools_come_in_the_order_of_the_configuration() -> None:
    names = [tool.definition.name for tool in tools_for(lindenhof(tools=["handover", "appointments", "opening_hours"]))]
    assert names == ["handover", *FIVE, "opening_hours"]


def test_an_agent_without_tools_has_none() -> None:
    assert tools_for(lindenhof(tools=[])) == ()


@pytest.mark.parametrize("name", get_args(ToolName))
def test_every_name_that_can_be_configured_is_a_tool(name: str) -> None:
    assert tools_for(lindenhof(tools=[name]))


def test_what_changes_something_is_known_to_write_and_what_reads_rows_to_need_them() -> None:
    tools = tools_for(lindenhof())
    assert [tool.definition.name for tool in tools if tool.writes] == [
        "book_appointment",
        "move_appointment",
        "cancel_appointment",
    ]
    assert [tool.definition.name for tool in tools if tool.uses_database] == FIVE


def test_every_tool_takes_an_object_without_unknown_arguments() -> None:
    for tool in tools_for(lindenhof()):
        parameters = tool.definition.parameters
        assert (parameters["type"], parameters["additionalProperties"]) == ("object", False)
        properties = parameters["properties"]
        assert isinstance(properties, dict)
        assert set(parameters.get("required", [])) <= set(properties)  # type: ignore[call-overload]  # a JSON schema


async def test_a_handover_is_only_asked_for() -> None:
    (handover,) = tools_for(lindenhof(tools=["handover"]))
    assert await handover.call(context_of(), {"reason": "Beschwerde"}, None) == "A person will go on from here."


async def test_appointments_without_a_database_are_a_mistake_of_ours() -> None:
    free = tools_for(lindenhof(tools=["appointments"]))[0]
    with pytest.raises(TypeError, match="kept in the database"):
        await free.call(context_of(), {}, None)
