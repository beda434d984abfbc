from tests.gateway.cli.installation import Installation


def test_a_key_is_shown_once_listed_without_its_secret_and_revoked(installation: Installation) -> None:
    installation.succeed("tenant", "create", "Keys")
    key = installation.succeed("apikey", "create", "Keys", "--label", "Kasse", "--json").json
    assert key["token"].startswith("tm_")
    listed = installation.succeed("apikey", "list", "Keys", "--json")
    assert key["token"][3:] not in listed.out
    assert [(item["api_key_id"], item["label"]) for item in listed.json["items"]] == [(key["api_key_id"], "Kasse")]
    assert listed.json["items"][0]["revoked_at"] is None
    installation.succeed("apikey", "revoke", "Keys", key["api_key_id"])
    assert installation.succeed("apikey", "list", "Keys", "--json").json["items"][0]["revoked_at"] is not None


def test_for_people_the_token_is_the_first_line(installation: Installation) -> None:
    installation.succeed("tenant", "create", "People")
    assert installation.succeed("apikey", "create", "People").out.splitlines()[0].startswith("tm_")
    assert "Last used" in installation.succeed("apikey", "list", "People").out


def test_another_tenants_key_cannot_be_revoked(installation: Installation) -> None:
    for name in ("Mine", "Theirs"):
        installation.succeed("tenant", "create", name)
    key = installation.succeed("apikey", "create", "Theirs", "--json").json
    assert "there is no key" in installation.refuse("apikey", "revoke", "Mine", key["api_key_id"])
    assert "not the id of a key" in installation.refuse("apikey", "revoke", "Theirs", key["token"])
