"""The process that owns the private PostgreSQL: started by `gateway.postgres`, as a script, with a plan in JSON.

It has the server as its child for as long as any process holds the shared lock on `users`, whoever started it,
and stops it when the last one has let go (a crash lets go too). A server that dies meanwhile is started again.
Standard library only: it starts in milliseconds and stays small.
"""

import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any, Final

WATCH_S: Final = 0.2
SHORT_LIFE_S: Final = 5.0
SHORT_LIVES_MAX: Final = 3  # in a row: it would only die again
STOP_S: Final = 20.0
_PR_SET_PDEATHSIG: Final = 1


def _die_with(watcher: int) -> None:
    """Tie the child to the watcher before it becomes PostgreSQL: a killed watcher takes its server along (Linux)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
    if os.getppid() != watcher:
        os._exit(1)


def _start(plan: dict[str, Any]) -> "subprocess.Popen[bytes]":
    watcher = os.getpid()
    return subprocess.Popen(  # noqa: S603 - the plan is ours
        plan["command"],
        stdin=subprocess.DEVNULL,
        cwd="/",
        env={"LC_ALL": "C"},
        preexec_fn=(lambda: _die_with(watcher)) if sys.platform == "linux" else None,  # noqa: PLW1509 - no threads here
        **plan["run_as"],
    )


def _stop(server: "subprocess.Popen[bytes]") -> None:
    """Stop fast, but with a clean shutdown: open transactions are rolled back, nothing needs recovery."""
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        server.send_signal(how)
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            continue
        return


def _nobody_uses(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def main() -> int:
    """Watch until nobody is left; exit code 1 when the server cannot live."""
    if os.fork():
        return 0  # who started us does not wait for us
    os.setsid()
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A stop of the whole machine or terminal reaches everybody: the server is needed until its users have ended.
        signal.signal(ignored, lambda *_: None)
    plan = json.loads(sys.argv[1])
    users = os.open(plan["users"], os.O_RDWR)
    server, started_at, short_lives = _start(plan), time.monotonic(), 0
    while not _nobody_uses(users):
        if server.poll() is not None:
            short_lives = short_lives + 1 if time.monotonic() - started_at < SHORT_LIFE_S else 0
            if short_lives == SHORT_LIVES_MAX:
                return 1
            server, started_at = _start(plan), time.monotonic()
        time.sleep(WATCH_S)
    _stop(server)
    return 0


if __name__ == "__main__":
    sys.exit(main())
