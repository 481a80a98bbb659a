"""The OpenAPI document: valid, true to the answers, and readable without the internet."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import TypeAdapter, ValidationError

from app.base.types import Line, Prose
from tests.contract import asking, operations, place, resolved
from tests.newsroom import Bases, Json, Newsroom, Server, ok


@pytest.fixture
def on_sqlite(sqlite_bases: Bases, server: Server) -> Iterator[Newsroom]:
    """A newsroom for what is in the document alone, which is the same on any database."""
    with sqlite_bases.fresh() as url, Newsroom(server, url) as newsroom:
        yield newsroom


def document(room: Newsroom) -> Json:
    return ok(room.anyone.get("/openapi.json"))


def validator(document: Json, schema: Json) -> Any:
    """A validator for a schema of the document."""
    whole = {**schema, "components": document["components"]}
    return jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker())


def test_is_valid_3_1(on_sqlite: Newsroom) -> None:
    whole = document(on_sqlite)
    assert whole["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(whole).validate()
    names = [operation.document["operationId"] for operation in operations(on_sqlite)]
    assert len(set(names)) == len(names)


def test_says_what_a_key_is_needed_for(on_sqlite: Newsroom) -> None:
    assert document(on_sqlite)["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for operation in operations(on_sqlite):
        free = operation.role.name == "reader" and operation.path != "/v1/me"
        assert operation.document["security"] == ([{}, {"key": []}] if free else [{"key": []}]), operation
    with on_sqlite.with_settings(public_reading=False) as private:
        assert {str(o.document["security"]) for o in operations(private)} == {"[{'key': []}]"}


def test_has_every_refusal_in_the_one_form(on_sqlite: Newsroom) -> None:
    for operation in operations(on_sqlite):
        refusals = {s: r for s, r in operation.document["responses"].items() if s >= "400"}
        assert {"400", "401", "403", "404", "422", "500", "503"} <= refusals.keys(), operation
        assert operation.reads or "412" in refusals, operation
        told_of_resets = operation.path in ("/v1/changes", "/v1/log/consistency")
        assert not operation.reads or ("409" in refusals) is told_of_resets, operation
        assert {tuple(each["content"]) for each in refusals.values()} == {("application/problem+json",)}


def test_has_an_example_of_every_body(on_sqlite: Newsroom) -> None:
    whole = document(on_sqlite)
    bodies = [operation for operation in operations(on_sqlite) if operation.schema]
    assert len(bodies) >= 14
    for operation in bodies:
        check = validator(whole, operation.schema or {})
        assert operation.example is not None, operation
        check.validate(operation.example)


def test_describes_the_answers_that_are_given(furnished: Newsroom) -> None:
    whole, first = document(furnished), dict[str, list[str]]()
    for operation in operations(furnished):
        if operation.reads and operation.media == "application/json":
            schema = operation.document["responses"]["200"]["content"]["application/json"]["schema"]
            check = validator(whole, schema)
            query = {"limit": 200} if operation.lists else {}
            answer = ok(furnished.admin.get(asking(place(furnished, operation.path, first), **query)))
            faults = [f"{list(fault.path)}: {fault.message}" for fault in check.iter_errors(answer)]
            assert faults == [], operation
            assert list(undescribed(check.schema, schema, answer, str(operation))) == []


def undescribed(whole: Json, schema: Json, answer: Any, where: str) -> Iterator[str]:
    """The members of an answer that have no place in its schema."""
    schema = resolved(whole, schema)
    branches = [list(undescribed(whole, branch, answer, where)) for branch in schema.get("anyOf", [])]
    yield from min(branches, key=len, default=[])
    if isinstance(answer, dict) and "properties" in schema:
        for name, value in answer.items():
            if name in schema["properties"]:
                yield from undescribed(whole, schema["properties"][name], value, f"{where}.{name}")
            else:
                yield f"{where}.{name}"
    if isinstance(answer, list) and "items" in schema:
        for value in answer:
            yield from undescribed(whole, schema["items"], value, where)


def test_links_lead_from_a_record_to_what_can_be_done_with_it(room: Newsroom) -> None:
    whole = document(room)
    known = {operation.document["operationId"]: operation for operation in operations(room)}
    [answer] = [r for s, r in known["state_claim"].document["responses"].items() if s == "201"]
    assert {"get_claim", "revise_claim", "take_claim", "review_claim"} <= answer["links"].keys()
    claim = room.claim()
    for name in answer["links"]:
        link = whole["components"]["links"][name]
        operation = known[link["operationId"]]
        taken = {each["name"] for each in operation.document["parameters"]}
        assert {each.removeprefix("header.") for each in link["parameters"]} <= taken, name
        assert link["parameters"]["claim_id"] == "$response.body#/id"
        assert ("header.If-Match" in link["parameters"]) == operation.if_match, name
        at = operation.path.replace("{claim_id}", claim["id"])
        assert not operation.reads or room.anyone.get(at).status_code == 200, at
    assert known["review_claim"].document["responses"]["201"]["links"].keys() == {"get_review"}
    assert known["create_key"].document["responses"]["201"]["links"].keys() == {"get_key", "revoke_key"}


def test_what_cannot_be_null_is_not_said_to_be(on_sqlite: Newsroom) -> None:
    for operation in operations(on_sqlite):
        for name, schema in operation.query.items():
            assert {"type": "null"} not in schema.get("anyOf", []), f"{operation} {name}"
    schemas = document(on_sqlite)["components"]["schemas"]
    assert "anyOf" not in schemas["ClaimPatch"]["properties"]["text"]
    assert {"type": "null"} in schemas["ClaimPatch"]["properties"]["place"]["anyOf"]


TAKEN = ("a", " a ", "\ta b\n", "\u2003a\u2003", "\x85a", "\x0ba", "a\x85b")
REFUSED = ("", " ", "a\x00", "\x1fa", "a\x7f", "a\x0bb", "\u2028", "a\nb", "a\rb")
UNSEEN = ("\ufeff", "\u200b\u200d", " \u00ad ", "\u3164", "\u2800", "\u0301", "\u115f \u1160", "\u2066")
SEEN = ("e\u0301", "\u0301e", "a\u200d", "\u200b1", "\u0bbe", "家", "👨\u200d👩\ufe0f", "\u3164a")
LINES = (*TAKEN, *REFUSED, *UNSEEN, *SEEN)


def test_a_pattern_says_which_strings_are_taken(on_sqlite: Newsroom) -> None:
    whole = document(on_sqlite)
    for shape, name in (
        ("NewClaimIn", "place"),
        ("ClaimPatch", "place"),
        ("NewClaimIn", "text"),
        ("ClaimPatch", "text"),
    ):
        schema = whole["components"]["schemas"][shape]["properties"][name]
        check, adapter = validator(whole, schema), TypeAdapter(Line if name == "place" else Prose)
        for line in LINES:
            try:
                adapter.validate_python(line)
            except ValidationError:
                assert not check.is_valid(line), (shape, name, line)
            else:
                assert check.is_valid(line), (shape, name, line)


def test_its_page_works_without_the_internet(on_sqlite: Newsroom) -> None:
    page = on_sqlite.anyone.get("/docs", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) >= 3
    for asset in assets:
        assert not httpx.URL(asset).is_absolute_url, asset
        assert on_sqlite.anyone.get(asset).status_code == 200, asset
    assert "https://" not in re.sub(r"<!--.*?-->", "", page.text)


def test_leads_to_what_each_problem_means(room: Newsroom) -> None:
    page = room.anyone.get("/problems").text
    refused = room.anyone.get("/v1/nothing").json()
    assert f"id={refused['type'].partition('#')[2]}>" in page
    assert room.anyone.get("/", follow_redirects=True).url.path == "/docs"
