"""Commands as people run them, each a process of its own on a data folder of its own.

They are forked from a process that has everything loaded: half a second of imports for each of a hundred
commands would be most of the time that these tests take.
"""

import json
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
ENDS_S = 60
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")
_COMMANDS = (
    "apikey",
    "auditing",
    "credits",
    "invoice",
    "plan",
    "schema",
    "secret",
    "statement",
    "tenant",
    "tenant_file",
    "webhook",
)

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["gateway.app", "phonenumbers", *(f"gateway.cli.{name}" for name in _COMMANDS)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command left behind."""

    code: int | None
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever a command prints
        return json.loads(self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A data folder and the commands that work on it; its secret key is made and kept there.

    Without a database of its own it has a private one in its folder.
    """

    data_dir: Path
    database_url: str | None = None

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return {
            **kept,
            **({} if self.database_url is None else {"TURNMETER_DATABASE_URL": self.database_url}),
            "PYTHONPATH": str(ROOT),
            "TURNMETER_DATA_DIR": str(self.data_dir),
            "OPENAI_BASE_URL": "http://127.0.0.1:9",
            "WHATSAPP_API_URL": "http://127.0.0.1:9",
            **more,
        }

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> Done:
        with tempfile.TemporaryDirectory() as folder:
            streams = [Path(folder) / name for name in ("in", "out", "err")]
            streams[0].write_text(stdin)
            process = _processes.Process(
                target=_run, args=(arguments, self.environment(**environment), self.data_dir, streams)
            )
            process.start()
            process.join(ENDS_S)
            if process.exitcode is None:
                process.kill()
            return Done(code=process.exitcode, out=streams[1].read_text(), err=streams[2].read_text())

    def succeed(self, *arguments: str, stdin: str = "", **environment: str) -> Done:
        done = self.run(*arguments, stdin=stdin, **environment)
        assert done.code == 0, done.err
        return done

    def refuse(self, *arguments: str, stdin: str = "", **environment: str) -> str:
        """Run a command that must be refused as bad input; return what it said."""
        done = self.run(*arguments, stdin=stdin, **environment)
        assert done.code == 2, (done.code, done.out, done.err)
        assert done.out == ""
        assert "Traceback" not in done.err
        return done.err

    def balance_millicredits(self, tenant: str) -> int:
        return int(self.succeed("credits", "balance", tenant, "--json").json["balance_millicredits"])


def _run(arguments: Sequence[str], environment: Mapping[str, str], folder: Path, streams: Sequence[Path]) -> None:
    """Become the command: its streams, environment, folder and arguments, then `turnmeter` itself."""
    from gateway.__main__ import main  # noqa: PLC0415 - in the command's process only

    for descriptor, path in enumerate(streams):
        flags = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(path, flags), descriptor)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - lives as long as the process; multiprocessing had closed it
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["turnmeter", *arguments]
    main()
