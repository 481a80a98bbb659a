"""The OpenAPI document describes every property, parameter, header and enum value, and no word is unused."""

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from app.base.descriptions import enums, keys
from app.main import create_app
from app.settings import Settings
from app.web.reference import DESCRIBED
from tests.newsroom import Json

Found = Iterator[tuple[str, Mapping[str, Any]]]
"""Places of the document, each with what has to have a description there."""


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Json:
    url = f"sqlite:///{tmp_path_factory.mktemp('reference')}/record.db"
    return create_app(Settings(database_url=url, secret="x" * 40)).openapi()


def properties(document: Json) -> Found:
    for schema, whole in document["components"]["schemas"].items():
        for name, each in whole.get("properties", {}).items():
            yield f"property {schema}.{name}", each


def parameters_and_headers(document: Json) -> Found:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            where = f"{method.upper()} {path}"
            for parameter in operation["parameters"]:
                yield f"parameter {where} {parameter['name']}", parameter
            for status, response in operation["responses"].items():
                yield f"answer {where} {status}", response
                for name, header in response.get("headers", {}).items():
                    yield f"header {where} {status} {name}", header


def undescribed(document: Json) -> Iterator[str]:
    for where, each in (*properties(document), *parameters_and_headers(document)):
        description = each.get("description", "").strip()
        if not description:
            yield f"{where} has no description: add one beside it, or to app/web/record_words.py"
        elif _AWKWARD.match(description):
            yield f"{where} is described with a first word that is to be avoided: {description}"
    for where, schema in enums(document):
        for value in schema["enum"] if len(schema["enum"]) > 1 else ():
            if schema.get("description", "").count(f"- `{value}`: ") != 1:
                yield f"enum {where} does not describe {value} once: add it to app/web/values.py"


_AWKWARD = re.compile(r"(What|Whether|That|How|Whose|Whom?|Those) ")


def astray(document: Json) -> Iterator[str]:
    """References that lead nowhere."""

    def walk(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for each in node.values():
                yield from walk(each)
        elif isinstance(node, list):
            for each in node:
                yield from walk(each)

    for address in sorted({*walk(document)}):
        found: Any = document
        for part in address.removeprefix("#/").split("/"):
            found = found.get(part) if isinstance(found, dict) else None
        if found is None:
            yield address


def test_everything_is_described(reference: Json) -> None:
    assert list(undescribed(reference)) == []


def test_no_reference_leads_nowhere(reference: Json) -> None:
    assert list(astray(reference)) == []


def test_what_lacks_a_description_is_named(reference: Json) -> None:
    poor = copy.deepcopy(reference)
    claim = poor["components"]["schemas"]["ClaimOut"]["properties"]
    del claim["place"]["description"]
    claim["said"]["description"] = "Whether it was said."
    claim["kind"]["description"] = "The kind of assertion."
    del poor["paths"]["/v1/claims/{claim_id}"]["get"]["parameters"][0]["description"]
    del poor["paths"]["/v1/claims"]["get"]["responses"]["200"]["headers"]["ETag"]["description"]
    del poor["components"]["schemas"]["EntityBrief"]
    told = "\n".join(undescribed(poor))
    for each in (
        "property ClaimOut.place has no",
        "property ClaimOut.said is described with",
        "parameter GET /v1/claims/{claim_id} claim_id has no",
        "header GET /v1/claims 200 ETag has no",
        "ClaimOut/properties/kind does not describe prediction once",
    ):
        assert each in told
    assert list(astray(poor)) == ["#/components/schemas/EntityBrief"]


def test_no_description_is_unused(reference: Json) -> None:
    document, used = reference, set[str]()
    for schema, whole in document["components"]["schemas"].items():
        for name, each in whole.get("properties", {}).items():
            first = next((key for key in keys(schema, name) if key in DESCRIBED.properties), None)
            if first and each["description"].startswith(DESCRIBED.properties[first]):
                used.add(first)
    assert sorted(DESCRIBED.properties.keys() - used) == []
    paths = {
        parameter["name"]
        for methods in document["paths"].values()
        for operation in methods.values()
        for parameter in operation["parameters"]
        if parameter["in"] == "path"
    }
    assert DESCRIBED.paths.keys() == paths
    known = {tuple(schema["enum"]) for _, schema in enums(document)}
    assert [each for each in DESCRIBED.values if tuple(each) not in known] == []
