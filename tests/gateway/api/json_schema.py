"""As much of JSON Schema as our own description uses."""

from collections.abc import Iterator, Mapping
from typing import Any

TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
KNOWN = frozenset(
    {
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "default",
        "description",
        "enum",
        "examples",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "pattern",
        "properties",
        "propertyNames",
        "required",
        "title",
        "type",
    }
)


def violations(value: object, schema: Mapping[str, Any], document: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """Every way in which a value is not as a schema says. A keyword that is not known here is one, too."""
    yield from (f"{at}: unknown keyword {word}" for word in schema if word not in KNOWN)
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield from violations(value, document["components"]["schemas"][name], document, at)
    if "anyOf" in schema and not any(not list(violations(value, each, document)) for each in schema["anyOf"]):
        yield f"{at}: none of {len(schema['anyOf'])} fits {value!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is not one of {schema['enum']}"
    if "type" in schema and (
        not isinstance(value, TYPES[schema["type"]]) or isinstance(value, bool) != (schema["type"] == "boolean")
    ):
        yield f"{at}: {value!r} is no {schema['type']}"
    elif isinstance(value, dict):
        yield from _object(value, schema, document, at)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from violations(item, schema.get("items", {}), document, f"{at}[{place}]")


def _is_a(value: object, kind: str) -> bool:
    """Whether a value is of a type; in Python a truth value would pass for an integer."""
    return isinstance(value, TYPES[kind]) and isinstance(value, bool) == (kind == "boolean")


def _object(
    value: Mapping[str, object], schema: Mapping[str, Any], document: Mapping[str, Any], at: str
) -> Iterator[str]:
    yield from (f"{at}.{name}: is missing" for name in schema.get("required", []) if name not in value)
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, inner in value.items():
        if name in known:
            yield from violations(inner, known[name], document, f"{at}.{name}")
        elif others is False:
            yield f"{at}.{name}: is not described"
        elif isinstance(others, dict):
            yield from violations(inner, others, document, f"{at}.{name}")
