"""The private PostgreSQL: the first process on a folder starts it, later ones join, the last one out stops it.

Three locks (flock: a process that dies lets go of them) in `<data_dir>/postgres`:

- `users.lock`, shared: held by everybody who uses the server, for as long as they do.
- `start.lock`, exclusive: held while somebody looks whether a server runs, and starts one.
- `server.lock`, exclusive: held by the watcher (`gateway.postgres_watcher`), which owns the server as its child.

The watcher stops the server once it gets `users.lock` for itself; who comes at that moment waits for it
and starts anew.
"""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

import structlog

from gateway import postgres_watcher
from gateway.errors import DatabaseStartError
from gateway.postgres_home import DATABASE, PASSWORD_FILE, SUPERUSER, Home, ensure_data, find_home

START_S: Final = 120.0  # a recovery after a crash takes its time
STOP_S: Final = 30.0
POLL_S: Final = 0.01
LOG_BYTES_MAX: Final = 10 * 1024 * 1024
SOCKET_PATH_BYTES_MAX: Final = 100  # the operating system's limit is 104 to 108
_SOCKET: Final = ".s.PGSQL.5432"

OPTIONS: Final[Mapping[str, str]] = {
    "max_connections": "200",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # What customers write stays out of the log: no statements, no quoted rows.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}

log = structlog.get_logger(__name__)


class PrivateServer:
    """One process's share in the server; `url` leads to its database, as its superuser."""

    def __init__(self, url: str, *, users: int, folder: Path) -> None:
        self.url = url
        self._users: int | None = users
        self._folder = folder

    def close(self) -> None:
        """Let go; whoever is last waits until the server has stopped."""
        if self._users is None:
            return
        last = _take(self._users, fcntl.LOCK_EX)
        os.close(self._users)
        self._users = None
        if last:
            _wait_for_stop(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def join(data_dir: Path, *, options: Mapping[str, str] | None = None) -> PrivateServer:
    """Join the folder's server, starting it if nobody has; blocks for a second or so then.

    `options` are PostgreSQL settings for the case that this process starts it. Raises DatabaseStartError.
    """
    folder = data_dir / "postgres"
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    users = _open(folder / "users.lock")
    began = time.monotonic()
    try:
        fcntl.flock(users, fcntl.LOCK_SH)  # waits while a server stops
        with _lock(folder / "start.lock"):
            server = _open(folder / "server.lock")
            try:
                starts = _take(server, fcntl.LOCK_EX)
                if starts:
                    _start(folder, server, {**OPTIONS, **(options or {})})
            finally:
                os.close(server)  # the watcher has it too by now
            address = json.loads((folder / "address").read_text())
        _wait_until_ready(folder, Path(address["data"]))
    except BaseException:
        os.close(users)
        raise
    if starts:
        log.info("database_started", folder=address["data"], seconds=round(time.monotonic() - began, 2))
    return PrivateServer(address["url"], users=users, folder=folder)


def _start(folder: Path, server: int, options: Mapping[str, str]) -> None:
    """Start a watcher and hand it the server's lock; called by whoever holds `start.lock`."""
    home = find_home(folder)
    ensure_data(home)
    _stop_orphan(home.data)
    where, listen = _listen(home)
    password = (home.data / PASSWORD_FILE).read_text()
    _write_privately(
        folder / "address",
        json.dumps(
            {"url": f"postgresql://{SUPERUSER}:{quote(password)}@{where}", "data": str(home.data)},
        ),
    )
    settings = [f"--{name}={value}" for name, value in {**options, **listen}.items()]
    plan = {
        "command": [str(home.binaries / "postgres"), "-D", str(home.data), *settings],
        "run_as": home.run_as,
        "users": str(folder / "users.lock"),
    }
    with _log_file(folder).open("ab") as sink:
        subprocess.run(  # noqa: S603 - our own script; it forks and returns at once
            [sys.executable, "-I", "-S", postgres_watcher.__file__, json.dumps(plan)],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            pass_fds=[server],
            env={"LC_ALL": "C"},
            cwd="/",
        )


def _listen(home: Home) -> tuple[str, dict[str, str]]:
    """Return the address after the `@` and the server's settings for it: a socket, or a port where the path is long."""
    if len(os.fsencode(home.folder / _SOCKET)) <= SOCKET_PATH_BYTES_MAX:
        return (
            f"/{DATABASE}?host={quote(str(home.folder), safe='/')}",
            {"listen_addresses": "", "unix_socket_directories": f'"{home.folder}"'},
        )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    listen = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "port": str(port)}
    return f"127.0.0.1:{port}/{DATABASE}", listen


def _wait_until_ready(folder: Path, data: Path) -> None:
    deadline = time.monotonic() + START_S
    while not _is_ready(data):
        if not _watcher_lives(folder) or time.monotonic() > deadline:
            raise DatabaseStartError(f"PostgreSQL did not start; its log is {_log_file(folder)}")
        time.sleep(POLL_S)


def _wait_for_stop(folder: Path) -> None:
    deadline = time.monotonic() + STOP_S
    while _watcher_lives(folder) and time.monotonic() < deadline:
        time.sleep(POLL_S)


def _is_ready(data: Path) -> bool:
    """Read the state that the server writes for its own tools: the eighth line of its pid file."""
    with contextlib.suppress(FileNotFoundError):
        lines = (data / "postmaster.pid").read_text().splitlines()
        return len(lines) >= 8 and lines[7].strip() == "ready"
    return False


def _watcher_lives(folder: Path) -> bool:
    server = _open(folder / "server.lock")
    try:
        return not _take(server, fcntl.LOCK_SH)
    finally:
        os.close(server)


def _stop_orphan(data: Path) -> None:
    """Make the pid file of a server without a watcher go away: end the server, or only the file if it is dead.

    PostgreSQL would refuse to start if the number now belonged to another process of ours.
    """
    pid_file = data / "postmaster.pid"
    deadline = time.monotonic() + STOP_S
    while (pid := _pid(pid_file)) and str(data) in _command(pid):
        os.kill(pid, signal.SIGQUIT if time.monotonic() > deadline else signal.SIGINT)
        time.sleep(POLL_S * 5)
    pid_file.unlink(missing_ok=True)


def _pid(pid_file: Path) -> int:
    with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
        return int(pid_file.read_text().splitlines()[0])
    return 0


def _command(pid: int) -> str:
    """Return a process's command line, or nothing when there is no such process."""
    if Path("/proc/self").exists():
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
        return ""
    command = ["/bin/ps", "-p", str(pid), "-o", "command="]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout  # noqa: S603 - our own command


def _log_file(folder: Path) -> Path:
    path = folder / "server.log"
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        path.replace(path.with_suffix(".log.old"))
    return path


def _write_privately(path: Path, words: str) -> None:
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(words)
    draft.replace(path)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _take(handle: int, mode: int) -> bool:
    """Take the lock if it is free."""
    try:
        fcntl.flock(handle, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    handle = _open(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
