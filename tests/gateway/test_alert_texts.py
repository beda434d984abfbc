"""Every alert that the code can raise has words, in both languages, and none of them a place left open."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.alert_texts import alert_text, known_kinds, mail_delay

GATEWAY = Path(__file__).parents[2] / "gateway"
_RAISED = re.compile(r"(?:raise_alert\(|_tell\().*?kind=\"(\w+)\"", re.DOTALL)


def kinds_in_the_code() -> set[str]:
    """Kinds that stand as words beside a call of raise_alert; the others are asked of the modules that choose them."""
    found: set[str] = set()
    for path in GATEWAY.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for call in re.findall(r"raise_alert\(\s.*?\n\s*\)", text, re.DOTALL):
            found |= set(re.findall(r"kind=\"(\w+)\"", call))
        found |= set(re.findall(r"_tell\(\s*services, connection, turn, \"(\w+)\"", text))
    return found


def test_every_kind_that_is_raised_has_words() -> None:
    chosen = {"delivery_failed", "window_closed", "provider_payment", "provider_account", "low_balance", "paused"}
    raised = kinds_in_the_code() | chosen
    assert {"handover", "late_message", "model_down", "webhook_disabled"} <= raised
    assert raised - known_kinds() == set()


@pytest.mark.parametrize("locale", ["de", "de-AT", "en", "fr"])
@pytest.mark.parametrize("kind", sorted(known_kinds() | {"of_tomorrow"}))
def test_all_words_are_whole_with_any_detail(kind: str, locale: str) -> None:
    for detail in ({}, {"percent": 10, "balance_millicredits": 1_500, "days_left": 1}, {"percent": "x"}):
        text = alert_text(kind, detail, locale=locale)
        assert text.title
        assert not text.title.endswith(".")
        assert text.body.endswith(".")
        assert not re.search(r"[{}]|  ", text.title + text.body)


def test_an_unknown_kind_gets_general_words_without_its_name() -> None:
    text = alert_text("of_tomorrow", {}, locale="en")
    assert "of_tomorrow" not in text.title + text.body


@pytest.mark.parametrize(
    ("days", "said"), [(0, "keinen ganzen Tag"), (1, "etwa einen Tag"), (12, "etwa 12 Tage"), (None, "Sind sie")]
)
def test_the_days_that_are_left_are_said_if_they_are_known(days: int | None, said: str) -> None:
    detail = {"percent": 20, "balance_millicredits": 1, "days_left": days}
    assert said in alert_text("low_balance", detail, locale="de").body


def test_what_comes_in_numbers_waits_for_others_and_what_stops_the_business_does_not() -> None:
    assert mail_delay("delivery_failed") == timedelta(minutes=10)
    assert mail_delay("paused") == mail_delay("handover") == mail_delay("of_tomorrow") == timedelta()
