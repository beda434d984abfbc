from tests.gateway.cli.installation import Installation

URL = "https://salon.example/hooks/turnmeter"


def test_a_webhook_is_made_listed_without_its_secret_and_deleted(installation: Installation) -> None:
    installation.succeed("tenant", "create", "Hooks")
    made = installation.succeed(
        "webhook", "create", "Hooks", URL, "--event", "turn.completed", "--event", "balance.low", "--json"
    ).json
    assert made["secret"].startswith("whsec_")
    listed = installation.succeed("webhook", "list", "Hooks", "--json")
    assert made["secret"] not in listed.out
    [webhook] = listed.json["items"]
    assert (webhook["id"], webhook["url"], webhook["enabled"]) == (made["id"], URL, True)
    assert webhook["kinds"] == ["turn.completed", "balance.low"]
    assert "on" in installation.succeed("webhook", "list", "Hooks").out
    installation.succeed("webhook", "delete", "Hooks", made["id"])
    assert installation.succeed("webhook", "list", "Hooks", "--json").json["items"] == []
    assert "there is no webhook" in installation.refuse("webhook", "delete", "Hooks", made["id"])


def test_for_people_the_secret_is_the_first_line(installation: Installation) -> None:
    installation.succeed("tenant", "create", "Readers")
    assert installation.succeed("webhook", "create", "Readers", URL).out.splitlines()[0].startswith("whsec_")


def test_what_was_sent_is_shown(installation: Installation) -> None:
    installation.succeed("tenant", "create", "Log")
    webhook_id = installation.succeed("webhook", "create", "Log", URL, "--json").json["id"]
    assert installation.succeed("webhook", "deliveries", "Log", webhook_id, "--json").json == {"items": []}
    assert "Last answer" in installation.succeed("webhook", "deliveries", "Log", webhook_id).out


def test_what_cannot_be_is_refused_with_a_reason(installation: Installation) -> None:
    for name in ("Bad", "Other"):
        installation.succeed("tenant", "create", name)
    assert "https://" in installation.refuse("webhook", "create", "Bad", "http://salon.example/")
    assert "public internet" in installation.refuse("webhook", "create", "Bad", "https://127.0.0.1/")
    assert "turn.completed" in installation.refuse("webhook", "create", "Bad", URL, "--event", "turn.begun")
    theirs = installation.succeed("webhook", "create", "Other", URL, "--json").json["id"]
    assert "there is no webhook" in installation.refuse("webhook", "deliveries", "Bad", theirs)
    assert "not the id" in installation.refuse("webhook", "deliveries", "Bad", "seven")
