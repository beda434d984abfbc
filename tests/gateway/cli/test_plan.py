import pytest

from tests.gateway.cli.installation import Installation


@pytest.fixture(scope="module")
def prepaid(installation: Installation) -> str:
    installation.succeed("tenant", "create", "Vorkasse", "--plan", "Start", "--prepaid")
    return "Vorkasse"


def test_the_plans_on_offer_are_listed(installation: Installation) -> None:
    assert [plan["name"] for plan in installation.succeed("plan", "list", "--json").json["items"]] == [
        "Start",
        "Business",
        "Pro",
    ]
    assert "49.00 EUR" in installation.succeed("plan", "list").out


def test_a_tenant_without_a_plan_begins_with_one_and_upgrades_at_once(installation: Installation) -> None:
    installation.succeed("tenant", "create", "Linde")
    assert installation.succeed("plan", "show", "Linde", "--json").json["subscription"] is None
    begun = installation.succeed("plan", "change", "Linde", "start", "--json").json
    assert (begun["subscription"]["plan"], begun["invoice"]["amount_minor"]) == ("Start", 4900)
    upgraded = installation.succeed("plan", "change", "Linde", "Business", "--refill-now")
    assert "then Business" in upgraded.out
    assert "80.00 EUR" in upgraded.out
    assert installation.balance_millicredits("Linde") == 450_000_000
    again = installation.succeed("plan", "change", "Linde", "Business", "--refill-now", "--json").json
    assert again["invoice"]["credits"] == 300_000
    assert installation.balance_millicredits("Linde") == 450_000_000
    back = installation.run("plan", "change", "Linde", "Start")
    assert (back.code, "stands" in back.err) == (1, True)


def test_what_is_paid_for_is_granted_once_by_its_reference(installation: Installation, prepaid: str) -> None:
    [invoice] = installation.succeed("invoice", "list", prepaid, "--json").json["items"]
    assert (installation.balance_millicredits(prepaid), invoice["state"], invoice["granted_at"]) == (0, "open", None)
    reference = invoice["reference"]
    assert "another amount" in installation.refuse("invoice", "confirm", reference, "--amount", "48.99")
    paid = installation.succeed(
        "invoice", "confirm", reference, "--amount", "49,00", "--paid-reference", "SEPA 1", "--json"
    ).json
    assert (paid["tenant"], paid["state"], paid["was_paid"]) == (prepaid, "paid", False)
    assert "confirmed before" in installation.succeed("invoice", "confirm", reference).out
    assert installation.balance_millicredits(prepaid) == 150_000_000


def test_invoices_of_all_tenants_are_listed_and_one_can_be_withdrawn(installation: Installation) -> None:
    installation.succeed("tenant", "create", "Storno", "--plan", "Pro", "--prepaid")
    listed = installation.succeed("invoice", "list", "--json").json["items"]
    [invoice] = [each for each in listed if each["tenant"] == "Storno"]
    assert "withdrawn" in installation.succeed("invoice", "void", invoice["reference"]).out
    refused = installation.run("invoice", "confirm", invoice["reference"])
    assert (refused.code, "withdrawn" in refused.err) == (1, True)
    assert "349.00 EUR" in installation.succeed("invoice", "list", "Storno").out


def test_a_subscription_is_cancelled_and_resumed(installation: Installation) -> None:
    installation.succeed("tenant", "create", "Weide", "--plan", "Pro")
    assert "cancelled" in installation.succeed("plan", "cancel", "Weide").out
    refused = installation.run("plan", "refill", "Weide")
    assert (refused.code, "resume it first" in refused.err) == (1, True)
    assert installation.succeed("plan", "resume", "Weide", "--json").json["subscription"]["state"] == "active"
    installation.succeed("plan", "refill", "Weide")
    assert installation.balance_millicredits("Weide") == 2_800_000_000


def test_what_cannot_be_meant_is_refused(installation: Installation, prepaid: str) -> None:
    assert "there are: Start, Business, Pro" in installation.refuse("plan", "change", prepaid, "Gold")
    assert "no invoice has the reference" in installation.refuse("invoice", "confirm", "TM-1")
    assert "like 49.00" in installation.refuse("invoice", "confirm", "TM-1", "--amount", "viel")
    assert "characters on one line" in installation.refuse("invoice", "confirm", "TM-1", "--paid-reference", " ")
