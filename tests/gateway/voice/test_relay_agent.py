"""The agent on the phone is the agent on WhatsApp: what it knows and what it can do, said aloud instead of written."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agents.agent import parse_agent
from agents.errors import ModelUnavailableError
from agents.model import ChatReply, ChatRequest, ToolCall
from agents.prompt import HistoryMessage, build_prompt
from agents.prompt_text import stable_text
from agents.tools.registry import tools_for
from gateway.services import Services
from gateway.voice.call_tools import tools_in
from gateway.voice.engines.base import PastItem
from gateway.voice.relay.agent import RelayAgent, prompt_of
from gateway.voice.relay.signals import Answered, Draft, NotAnswered
from gateway.voice.relay.tools import ending_tools
from tests.gateway.voice.a_call import SALON, Salon

QUESTION = "Was kostet ein Haarschnitt?"
DRAFT = Draft(
    draft=7,
    past=(PastItem(kind="agent", text="Guten Tag."), PastItem(kind="customer", text="Hallo.")),
    words=(QUESTION,),
    notes=("Komm zum Schluss.",),
)


class Model:
    """Answers by a script, and keeps what it was asked."""

    def __init__(self, *script: ChatReply | Exception) -> None:
        self.script = list(script)
        self.requests: list[ChatRequest] = []

    async def complete(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:
        del timeout_s
        self.requests.append(request)
        told = self.script.pop(0)
        if isinstance(told, Exception):
            raise told
        return told


def says(text: str) -> ChatReply:
    return ChatReply(text=text, tool_calls=(), model="m", cut_off=False, usage={"prompt_tokens": 40, "model": "m"})


def uses(name: str, **arguments: object) -> ChatReply:
    call = ToolCall(call_id=f"call_{name}", name=name, arguments=json.dumps(arguments))
    return ChatReply(text="", tool_calls=(call,), model="m", cut_off=False, usage={"prompt_tokens": 2})


def never() -> None:
    raise AssertionError("nothing was to be changed")


def paragraphs(text: str) -> set[str]:
    return set(text.split("\n\n"))


async def test_it_knows_on_the_phone_what_it_knows_on_whatsapp(salon: Salon) -> None:
    call = await salon.rings()
    prompt = prompt_of(salon.services, call, DRAFT)
    written = build_prompt(
        configuration=salon.configuration,
        channel="whatsapp",
        contact_facts={"name": "Anna"},
        history=[],
        new_messages=[HistoryMessage(role="customer", text=QUESTION, at=salon.services.now())],
        now=salon.services.now(),
        count_tokens=salon.services.count_tokens,
        budget_tokens=8_000,
        first_answer=False,
    )
    on_whatsapp = stable_text(salon.configuration, "whatsapp").split("\n\n")
    facts = {part for part in on_whatsapp if part.startswith("## ") and not part.startswith("## Regeln")}
    assert len(facts) >= 2
    assert facts <= paragraphs(prompt.messages[0].text)
    assert "Anna" in prompt.messages[0].text
    assert "Anna" in written.messages[0].text
    rules = set(written.messages[0].text.split("## Regeln\n")[1].split("\n\n")[0].splitlines()[1:])
    assert rules <= set(prompt.messages[0].text.splitlines())


async def test_it_can_do_on_the_phone_what_it_can_on_whatsapp_and_end_the_call(salon: Salon) -> None:
    configuration = await salon.publish(voice={"transfer_to": "+49 30 1234567"})
    call = await salon.rings()
    on_whatsapp = [tool.definition for tool in tools_for(configuration)]
    on_the_phone = [tool.definition for tool in (*tools_in(call), *ending_tools(call.configuration, []))]
    assert [definition for definition in on_whatsapp if definition.name != "handover"] == on_the_phone[:-3]
    assert [definition.name for definition in on_the_phone[-3:]] == ["take_message", "transfer_call", "end_call"]


def test_it_puts_nobody_through_without_a_number() -> None:
    assert [tool.definition.name for tool in ending_tools(parse_agent(SALON), [])] == ["end_call"]


async def test_it_is_told_how_one_speaks_and_what_was_said(salon: Salon) -> None:
    call = await salon.rings()
    system, *said = prompt_of(salon.services, call, DRAFT).messages
    assert "## Am Telefon" in system.text
    assert system.text.endswith("Komm zum Schluss.")
    assert [(message.role, message.text) for message in said] == [
        ("assistant", "Guten Tag."),
        ("user", "Hallo."),
        ("user", QUESTION),
    ]


async def test_its_words_come_back_with_what_the_provider_counted(salon: Salon) -> None:
    call = await salon.rings()
    model = Model(says("42 Euro."), says("Gern."))
    agent = RelayAgent(_with(salon, model), call)
    assert await agent.answer(DRAFT, on_write=never) == Answered(draft=7, text="42 Euro.")
    [attempt] = _attempts(agent)
    assert attempt["usage"] == {"prompt_tokens": 40, "model": "m"}
    assert _attempts(agent) == []
    await agent.answer(DRAFT, on_write=never)
    assert agent.totals == {"requests": 2, "prompt_tokens": 80, "tools": 0}


async def test_it_ends_the_call_after_words_of_its_own(salon: Salon) -> None:
    call = await salon.rings()
    agent = RelayAgent(_with(salon, Model(uses("end_call", reason="fertig"), says("Auf Wiederhören!"))), call)
    assert await agent.answer(DRAFT, on_write=never) == Answered(draft=7, text="Auf Wiederhören!", ending="end_call")
    assert agent.totals["tools"] == 1


async def test_a_message_is_taken_within_the_call(salon: Salon) -> None:
    call = await salon.rings()
    written: list[bool] = []
    agent = RelayAgent(_with(salon, Model(uses("take_message", text="Bitte zurückrufen."), says("Ist notiert."))), call)
    told = await agent.answer(DRAFT, on_write=lambda: written.append(True))
    assert told == Answered(draft=7, text="Ist notiert.")
    assert written == [True]
    [note] = await salon.rows("SELECT text, author FROM message WHERE kind = 'note'")
    assert note == {"text": "Bitte zurückrufen.", "author": "customer"}


async def test_no_answer_is_one_too(salon: Salon) -> None:
    call = await salon.rings()
    down = ModelUnavailableError("HTTP 503")
    agent = RelayAgent(_with(salon, Model(*[down] * 4)), call)
    assert await agent.answer(DRAFT, on_write=never) == NotAnswered(draft=7)
    assert agent.totals["requests"] >= 2


async def test_a_stream_that_has_lost_its_call_answers_nothing(salon: Salon) -> None:
    call = await salon.rings()
    await salon.do("UPDATE call SET lease_epoch = lease_epoch + 1")
    assert await RelayAgent(_with(salon, Model()), call).answer(DRAFT, on_write=never) == NotAnswered(draft=7)


def _with(salon: Salon, model: Model) -> Services:
    return replace(salon.services, chat_model=model)


def _attempts(agent: RelayAgent) -> list[Mapping[str, Any]]:
    found = agent.take_usage()["attempts"]
    assert isinstance(found, list)
    return found
