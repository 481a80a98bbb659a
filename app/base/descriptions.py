"""Descriptions for what an OpenAPI document leaves undescribed: properties, path parameters, enum values."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]


@dataclass(frozen=True)
class Words:
    """The descriptions: `properties` by name or `Schema.name`, `paths` by the parameter's name, and `values`,
    each the meanings of one enum's values in their order.
    """

    properties: Mapping[str, str]
    paths: Mapping[str, str]
    values: Sequence[Mapping[Any, str]]


def keys(schema: str, name: str) -> tuple[str, str, str]:
    """Return the keys of a property's description, the most particular first."""
    family = re.sub(r"^New|(In|Out|Found|Patch)$", "", schema)
    return f"{schema}.{name}", f"{family}.{name}", name


def complete(document: dict[str, Any], words: Words) -> None:
    """Describe each property and path parameter that has no description, and the values of each enum."""
    for schema, whole in document["components"]["schemas"].items():
        for name, each in whole.get("properties", {}).items():
            found = [words.properties[key] for key in keys(schema, name) if key in words.properties]
            if found and "description" not in each:
                each["description"] = found[0]
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                if parameter["in"] == "path" and parameter["name"] in words.paths:
                    parameter.setdefault("description", words.paths[parameter["name"]])
    meanings = {tuple(each): each for each in words.values}
    for _, schema in enums(document):
        if told := meanings.get(tuple(schema["enum"])):
            listed = "\n".join(f"- `{value}`: {meaning}" for value, meaning in told.items())
            schema["description"] = "\n\n".join(filter(None, (schema.get("description"), listed)))


def enums(document: dict[str, Any]) -> Iterator[tuple[str, Schema]]:
    """Yield each schema with a choice of values, with its JSON pointer."""
    for part in ("paths", "components"):
        yield from _enums(document[part], f"/{part}")


def _enums(node: Any, pointer: str) -> Iterator[tuple[str, Schema]]:
    if isinstance(node, dict):
        if isinstance(node.get("enum"), list):
            yield pointer, node
        for name, value in node.items():
            if name not in ("example", "examples"):
                yield from _enums(value, f"{pointer}/{name}")
    elif isinstance(node, list):
        for n, value in enumerate(node):
            yield from _enums(value, f"{pointer}/{n}")
