import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gateway.secret_key import kept_secret_key
from gateway.settings import load_settings


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    key = kept_secret_key(folder)
    assert kept_secret_key(folder) == key
    assert stat.S_IMODE((folder / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["secret_key"]
    assert load_settings({"TURNMETER_SECRET_KEY": key}).secret_key == key


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(kept_secret_key, [tmp_path] * 64))
    assert len(keys) == 1
