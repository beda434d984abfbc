"""What is wrong with a configuration, in the words of the person who wrote it (pure)."""

import difflib
from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ValidationError

_WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "string_too_long": "is longer than {max_length} characters",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be one of {expected}",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "date_from_datetime_parsing": "must be a date like 2026-12-24",
    "date_parsing": "must be a date like 2026-12-24",
    "date_from_datetime_inexact": "must be a date like 2026-12-24",
    "date_type": "must be a date like 2026-12-24",
    "too_long": "has more than {max_length} entries",
}


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Return every problem of a validation as one sentence each, with the place where it is."""
    return [
        _sentence(found["type"], found["loc"], found["msg"], found.get("ctx", {}), model) for found in error.errors()
    ]


def _sentence(
    kind: str, place: Sequence[int | str], message: str, context: Mapping[str, object], model: type[BaseModel]
) -> str:
    where = _where(place)
    if kind == "extra_forbidden":
        return f"{where}: is not a known setting{_did_you_mean(str(place[-1]), _settings_at(model, place[:-1]))}"
    if kind == "value_error":
        words = str(context["error"])
    else:
        words = _WORDS[kind].format(**context) if kind in _WORDS else message
    return f"{where}: {words}" if where else words


def _where(place: Sequence[int | str]) -> str:
    """Return a place as people count: `service 2, minutes`."""
    words: list[str] = []
    for step in place:
        if step == "[key]":
            continue
        if isinstance(step, int) and words:
            words[-1] = f"{words[-1]} {step + 1}"
        else:
            words.append(str(step))
    return ", ".join(words)


def _settings_at(model: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """Return the names of the settings that the table at a place may have; none if that is not known."""
    here: type[BaseModel] | None = model
    for step in place:
        if here is None or isinstance(step, int):
            continue
        here = _table_of(here, step)
    return [] if here is None else [field.alias or name for name, field in here.model_fields.items()]


def _table_of(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    for field_name, field in model.model_fields.items():
        if name in (field_name, field.alias):
            found = list(_models_in(field.annotation))
            return found[0] if found else None
    return model  # a key of a mapping such as channel.whatsapp: the mapping's model is already here


def _models_in(annotation: object) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _models_in(inner)


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f'; did you mean "{close[0]}"?' if close else ""
