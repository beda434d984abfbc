"""Recorded dialogues replayed as customers: every receipt is the counted tokens times the rate, and no more.

The fake model returns the recorded agent's lines and tool calls. The distribution of credits per conversation is
printed beside what the price list promises for a prompt of some 1,200 tokens. `DIALOGUES_EVERY=1` replays all.
"""

import asyncio
import json
import os
import re
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.simulator.customer import Customer
from gateway.simulator.openai_chat import Call, Request, Said
from metering.rates import Item
from metering.receipts import Receipt
from tests.stories.world import Salon, World

DATA = Path(__file__).parent.parent.parent.parent / "shared/data"
EVERY = int(os.environ.get("DIALOGUES_EVERY", "6"))  # of 210 dialogues: some 35, German and English
AT_ONCE = 12
PROMISED_CREDITS = 500
NAME = re.compile(r"name: (dialogue\d+)")

AGENT = """
[[agent]]
name = "Rezeption"
instructions = "{instructions}"
greeting = "Hallo, hier ist die digitale Assistentin (KI)."
language = "de"
tools = ["opening_hours"]
[agent.budgets]
contact = 100000
[[line]]
number = "{{number}}"
kind = "mobile"
agent = "Rezeption"
channels = ["whatsapp"]
whatsapp_provider = "meta"
whatsapp_phone_number_id = "{{phone_number_id}}"
"""


@dataclass
class Exchange:
    """What a customer writes in one go, and how the agent answered."""

    customer: list[str]
    agent: list[str]
    calls: list[Call]


@dataclass
class Replay:
    """The model's side: whose turn it is, and what each turn's first request held."""

    dialogues: dict[str, list[Exchange]]
    first_requests: dict[str, list[list[str]]] = field(default_factory=lambda: defaultdict(list))

    def think(self, request: Request) -> Said:
        messages: list[dict[str, object]] = request["messages"]  # type: ignore[assignment]
        texts = [str(message["content"]) for message in messages if message["content"] is not None]
        found = NAME.search("\n".join(texts))
        assert found is not None
        name = found[1]
        position = sum(message["role"] == "assistant" and not message.get("tool_calls") for message in messages)
        exchange = self.dialogues[name][position]
        if any(message["role"] == "tool" for message in messages):
            return Said(text="\n\n".join(exchange.agent))
        self.first_requests[name].append(texts)
        return Said(calls=exchange.calls) if exchange.calls else Said(text="\n\n".join(exchange.agent))


def dialogues() -> Iterator[list[Exchange]]:
    lines = [line for file in sorted(DATA.glob("dialogues_*.jsonl")) for line in file.read_text().splitlines()]
    for line in lines[::EVERY]:
        exchanges = list(_exchanges(json.loads(line)["turns"]))
        if exchanges:
            yield exchanges


def _exchanges(turns: Sequence[dict[str, object]]) -> Iterator[Exchange]:
    customer: list[str] = []
    current: Exchange | None = None
    for turn in turns:
        if turn["speaker"] == "customer":
            if current is not None:
                yield current
                current, customer = None, []
            customer.append(str(turn["text"]))
        elif customer:
            current = current or Exchange(customer, [], [])
            current.agent.append(str(turn["text"]))
            calls: list[dict[str, object]] = turn.get("tool_calls") or []  # type: ignore[assignment]
            current.calls.extend(
                Call(name=str(call["name"]).replace(".", "_"), arguments=call["arguments"])  # type: ignore[arg-type]
                for call in calls
            )
    if current is not None:
        yield current


@pytest.mark.skipif(not DATA.exists(), reason="the recorded dialogues are not here")
@pytest.mark.timeout(300)
async def test_every_recorded_dialogue_costs_what_its_tokens_cost(world: World) -> None:
    replay = Replay({f"dialogue{number}": dialogue for number, dialogue in enumerate(dialogues())})
    world.model.brain = replay.think
    sentence = "Du bist die Rezeption und hilfst freundlich, kurz und genau bei Fragen zu Terminen und Tischen. "
    instructions = (sentence * 60)[:4_050]
    salon = await world.add_salon("Dialoge", amount_credits=200_000, file=AGENT.format(instructions=instructions))
    gate = asyncio.Semaphore(AT_ONCE)

    async def play(number: int, name: str) -> Customer:
        customer = world.customer(number, salon=salon, name=name)
        async with gate:
            for exchange in replay.dialogues[name]:
                for text in exchange.customer:
                    await customer.write(text)
                await customer.next_text(timeout_s=30)
        return customer

    customers = await asyncio.gather(*(play(number, name) for number, name in enumerate(replay.dialogues)))
    await world.quiet()
    totals = []
    receipts = await _receipts_by_name(world, salon)
    for customer in customers:
        name = customer.person.name
        own = receipts[name]
        _check(world, own, replay.first_requests[name], [sent.text for sent in customer.received])
        totals.append(sum(receipt.total_millicredits for receipt in own) / 1_000)
    await world.audit()
    stable = world.services.count_tokens(replay.first_requests["dialogue0"][0][0])
    print(
        f"\n{len(totals)} dialogues, {len(replay.first_requests)} customers, system text of {stable} tokens: "
        f"p50 {statistics.median(totals):.0f}, mean {statistics.mean(totals):.0f}, max {max(totals):.0f} credits "
        f"per conversation (promised: around {PROMISED_CREDITS} for an average one)"
    )


def _check(world: World, receipts: Sequence[Receipt], requests: Sequence[Sequence[str]], sent: Sequence[str]) -> None:
    count = world.services.count_tokens
    assert len(receipts) == len(requests) == len(sent)
    for receipt, texts, text in zip(receipts, requests, sent, strict=True):
        lines = {line.item: line for line in receipt.lines}
        asked, said = sum(count(part) for part in texts), count(text)
        assert lines[Item.CHAT_INPUT].amount_millicredits == asked * 40
        assert lines[Item.CHAT_OUTPUT].amount_millicredits == said * 200
        assert receipt.total_millicredits == asked * 40 + said * 200


async def _receipts_by_name(world: World, salon: Salon) -> dict[str, list[Receipt]]:
    names = {row["contact_id"]: str(row["name"]) for row in await world.rows("SELECT * FROM contact", salon=salon)}
    found: dict[str, list[Receipt]] = defaultdict(list)
    for receipt in await world.receipts(salon):
        found[names[receipt.contact_id]].append(receipt)
    return found
