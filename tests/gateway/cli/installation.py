"""Commands as people run them: processes of their own, on a data folder of their own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command left behind."""

    code: int
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
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *arguments],
            env=self.environment(**environment),
            cwd=self.data_dir,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return Done(code=done.returncode, out=done.stdout, err=done.stderr)

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
