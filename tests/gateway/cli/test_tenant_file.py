from pathlib import Path

import pytest

from tests.gateway.cli.installation import ROOT, Installation

SALON = (ROOT / "examples/lindenhof.toml").read_text()


def salon(number: int) -> str:
    """The example with a number and an id of its own: several tenants share the installation."""
    return SALON.replace("+49 151 0000 0001", f"+49 151 0000 {number:04}").replace('"1000001"', f'"{number}"')


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "salon.toml"


def test_the_example_is_applied_once_and_the_second_time_changes_nothing(
    installation: Installation, file: Path
) -> None:
    file.write_text(salon(11))
    installation.succeed("tenant", "create", "Lindenhof", "--plan", "Start")
    first = installation.succeed("apply", "Lindenhof", str(file), "--json").json
    assert [(agent["name"], agent["version"], agent["change"]) for agent in first["agents"]] == [
        ("Rezeption", 1, "created")
    ]
    assert [(line["state"], line["charged_millicredits"]) for line in first["lines"]] == [("active", 60_000_000)]
    again = installation.succeed("apply", "Lindenhof", str(file), "--json").json
    assert [agent["change"] for agent in again["agents"]] == ["unchanged"]
    assert [(line["change"], line["charged_millicredits"]) for line in again["lines"]] == [("unchanged", 0)]
    assert installation.balance_millicredits("Lindenhof") == 90_000_000
    assert "unchanged" in installation.succeed("apply", "Lindenhof", str(file)).out


def test_what_is_exported_is_applied_without_a_change(installation: Installation, file: Path) -> None:
    file.write_text(salon(12) + 'whatsapp_access_token = "EAAG-secret"\n')
    installation.succeed("tenant", "create", "Export", "--plan", "Start")
    installation.succeed("apply", "Export", str(file))
    exported = installation.succeed("export", "Export").out
    assert "EAAG" not in exported
    assert "Dinosaurierstuhl" in exported
    again = installation.succeed("apply", "Export", "-", "--json", stdin=exported).json
    assert {part["change"] for part in (*again["agents"], *again["lines"])} == {"unchanged"}
    assert installation.succeed("export", "Export").out == exported
    assert installation.succeed("export", "Export", "--json").json["line"][0]["whatsapp_phone_number_id"] == "12"


def test_a_line_without_credits_is_suspended_until_they_come(installation: Installation, file: Path) -> None:
    file.write_text(salon(13))
    installation.succeed("tenant", "create", "Poor")
    unpaid = installation.run("apply", "Poor", str(file))
    assert unpaid.code == 1
    assert "not enough credits for the first month of line 1" in unpaid.err
    assert "suspended" in unpaid.out
    assert installation.run("apply", "Poor", str(file)).code == 1
    granted = installation.succeed("credits", "grant", "Poor", "60000", "--reason", "Aufladung", "--json").json
    assert (granted["granted_millicredits"], granted["balance_millicredits"]) == (60_000_000, 0)
    paid = installation.succeed("apply", "Poor", str(file), "--json").json
    assert [(line["change"], line["state"]) for line in paid["lines"]] == [("unchanged", "active")]
    assert installation.balance_millicredits("Poor") == 0


def test_every_problem_of_a_file_is_told_and_nothing_is_changed(installation: Installation, file: Path) -> None:
    file.write_text(salon(14).replace('"mobile"', '"local"').replace('["whatsapp"]', '["whatsapp", "sms"]'))
    file.write_text(file.read_text().replace("minutes = 45", "minuten = 45"))
    installation.succeed("tenant", "create", "Wrong", "--plan", "Start")
    complaint = installation.refuse("apply", "Wrong", str(file))
    assert "a local number has no sms" in complaint
    assert 'did you mean "minutes"?' in complaint
    assert installation.balance_millicredits("Wrong") == 150_000_000
    assert installation.succeed("export", "Wrong").out.strip() == ""


def test_a_number_of_another_tenant_is_refused_without_telling_whose(installation: Installation, file: Path) -> None:
    file.write_text(salon(15))
    for name in ("First", "Second"):
        installation.succeed("tenant", "create", name, "--plan", "Start")
    installation.succeed("apply", "First", str(file))
    complaint = installation.refuse("apply", "Second", str(file))
    assert "in use by another line already" in complaint
    assert "First" not in complaint


def test_a_file_that_cannot_be_read_is_named(installation: Installation, file: Path) -> None:
    installation.succeed("tenant", "create", "Files")
    assert f"{file}: No such file" in installation.refuse("apply", "Files", str(file))
    file.write_bytes(b"\xff\xfe\x00")
    assert "not text in UTF-8" in installation.refuse("apply", "Files", str(file))
    file.write_text("[[line]\n")
    assert "not readable as TOML" in installation.refuse("apply", "Files", str(file))
    file.write_bytes(b"#" * (2 * 1024 * 1024 + 1))
    assert "larger than" in installation.refuse("apply", "Files", str(file))
