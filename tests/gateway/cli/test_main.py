import subprocess
import sys

from tests.gateway.cli.installation import Installation


def test_the_program_itself_prints_answers_and_exits_with_codes(installation: Installation) -> None:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "gateway", *arguments],
            env=installation.environment(),
            cwd=installation.data_dir,
            capture_output=True,
            text=True,
            check=False,
        )

    listed = run("tenant", "list", "--json")
    assert (listed.returncode, listed.stderr) == (0, "")
    refused = run("tenant", "show", "Nobody")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == 'turnmeter: there is no tenant "Nobody"; `turnmeter tenant list` shows them\n'
