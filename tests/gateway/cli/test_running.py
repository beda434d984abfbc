import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import with_database
from tests.gateway.cli.installation import Installation

# Loaded by a command's work only: help and mistakes in the arguments must not wait for them.
HEAVY = ("aiohttp", "asyncpg", "openai", "phonenumbers", "sqlalchemy", "structlog", "tiktoken")


@pytest.fixture
def fresh() -> Iterator[Installation]:
    """A folder on which nothing runs."""
    folder = Path(tempfile.mkdtemp(prefix="turnmeter-cli-"))
    folder.chmod(0o755)  # the server's user must get in
    yield Installation(data_dir=folder)
    shutil.rmtree(folder, ignore_errors=True)


def test_a_first_command_makes_the_database_and_leaves_no_server_behind(fresh: Installation) -> None:
    assert fresh.succeed("migrate", "--json").json["migrated"] is True
    assert fresh.succeed("migrate", "--json").json["migrated"] is False
    fresh.succeed("tenant", "create", "Salon")
    assert (
        fresh.succeed("credits", "grant", "Salon", "5", "--reason", "x", "--json").json["balance_millicredits"] == 5_000
    )
    assert not list(fresh.data_dir.rglob("postmaster.pid"))


def test_help_loads_nothing_heavy(fresh: Installation) -> None:
    program = (
        "import sys; from gateway.cli.root import app\n"
        "try: app(['credits', 'grant', '--help'])\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=fresh.environment(), capture_output=True, text=True, check=True
    )
    assert "CREDITS" in done.stdout
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("tenant", "nonsense"), ("apply", "Salon"), ("tenant", "list", "x")]
)
def test_a_mistake_in_the_arguments_is_bad_input(fresh: Installation, arguments: tuple[str, ...]) -> None:
    assert "Error" in fresh.refuse(*arguments)


def test_a_wrong_setting_is_named_and_its_value_is_not(fresh: Installation) -> None:
    complaint = fresh.refuse("tenant", "list", TURNMETER_SECRET_KEY="too short")
    assert complaint.startswith("turnmeter: TURNMETER_SECRET_KEY: ")
    assert "too short" not in complaint


def test_a_database_that_is_away_or_refuses_is_a_failure_in_one_line(fresh: Installation, server_url: str) -> None:
    away = fresh.run("tenant", "list", TURNMETER_DATABASE_URL="postgresql://turnmeter@127.0.0.1:9/turnmeter")
    unknown = fresh.run("tenant", "list", TURNMETER_DATABASE_URL=with_database(server_url, "nothing_here"))
    for done in (away, unknown):
        assert done.code == 1
        assert len(done.err.splitlines()) == 1
        assert done.err.startswith("turnmeter: ")


def test_no_arguments_show_the_commands(fresh: Installation) -> None:
    out = fresh.succeed("--help").out
    for command in (
        "serve",
        "migrate",
        "audit",
        "tenant",
        "credits",
        "statement",
        "apply",
        "export",
        "apikey",
        "secrets",
    ):
        assert command in out
