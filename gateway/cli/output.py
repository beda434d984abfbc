"""What a command prints: JSON for programs, tables and sentences for people."""

import sys
from collections.abc import Sequence
from typing import Final

_WIDE: Final = 10_000  # characters: more than any row has


def print_json(document: object) -> None:
    """Print plain values, dataclasses, ids and times as one JSON document in UTF-8."""
    import orjson  # noqa: PLC0415 - not needed for --help

    sys.stdout.flush()
    sys.stdout.buffer.write(orjson.dumps(document, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Print rows under headings, those in `right` aligned to the right; nothing is cut off."""
    from rich import box  # noqa: PLC0415 - not needed for --help
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.table import Table  # noqa: PLC0415 - see above
    from rich.text import Text  # noqa: PLC0415 - see above

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_printable(cell)) for cell in row))  # Text: what owners wrote is no markup
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:  # into a pipe or a file a table is as wide as it needs to be
        console.width = max(console.measure(table, options=console.options.update(width=_WIDE)).maximum, 80)
    console.print(table)


def _printable(text: str) -> str:
    """Keep what owners wrote from steering the operator's terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def print_error(message: str) -> None:
    print(f"turnmeter: {message}", file=sys.stderr)
