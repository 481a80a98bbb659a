"""PATCH changes what was sent and nothing else, of every field of every resource that has one.

The fields are found in the OpenAPI document, so that one that is added later is tried too.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from app.claims import store as claims
from app.entities import store as entities
from app.hooks import store as webhooks
from app.links import store as links
from app.people import store as people
from app.sources import store as sources
from tests.contract import operations, resolved
from tests.newsroom import Json, Newsroom, ok


@dataclass(frozen=True)
class Resource:
    """What has to be known of a resource besides its schema."""

    store: ModuleType
    make: Callable[[Newsroom], str]
    """Makes one with as little as may be, and returns its address."""
    values: Callable[[str], dict[str, tuple[Any, Any]]] = lambda _: {}
    """Two values of each field that a schema does not tell enough of, such as a reference."""
    beside: tuple[str, ...] = ()
    """The members of its document that change with any of its fields."""
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The columns that follow from a field, besides the one of its name."""
    partners: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The fields without which a field cannot be changed."""


def _claim(room: Newsroom) -> str:
    for name in ("Anna Invented", "Boris Invented"):
        room.entity(name)
    for n in range(2):
        room.source(f"https://example.org/{n}", f"Source {n}")
    made = [room.claim(f"Claim {n}.", speakers=["anna-invented"]) for n in range(3)]
    return f"/v1/claims/{made[2]['id']}"


def _of_claims(_at: str) -> dict[str, tuple[Any, Any]]:
    people = ["anna-invented", "boris-invented"]
    figure = {"id": None, "measure": "Exports", "about": people[:1], "value": "5", "lower": "4", "upper": "6",
              "comparator": "approx", "unit": "bcm", "scale": None, "display": "some", "kind": "promised",
              "is_record": True, "period": "2023", "condition": "If it does not rain."}  # fmt: skip
    other = {**figure, "about": people[1:], "value": "55", "lower": "44", "upper": "66", "scale": "thousand"}
    anchor = {"exact": "5 bcm", "prefix": "It exports ", "suffix": " a year", "start": 11, "end": 16}
    printed = [
        {"source": f"https://example.org/{n}", "snapshot": None, "anchors": [anchor]} for n in range(2)
    ]
    return {
        "mode": ("paraphrase", "own_voice"),
        "speakers": ([{"entity": people[0], "title": "Minister"}], [{"entity": people[1], "title": "Envoy"}]),
        "relayed_by": (people[0], people[1]),
        "about": ([people[0]], [people[1]]),
        "appearances": (printed[:1], printed[1:]),
        "figures": ([figure], [other]),
    }


def _entity(room: Newsroom) -> str:
    for name in ("First House", "Second House"):
        room.entity(name, "organization")
    return f"/v1/entities/{room.entity('Anna Invented')['id']}"


def _link(room: Newsroom) -> str:
    one, other = room.claim("It rains."), room.claim("It does not.")
    body = {"other": other["id"], "relation": "supports", "judgement": "unsure"}
    made = ok(room.admin.post(f"/v1/claims/{one['id']}/links", json=body))
    return f"/v1/claims/{one['id']}/links/{made['id']}"


def _source(room: Newsroom) -> str:
    for name in ("First House", "Second House"):
        room.entity(name, "organization")
    return f"/v1/sources/{room.source()['id']}"


def _webhook(room: Newsroom) -> str:
    made = ok(room.admin.post("/v1/webhooks", json={"url": "https://desk.invalid/hook"}))
    return f"/v1/webhooks/{made['id']}"


def _person(room: Newsroom) -> str:
    for name in ("First House", "Second House"):
        room.entity(name, "organization")
    made = ok(room.admin.post("/v1/people", json={"name": "Anna Invented", "role": "reader"}))
    return f"/v1/people/{made['id']}"


RESOURCES = {
    "/v1/claims/{claim_id}": Resource(
        claims,
        _claim,
        _of_claims,
        columns={
            "said": ("said_earliest", "said_latest"),
            "relayed_by": ("relayed_by_id",),
            "repeats": ("repeats_id",),
            "appearances": ("anchors",),
            "figures": ("figure_about",),
        },
        partners={
            "text": ("appearances",),
            "mode": ("appearances",),
            "original_text": ("original_language", "appearances"),
            "original_language": ("original_text",),
        },
    ),
    "/v1/claims/{claim_id}/links/{link_id}": Resource(links, _link, beside=("judged_at", "judged_by")),
    "/v1/entities/{ref}": Resource(
        entities,
        _entity,
        lambda _: {
            "affiliations": (
                [{"organization": "first-house", "title": "Director", "period": "2020"}],
                [{"organization": "second-house", "title": "Envoy", "period": "2021"}],
            )
        },
    ),
    "/v1/people/{person_id}": Resource(
        people,
        _person,
        lambda _: {
            "email": ("first@example.org", "second@example.org"),
            "organisations": (["first-house"], ["second-house"]),
            "ended": (True, False),
        },
        beside=("ended_at",),
        columns={"email": ("email_set_at",), "ended": ("ended_at",)},
    ),
    "/v1/sources/{source_id}": Resource(
        sources,
        _source,
        lambda _: {"publisher": ("first-house", "second-house")},
        columns={
            "url": ("canonical_url",),
            "publisher": ("publisher_id",),
            "published": ("published_latest",),
        },
    ),
    "/v1/webhooks/{webhook_id}": Resource(
        webhooks,
        _webhook,
        lambda _: {
            "url": ("https://desk1.invalid/hook", "https://desk2.invalid/hook"),
            "enabled": (False, True),
        },
        beside=("deliveries",),
    ),
}

FORMATS = {
    "edtf": ("2023-03-21", "2024-05"),
    "language-tag": ("en", "de"),
    "uri": ("https://example.org/first", "https://example.org/second"),
    "date": ("2030-01-01", "2031-02-03"),
}


def value(document: Json, schema: Json, n: int) -> Any:
    """One of two values that a schema allows, with every field of an object in it."""
    schema = resolved(document, schema)
    if "anyOf" in schema:
        return value(document, next(each for each in schema["anyOf"] if each != {"type": "null"}), n)
    if "enum" in schema:
        return schema["enum"][n]
    if "format" in schema:
        return FORMATS[schema["format"]][n]
    match schema["type"]:
        case "object":
            return {name: value(document, each, n) for name, each in schema["properties"].items()}
        case "array":
            return [value(document, schema["items"], n)]
        case "boolean":
            return n == 0
        case "integer":
            return int(schema["minimum"]) + n
        case "string":
            return ("first", "second")[n]
    raise AssertionError(f"RESOURCES has to give two values of {schema}")


def complete(document: Json, schema: Json, given: Any, at: str) -> None:
    """Fails where a value lacks a field of its schema."""
    schema = resolved(document, schema)
    for each in schema.get("anyOf", ()):
        if each.get("type") != "string":
            complete(document, each, given, at)
    if isinstance(given, list) and "items" in schema:
        for each in given:
            complete(document, schema["items"], each, at)
    if isinstance(given, dict) and "properties" in schema:
        assert given.keys() == schema["properties"].keys(), f"RESOURCES has to give all fields of {at}"
        for name, each in given.items():
            complete(document, schema["properties"][name], each, f"{at}/{name}")


def fields(room: Newsroom, path: str, at: str) -> dict[str, tuple[Any, Any]]:
    """Two values of each field of a resource."""
    document = room.app.openapi()
    [schema] = [each.schema for each in operations(room) if (each.method, each.path) == ("PATCH", path)]
    assert schema is not None
    given = RESOURCES[path].values(at)
    if "repeats" in schema["properties"]:
        given["repeats"] = tuple(
            row["id"] for row in room.get("/v1/claims")["data"] if not at.endswith(row["id"])
        )
    found = {}
    for name, each in schema["properties"].items():
        found[name] = given.get(name) or (value(document, each, 0), value(document, each, 1))
        for one in found[name]:
            complete(document, each, one, name)
    return found


def patched(room: Newsroom, at: str, **changes: Any) -> Json:
    return ok(room.admin.patch(at, json=changes, headers={"If-Match": "*"}))


def forgetting(as_input: Callable[..., Json], names: set[str]) -> Callable[..., Json]:
    def forgetful(*of: Any) -> Json:
        return {name: given for name, given in as_input(*of).items() if name not in names}

    return forgetful


def optional(room: Newsroom, path: str) -> set[str]:
    """The fields that null may clear, which are those that need not be sent."""
    [schema] = [each.schema for each in operations(room) if (each.method, each.path) == ("PATCH", path)]
    assert schema is not None
    return {name for name, each in schema["properties"].items() if {"type": "null"} in each.get("anyOf", ())}


def test_every_resource_that_has_a_patch_is_tried(room: Newsroom) -> None:
    assert {each.path for each in operations(room) if each.method == "PATCH"} == RESOURCES.keys()


@pytest.mark.parametrize("path", RESOURCES)
def test_each_field_is_changed_alone(room: Newsroom, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others stay even where what a patch is applied to has none of them: a field that was added later
    and forgotten there was nulled by the next patch of another.
    """
    resource = RESOURCES[path]
    at = resource.make(room)
    values = fields(room, path, at)
    before = patched(room, at, **{name: first for name, (first, _) in values.items()})
    assert not [name for name in values if before[name] in (None, [])], "a field was not filled"
    as_input = resource.store.as_input
    for name, (_, second) in values.items():
        others = optional(room, path) - {name, *resource.partners.get(name, ())}
        monkeypatch.setattr(resource.store, "as_input", forgetting(as_input, others))
        after = patched(room, at, **{name: second})
        changed = {each for each in before if before[each] != after[each]}
        assert changed - {"version", "updated_at", *resource.beside} == {name}
        [entry] = ok(room.admin.get("/v1/changes?order=desc&limit=1"))["data"]
        columns = entry["difference"].keys() - {"judged_by", "judged_by_name"}
        assert columns - {name, *resource.columns.get(name, ())} == set(), "a column was changed unseen"
        before = after
