from pathlib import Path

from tests.gateway.cli.installation import Installation


def installation_without_database(folder: Path) -> Installation:
    return Installation(data_dir=folder / "untouched", database_url="postgresql://nobody@127.0.0.1:9/nothing")


def run_in(tmp_path: Path) -> Installation:
    (tmp_path / "untouched").mkdir()
    return installation_without_database(tmp_path)


def test_ten_conversations_a_day_are_150000_credits_without_any_database(tmp_path: Path) -> None:
    prices = run_in(tmp_path)
    by_day = prices.succeed("price", "--chats", "10", "--per", "day", "--json").json
    by_month = prices.succeed("price", "--chats", "300", "--json").json
    assert by_day == by_month
    assert by_day["total_millicredits"] == 150_000_000
    assert sum(line["amount_millicredits"] for line in by_day["lines"]) == 150_000_000
    assert (by_day["plan"]["name"], by_day["left_millicredits"]) == ("Start", 0)
    assert list((tmp_path / "untouched").iterdir()) == []


def test_a_month_is_told_in_german_and_in_english(tmp_path: Path) -> None:
    prices = run_in(tmp_path)
    wanted = ("--sms-sent", "100", "--sms-received", "50", "--call-minutes", "60", "--mobile-numbers", "1")
    german = prices.succeed("price", *wanted).out
    assert "SMS gesendet" in german
    assert "250.000" in german
    assert "Passt in den Tarif Business: 129\u00a0€ im Monat" in german
    english = prices.succeed("price", *wanted, "--locale", "en").out
    assert "SMS sent" in english
    assert "250,000" in english
    assert "Fits the Business plan: €129 a month" in english
    assert "heard and 600 spoken per minute" in english


def test_tokens_can_be_ones_own(tmp_path: Path) -> None:
    found = run_in(tmp_path).succeed("price", "--chats", "1", "--chat-input-tokens", "1000", "--json").json
    assert found["total_millicredits"] == 1_000 * 40 + 200 * 200
    assert found["assumptions"]["chat_input_tokens"] == 1_000


def test_more_than_any_plan_says_how_much_is_missing(tmp_path: Path) -> None:
    assert "100.000 Credits" in run_in(tmp_path).succeed("price", "--chats", "3000").out


def test_plans_are_the_operators_own(tmp_path: Path) -> None:
    file = tmp_path / "plans.toml"
    file.write_text('[[plan]]\nname = "Mini"\nprice_minor = 990\ncurrency = "EUR"\ncredits = 600\n')
    told = run_in(tmp_path).succeed("price", "--chats", "1", "--locale", "en", TURNMETER_PLANS_FILE=str(file)).out
    assert "Fits the Mini plan: €9.90 a month" in told
    assert "100 credits are left over" in told


def test_what_cannot_be_is_refused_by_name(tmp_path: Path) -> None:
    prices = run_in(tmp_path)
    assert "--chats" in prices.refuse("price", "--chats", "-1")
    assert "--sms-sent" in prices.refuse("price", "--sms-sent", "many")
    assert "--faxes" in prices.refuse("price", "--faxes", "1")
    assert "--locale" in prices.refuse("price", "--locale", "fr")
    assert "chats: must be a whole number from 0 to 10000000" in prices.refuse("price", "--chats", "10000001")
