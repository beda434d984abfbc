"""`turnmeter`, also `python -m gateway`."""

import sys

from gateway.cli.root import app
from gateway.cli.running import exit_code_of


def main() -> None:
    """Run a command: exit code 2 for bad input, 1 for failure."""
    sys.exit(exit_code_of(app))


if __name__ == "__main__":
    main()
