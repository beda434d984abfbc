import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.postgres import join
from gateway.postgres_home import find_home
from tests.gateway.cli.installation import ROOT, Installation


@pytest.fixture
def folders() -> Iterator[tuple[Path, Path]]:
    """Two data folders: the one that is lost, and the one that it is restored into."""
    both = tuple(Path(tempfile.mkdtemp(prefix="turnmeter-backup-")) for _ in range(2))
    for folder in both:
        folder.chmod(0o755)  # the server's user must get in
    yield both[0], both[1]
    for folder in both:
        shutil.rmtree(folder, ignore_errors=True)


def tool(installation: Installation, name: str, *arguments: str) -> None:
    """Run a tool that came with the private server, as docs/operating.md says."""
    binaries = find_home(installation.data_dir / "postgres").binaries
    done = subprocess.run([str(binaries / name), *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def address(installation: Installation) -> str:
    url: str = json.loads((installation.data_dir / "postgres/address").read_text())["url"]
    return url


def set_up(installation: Installation) -> dict[str, object]:
    """Two tenants with money that came and went; return everything that a restore must bring back."""
    installation.succeed("tenant", "create", "Lindenhof", "--plan", "Start")
    installation.succeed("tenant", "create", "Ulme")
    installation.succeed("credits", "grant", "Ulme", "12.5", "--reason", "Kulanz")
    file = installation.data_dir / "salon.toml"
    file.write_text((ROOT / "examples/lindenhof.toml").read_text() + 'whatsapp_access_token = "EAAG-secret"\n')
    installation.succeed("apply", "Lindenhof", str(file))
    return everything(installation)


def everything(installation: Installation) -> dict[str, object]:
    names = ("Lindenhof", "Ulme")
    return {
        "tenants": [installation.succeed("tenant", "show", name, "--json").json for name in names],
        "statements": [installation.succeed("statement", name, "--json").json for name in names],
        "export": installation.succeed("export", "Lindenhof").out,
    }


def test_a_dump_is_restored_into_a_fresh_server_and_passes_the_audit(folders: tuple[Path, Path]) -> None:
    lost, fresh = (Installation(data_dir=folder) for folder in folders)
    dump = fresh.data_dir / "turnmeter.dump"
    with join(lost.data_dir, options={"fsync": "off"}):
        before = set_up(lost)
        tool(lost, "pg_dump", "--format=custom", f"--file={dump}", address(lost))
    shutil.copy(lost.data_dir / "secret_key", fresh.data_dir / "secret_key")

    with join(fresh.data_dir, options={"fsync": "off"}):
        fresh.succeed("migrate")
        restore = ("--clean", "--if-exists", "--single-transaction", "--exit-on-error")
        tool(fresh, "pg_restore", *restore, f"--dbname={address(fresh)}", str(dump))
        audited = fresh.succeed("audit", "--json").json
        assert (audited["tenants"], audited["differences"]) == (2, [])
        assert everything(fresh) == before
        # the restored installation works: money moves, and the key still reads the token
        fresh.succeed("credits", "grant", "Ulme", "1", "--reason", "x")
        assert fresh.succeed("secrets", "rotate", "--json", TURNMETER_SECRET_KEY=_two_keys(fresh)).json == {
            "rotated": 1
        }
        fresh.succeed("audit")


def _two_keys(installation: Installation) -> str:
    return f"{'n' * 40},{(installation.data_dir / 'secret_key').read_text().strip()}"
