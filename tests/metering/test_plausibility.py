"""What the price list promises, checked on recorded dialogues: a conversation costs around 500 credits."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from metering.credits import MILLICREDITS
from metering.price import CONVERSATION_ANSWERS, CONVERSATION_INPUT_TOKENS, CONVERSATION_OUTPUT_TOKENS
from metering.rates import Item, load_rate_cards
from metering.tokens import CountTokens, load_counter

RECORDED = Path(__file__).parents[3] / "shared" / "data"
PROMPT_TOKENS = 1_200  # instructions, facts, services and hours of a usual agent
PROMISED_CREDITS = 500
PROMISED_CREDITS_A_MONTH = 150_000  # ten conversations a day


@dataclass(frozen=True)
class Conversation:
    """One dialogue as it would be charged: each customer's burst is answered from the prompt and all before it."""

    answers: int
    credits: float
    input_tokens: int
    output_tokens: int


@pytest.fixture(scope="module")
def count_tokens(tmp_path_factory: pytest.TempPathFactory) -> CountTokens:
    return load_counter("gpt-5-mini", tmp_path_factory.mktemp("tokens"))


def charged(turns: Sequence[tuple[str, str]], count_tokens: CountTokens) -> Conversation:
    card = load_rate_cards().version("2026-01")
    replayed, answers, cost, asked = PROMPT_TOKENS, 0, 0, False
    input_tokens, output_tokens = 0, 0
    for speaker, text in turns:
        tokens = count_tokens(text)
        if speaker == "agent":
            cost += card.line(Item.CHAT_OUTPUT, tokens).amount_millicredits
            output_tokens += tokens
            if asked:
                cost += card.line(Item.CHAT_INPUT, replayed).amount_millicredits
                input_tokens += replayed
                answers += 1
        asked = speaker == "customer"
        replayed += tokens
    return Conversation(answers, cost / MILLICREDITS, input_tokens, output_tokens)


def recorded(name: str, count_tokens: CountTokens) -> list[Conversation]:
    file = RECORDED / name
    if not file.is_file():
        pytest.skip("the recorded dialogues are not here")
    dialogues = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [charged([(turn["speaker"], turn["text"]) for turn in each["turns"]], count_tokens) for each in dialogues]


def distribution(name: str, conversations: Sequence[Conversation]) -> str:
    costs = [each.credits for each in conversations]
    tenths = statistics.quantiles(costs, n=10)
    answers = statistics.mean(each.answers for each in conversations)
    return (
        f"\n{name}: {len(costs)} conversations of {answers:.1f} answers, "
        f"credits min {min(costs):.0f}, p10 {tenths[0]:.0f}, p50 {tenths[4]:.0f}, "
        f"mean {statistics.mean(costs):.0f}, p90 {tenths[8]:.0f}, max {max(costs):.0f} "
        f"(promised: around {PROMISED_CREDITS})"
    )


@pytest.mark.parametrize("name", ["dialogues_de_woz.jsonl", "dialogues_en_star.jsonl"])
def test_ten_recorded_conversations_a_day_stay_within_the_promised_month(
    name: str, count_tokens: CountTokens, capsys: pytest.CaptureFixture[str]
) -> None:
    conversations = recorded(name, count_tokens)
    mean = statistics.mean(each.credits for each in conversations)
    with capsys.disabled():
        print(distribution(name, conversations))
    assert PROMISED_CREDITS / 2 <= mean <= PROMISED_CREDITS
    assert mean * 10 * 30 <= PROMISED_CREDITS_A_MONTH


def test_every_recorded_answer_costs_about_a_ninth_of_a_conversation(count_tokens: CountTokens) -> None:
    conversations = recorded("dialogues_de_woz.jsonl", count_tokens) + recorded("dialogues_en_star.jsonl", count_tokens)
    per_answer = [each.credits / each.answers for each in conversations if each.answers]
    assert 50 <= statistics.mean(per_answer) <= 60
    assert max(per_answer) <= 75


def test_a_conversation_of_nine_exchanges_costs_what_is_promised(count_tokens: CountTokens) -> None:
    exchange = [
        ("customer", "Haben Sie am Samstagvormittag noch einen Termin für einen Damenschnitt frei?"),
        ("agent", "Ja, am Samstag um 9:30 Uhr und um 11:15 Uhr. Welcher Termin passt Ihnen besser?"),
    ]
    conversation = charged(exchange * CONVERSATION_ANSWERS, count_tokens)
    assert conversation.answers == CONVERSATION_ANSWERS == 9
    assert conversation.input_tokens == pytest.approx(CONVERSATION_INPUT_TOKENS, rel=0.15)
    assert conversation.output_tokens == pytest.approx(CONVERSATION_OUTPUT_TOKENS, rel=0.15)
    assert conversation.credits == pytest.approx(PROMISED_CREDITS, rel=0.15)
