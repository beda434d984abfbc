from datetime import UTC, datetime, timedelta

import pytest

from tests.gateway.cli.installation import Installation


@pytest.fixture(scope="module")
def tenant(installation: Installation) -> str:
    installation.succeed("tenant", "create", "Credits")
    return "Credits"


def test_granted_credits_are_in_the_balance(installation: Installation, tenant: str) -> None:
    before = installation.balance_millicredits(tenant)
    granted = installation.succeed("credits", "grant", tenant, "12.125", "--reason", "Gutschrift", "--json").json
    assert granted["granted_millicredits"] == 12_125
    assert granted["balance_millicredits"] == before + 12_125
    assert installation.succeed("credits", "balance", tenant, "--json").json == {
        "balance_millicredits": before + 12_125,
        "held_millicredits": 0,
        "available_millicredits": before + 12_125,
        "state": "active",
    }


def test_people_see_credits(installation: Installation) -> None:
    installation.succeed("tenant", "create", "Lesbar")
    granted = installation.succeed("credits", "grant", "Lesbar", "1234.56", "--reason", "Gutschrift")
    assert "1.234,56 Credits granted." in granted.out
    assert "Available  1.234,56 Credits" in installation.succeed("credits", "balance", "Lesbar").out


def test_the_same_reference_grants_once_and_none_grants_each_time(installation: Installation, tenant: str) -> None:
    before = installation.balance_millicredits(tenant)
    grant = ("credits", "grant", tenant, "5", "--reason", "Rechnung", "--json")
    first = installation.succeed(*grant, "--reference", "R-1").json
    again = installation.succeed(*grant, "--reference", "R-1").json
    assert (first["replayed"], again["replayed"]) == (False, True)
    assert again["balance_millicredits"] == before + 5_000
    installation.succeed(*grant)
    assert installation.succeed(*grant).json["balance_millicredits"] == before + 15_000


def test_a_reference_used_for_another_amount_is_refused(installation: Installation, tenant: str) -> None:
    installation.succeed("credits", "grant", tenant, "5", "--reason", "Rechnung", "--reference", "R-2")
    before = installation.balance_millicredits(tenant)
    complaint = installation.refuse("credits", "grant", tenant, "6", "--reason", "Rechnung", "--reference", "R-2")
    assert "used before" in complaint
    assert installation.balance_millicredits(tenant) == before


@pytest.mark.parametrize("amount", ["viel", "0", "1.2345"])
def test_an_amount_that_is_none_is_refused(installation: Installation, tenant: str, amount: str) -> None:
    assert "credits" in installation.refuse("credits", "grant", tenant, amount, "--reason", "x")


def test_bad_input_says_what_to_change(installation: Installation, tenant: str) -> None:
    assert "--reason" in installation.refuse("credits", "grant", tenant, "5")
    assert "the reason has 1 to 200" in installation.refuse("credits", "grant", tenant, "5", "--reason", " ")
    assert "tenant list" in installation.refuse("credits", "grant", "Niemand", "5", "--reason", "x")
    assert "is over" in installation.refuse("credits", "grant", tenant, "5", "--reason", "x", "--expires", "2020-02-29")
    assert "--expires" in installation.refuse("credits", "grant", tenant, "5", "--reason", "x", "--expires", "morgen")


def test_credits_may_expire_with_a_day_that_has_not_ended(installation: Installation, tenant: str) -> None:
    # the day after tomorrow: wherever the tenant's midnight is, it has not passed
    day = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    installation.succeed("credits", "grant", tenant, "5", "--reason", "Aktion", "--expires", day)
