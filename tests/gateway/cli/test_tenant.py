from tests.gateway.cli.installation import Installation


def test_a_tenant_is_made_shown_and_listed(installation: Installation) -> None:
    made = installation.succeed("tenant", "create", "Salon Ulme", "--plan", "start", "--json").json
    assert made["name"] == "Salon Ulme"
    assert made["on_account"] is True
    assert made["subscription"]["plan"] == "Start"
    assert made["balance"] == {
        "balance_millicredits": 150_000_000,
        "held_millicredits": 0,
        "available_millicredits": 150_000_000,
        "state": "active",
    }
    assert installation.succeed("tenant", "show", made["tenant_id"], "--json").json == made
    listed = installation.succeed("tenant", "list", "--json").json["items"]
    assert made["tenant_id"] in [tenant["tenant_id"] for tenant in listed]


def test_people_read_credits_in_their_tenants_way_of_writing_numbers(installation: Installation) -> None:
    german = installation.succeed("tenant", "create", "Salon Buche", "--plan", "Start").out
    english = installation.succeed("tenant", "create", "Beech", "--plan", "Start", "--locale", "en").out
    assert "150.000,00 Credits" in german
    assert "150,000.00 Credits" in english
    table = installation.succeed("tenant", "list").out
    assert "Salon Buche" in table
    assert "Beech" in table


def test_a_name_is_given_once(installation: Installation) -> None:
    installation.succeed("tenant", "create", "Salon Eiche")
    assert installation.refuse("tenant", "create", "Salon Eiche") == (
        'turnmeter: there is a tenant "Salon Eiche" already\n'
    )


def test_an_unknown_plan_names_those_there_are(installation: Installation) -> None:
    assert "there are: Start, Business, Pro" in installation.refuse("tenant", "create", "Salon Erle", "--plan", "Gold")
    assert "no tenant" in installation.refuse("tenant", "show", "Salon Erle")


def test_a_broken_plans_file_is_told_problem_by_problem(installation: Installation) -> None:
    file = installation.data_dir / "plans.toml"
    file.write_text('[[plan]]\nname = "S"\nprice_minor = 4.5\ncurrency = "EUR"\n')
    complaint = installation.refuse("tenant", "list", TURNMETER_PLANS_FILE=str(file))
    assert complaint.splitlines() == [
        f"turnmeter: plan 1: {problem}"
        for problem in (
            "price_minor: must be a whole number in the currency's smallest unit, such as 4900 for 49.00",
            "credits: must be a whole number from 1 to 10000000000",
        )
    ]


def test_a_password_is_never_repeated(installation: Installation) -> None:
    arguments = ("tenant", "create", "Salon Esche", "--owner-email", "inge@esche.example", "--owner-password")
    assert "geheim" not in installation.refuse(*arguments, "geheim")
    made = installation.succeed(*arguments, "geheimes Wort", "--json")
    assert "geheim" not in made.out + made.err
    assert made.json["alert_email"] == "inge@esche.example"


def test_what_an_owner_wrote_does_not_steer_the_operators_terminal(installation: Installation) -> None:
    installation.succeed("tenant", "create", "Escape")
    agent = '[[agent]]\nname = "[red]A\\u001b[2J"\ninstructions = "x"\n'
    installation.succeed("apply", "Escape", "-", stdin=agent)
    shown = installation.succeed("tenant", "show", "Escape").out
    assert "\x1b" not in shown
    assert "[red]A\ufffd[2J" in shown
