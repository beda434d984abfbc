import re

from tests.gateway.cli.installation import Installation

LINE = """
[[agent]]
name = "Rezeption"
instructions = "Du bist die Rezeption."
greeting = "Hallo, hier ist die digitale Assistentin (KI)."
language = "de"
[[line]]
number = "+493000000001"
kind = "local"
agent = "Rezeption"
channels = ["voice"]
"""


def test_usage_and_forecast_tell_of_a_number_s_rent(installation: Installation) -> None:
    installation.succeed("tenant", "create", "Outlook")
    installation.succeed("credits", "grant", "Outlook", "10500", "--reason", "first")
    installation.succeed("apply", "Outlook", "-", stdin=LINE)
    used = installation.succeed("usage", "Outlook", "--json").json
    assert [(row["item"], row["channel"], row["quantity"]) for row in used["items"]] == [("number_local", None, 1)]
    assert used["total_millicredits"] == 10_000_000
    people = installation.succeed("usage", "Outlook").out
    assert re.search(r"number_local +1 +10\.000,00", people)
    forecast = installation.succeed("forecast", "Outlook", "--json").json
    assert forecast["runway"]["available_millicredits"] == 500_000
    assert forecast["runway"]["days_left"] is None
    assert forecast["total_millicredits"] == forecast["rents_millicredits"] + forecast["usage_millicredits"]
    assert "no pace, no end" in installation.succeed("forecast", "Outlook").out


def test_days_that_make_no_sense_are_refused(installation: Installation) -> None:
    installation.succeed("tenant", "create", "Backwards")
    assert "--from" in installation.refuse("usage", "Backwards", "--from", "2026-11-02", "--to", "2026-11-01")
    assert "--from" in installation.refuse("usage", "Backwards", "--from", "yesterday")
