from pathlib import Path

from tests.gateway.cli.installation import ROOT, Installation

OLD, NEW = "o" * 40, "n" * 40


def test_tokens_outlive_their_key_once_they_are_rotated(installation: Installation, tmp_path: Path) -> None:
    file = tmp_path / "salon.toml"
    file.write_text((ROOT / "examples/lindenhof.toml").read_text() + 'whatsapp_access_token = "EAAG-secret"\n')
    installation.succeed("tenant", "create", "Rotation", "--plan", "Start")
    installation.succeed("apply", "Rotation", str(file), TURNMETER_SECRET_KEY=OLD)
    both = f"{NEW},{OLD}"
    assert installation.succeed("secrets", "rotate", "--json", TURNMETER_SECRET_KEY=both).json == {"rotated": 1}
    assert installation.succeed("secrets", "rotate", "--json", TURNMETER_SECRET_KEY=NEW).json == {"rotated": 0}
    # the token in the file can be compared with the stored one: the new key reads it
    same = installation.succeed("apply", "Rotation", str(file), "--json", TURNMETER_SECRET_KEY=NEW).json
    assert [line["change"] for line in same["lines"]] == ["unchanged"]


def test_without_the_old_key_rotation_stops_and_names_the_variable(installation: Installation, tmp_path: Path) -> None:
    file = tmp_path / "salon.toml"
    text = (ROOT / "examples/lindenhof.toml").read_text().replace("0000 0001", "0000 0002").replace("1000001", "2")
    file.write_text(text + 'whatsapp_access_token = "EAAG-secret"\n')
    installation.succeed("tenant", "create", "Lost", "--plan", "Start")
    installation.succeed("apply", "Lost", str(file), TURNMETER_SECRET_KEY=OLD)
    complaint = installation.refuse("secrets", "rotate", TURNMETER_SECRET_KEY=NEW)
    assert complaint.startswith("turnmeter: TURNMETER_SECRET_KEY: none of its keys can read a stored secret")
    assert "EAAG" not in complaint
    installation.succeed("secrets", "rotate", TURNMETER_SECRET_KEY=f"{NEW},{OLD}")
