"""Writing TOML (pure): tables in the order given, text on one line or several, nothing lost on the way back."""

from collections.abc import Mapping, Sequence
from datetime import date

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
_LINE_LENGTH = 100


def toml_text(document: Mapping[str, object]) -> str:
    """Return a document that `tomllib` reads back as it was, but for tuples, which become lists.

    Values are texts, whole numbers, floats, booleans, dates, lists and tables; a list of tables becomes
    `[[name]]` tables. Raises TypeError for anything else: None has no place in TOML.
    """
    return "\n".join(_table_lines((), document)).strip("\n") + "\n"


def _table_lines(path: tuple[str, ...], table: Mapping[str, object]) -> list[str]:
    """Return a table's own values, then the tables inside it: TOML allows no other order."""
    lines = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if not _is_tables(value)]
    for key, value in table.items():
        inner_path = (*path, key)
        heading = ".".join(_key(step) for step in inner_path)
        if isinstance(value, Mapping):
            lines += ["", f"[{heading}]", *_table_lines(inner_path, value)]
        elif isinstance(value, Sequence) and _is_tables(value):
            for inner in value:
                lines += ["", f"[[{heading}]]", *_table_lines(inner_path, inner)]
    return lines


def _is_tables(value: object) -> bool:
    """Whether a value is written under a heading of its own."""
    if isinstance(value, Mapping):
        return True
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(inner, Mapping) for inner in value)


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else _text(key)


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return _block(value) if "\n" in value else _text(value)
        case date():
            return value.isoformat()
        case list() | tuple():
            return _list([_value(inner) for inner in value])
        case Mapping():
            return "{" + ", ".join(f"{_key(key)} = {_value(inner)}" for key, inner in value.items()) + "}"
        case _:
            raise TypeError(f"{type(value).__name__} cannot be written as TOML")


def _list(values: Sequence[str]) -> str:
    on_one_line = f"[{', '.join(values)}]"
    if len(on_one_line) <= _LINE_LENGTH and "\n" not in on_one_line:
        return on_one_line
    return "[\n" + "".join(f"  {value},\n" for value in values) + "]"


def _text(text: str) -> str:
    return f'"{"".join(_escaped(character) for character in text)}"'


def _block(text: str) -> str:
    """Return a text of several lines as it reads; a first line break is the opening's, not the text's."""
    escaped = "".join("\n" if character == "\n" else _escaped(character) for character in text)
    return f'"""\n{escaped}"""'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x20 or code == 0x7F else character
