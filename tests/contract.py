"""Every route, found in the application itself, and what it takes to call it: an address, a body, a key."""

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import httpx

from app.access.model import Role, RoleName
from app.base.http import EVENTS
from app.base.ids import noun_of
from tests.newsroom import Json, Newsroom, match, ok, ruling

ROLES: tuple[RoleName, ...] = get_args(RoleName)
CALLERS: tuple[RoleName | None, ...] = (None, *ROLES)
MORE_THAN_THERE_ARE = 200
NEEDED = {
    "/v1/search": "?q=Putin",
    "/v1/figures/series": "?measure=bilateral+trade",
    "/v1/log/inclusion": "?seq=1",
    "/v1/changes/stream": "?until=1",
    "/v1/log/consistency": "?first=1",
    "/reconcile/suggest/entity": "?prefix=Putin",
    "/reconcile/suggest/type": "?prefix=p",
    "/reconcile/suggest/property": "?prefix=w",
    "/reconcile/preview": "?id=vladimir-putin",
    "/reconcile/flyout": "?id=vladimir-putin",
    "/v1alpha1/claims:search": "?query=Putin",
    "/v1alpha1/pages": "?organization=example.org",
    "/core/api/v2/node": "?nodes=china&property=->name",
    "/core/api/v2/observation": "?entity.dcids=china&select=variable&select=entity",
    "/core/api/v2/resolve": "?nodes=Q148&property=<-wikidataId->dcid",
}
"""The query without which a path is no question, or its answer has no end."""

PUBLISHED = "https://example.org/checks/1"
"""Where a review of the furnished base is published."""

GOOGLES = ("/v1alpha1/", "/$discovery/", "/batch/")
"""Where the addresses of Google's interface begin, which has refusals of its own."""

DATA_COMMONS = "/core/api/v2/"
"""Where those of Data Commons' begin, which has others."""

OTHERS = (*GOOGLES, DATA_COMMONS, "/reconcile")
"""Where the addresses of other people's interfaces begin, which have descriptions of their own."""


@dataclass(frozen=True)
class Operation:
    """A method at a path, as the OpenAPI document has it."""

    method: str
    path: str
    document: Json
    schema: Json | None
    """The schema of its body, if it takes one."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def role(self) -> Role:
        return Role[self.document["x-role"]]

    @property
    def reads(self) -> bool:
        return self.method == "GET"

    @property
    def lists(self) -> bool:
        return self.reads and "cursor" in self.query

    @property
    def media(self) -> str:
        """The type in which it answers."""
        success = next(
            self.document["responses"][status]
            for status in ("200", "201")
            if status in self.document["responses"]
        )
        media = next(iter(success["content"]))
        return str(media)

    @property
    def query(self) -> dict[str, Json]:
        """The schemas of its query parameters."""
        return {p["name"]: p["schema"] for p in self.document["parameters"] if p["in"] == "query"}

    @property
    def takes_files(self) -> bool:
        return "application/x-ndjson" in self.document.get("requestBody", {}).get("content", {})

    @property
    def if_match(self) -> bool:
        return any(p["name"] == "If-Match" for p in self.document["parameters"])

    @property
    def example(self) -> Any:
        """A body that the document gives as an example, or None if it takes none."""
        assert self.schema is None or self.schema.get("examples"), f"{self} has no example of a body"
        return self.schema["examples"][0] if self.schema else None

    @property
    def nowhere(self) -> str:
        """An address of it at which nothing is."""
        return re.sub(r"{\w+}", "nothing-here", self.path) + NEEDED.get(self.path, "")

    def allows(self, role: RoleName | None) -> bool:
        """Whether the document promises to let that role in."""
        if role is None:
            return {} in self.document["security"]
        return Role[role] >= self.role


def operations(room: Newsroom) -> list[Operation]:
    """Every operation of the document."""
    document = room.app.openapi()
    return [
        Operation(method.upper(), path, operation, _body(document, operation))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def _body(document: Json, operation: Json) -> Json | None:
    if "requestBody" not in operation:
        return None
    content = operation["requestBody"]["content"]
    if "application/json" not in content:
        return None  # a file, of which other tests tell
    schema = content["application/json"]["schema"]
    [whole] = [each for each in schema.get("anyOf", [schema]) if each != {"type": "null"}]
    return resolved(document, whole)


def resolved(document: Json, schema: Json) -> Json:
    """A schema, or the one that it refers to."""
    name = schema.get("$ref", "").rpartition("/")[2]
    found: Json = document["components"]["schemas"][name] if name else schema
    return found


# --- addresses ---------------------------------------------------------------------------------


def places(room: Newsroom, path: str, first: dict[str, list[str]] | None = None) -> Iterator[str]:
    """The addresses that a path stands for in the base, found in the lists above it; with `first`, in the
    first rows of each, which are kept there.
    """
    if path == "/v1alpha1/pages/{page_id}":
        yield f"/v1alpha1/pages/{urlsafe_b64encode(PUBLISHED.encode()).decode().rstrip('=')}"
        return
    above, brace, rest = path.partition("/{")
    if not brace:
        yield f"{path}{NEEDED.get(path, '')}"
        return
    if first is not None and above not in first:
        first[above] = _first_ids(room, above)
    for found in _ids(room, above) if first is None else first[above]:
        yield from places(room, f"{above}/{found}{rest.partition('}')[2]}", first)


def _first_ids(room: Newsroom, path: str) -> list[str]:
    few = asking(path, limit=8)
    answer = room.anyone.get(few)  # what everyone finds can be read by everyone
    return [row["id"] for row in ok(answer if answer.is_success else room.admin.get(few))["data"]]


def _ids(room: Newsroom, path: str) -> Iterator[str]:
    listed = [row["id"] for row in whole(room, path)]
    yield from listed
    if path.count("/") <= 2 and listed:
        # Some that no list shows, such as an entity that is merged into another, are in the ledger.
        written = whole(room, "/v1/changes", resource=noun_of(listed[0]))
        yield from sorted({entry["resource_id"] for entry in written} - set(listed))


def place(room: Newsroom, path: str, first: dict[str, list[str]] | None = None) -> str:
    """The first address that a path stands for; who asks for many in a base that stays gives a `first`."""
    found = next(places(room, path, {} if first is None else first), None) or next(places(room, path), None)
    assert found is not None, f"the base of the test has nothing at {path}: see furnish()"
    return found


def reading(room: Newsroom) -> Iterator[tuple[Operation, str]]:
    """Every GET but for streams, with an address of it at which there is something."""
    first: dict[str, list[str]] = {}
    for operation in operations(room):
        if operation.reads and operation.media != EVENTS:
            yield operation, place(room, operation.path, first)


def reading_in_turn(room: Newsroom) -> Iterator[tuple[int, Operation, str]]:
    """As `reading`, each with its number: on PostgreSQL every other one, for what one function does to all
    routes.
    """
    for number, (operation, at) in enumerate(reading(room)):
        if room.db.sqlite or number % 2 == 0:
            yield number, operation, at


def whole(room: Newsroom, path: str, **query: Any) -> list[Json]:
    """All rows of a list, in its usual order."""
    rows: list[Json] = []
    cursor: Json = {}
    while True:
        page = ok(room.admin.get(asking(path, limit=MORE_THAN_THERE_ARE, **query, **cursor)))
        rows += page["data"]
        if page["next_cursor"] is None:
            return rows
        cursor = {"cursor": page["next_cursor"]}


def asking(path: str, **query: Any) -> str:
    """An address with more in its query."""
    return str(httpx.URL(path).copy_merge_params(query))


def call(
    room: Newsroom, operation: Operation, at: str, *, by: httpx.Client | None = None, **headers: str
) -> httpx.Response:
    """The operation as its document has it, with the example as its body, for any version."""
    condition = {"If-Match": "*"} if operation.if_match else {}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    client, body = by or room.admin, operation.example
    return client.request(operation.method, at, json=body, headers={**condition, **named})


# --- a base with something in it for every operation --------------------------------------------


def furnish(room: Newsroom) -> None:
    """Adds to the seed what it has none of: rulings, standings, links, a merged entity, texts."""
    ruled, held, withdrawn, *proposed = (
        room.claim(f"Claim {n} of the contract.", said=f"2024-01-0{9 - n}") for n in range(1, 6)
    )
    _rule(room, room.admin, ruled)
    [first] = room.get(f"/v1/claims/{ruled['id']}/reviews")["data"]
    correction = {"verdict": "half_true", "corrects": first["id"], "correction_note": "It was misread."}
    correction["url"] = PUBLISHED
    room.review(ruled, by=room.admin, **correction)
    room.take(held, by=room.admin)
    note = {"note": "Stated twice."}
    ok(room.admin.post(f"/v1/claims/{withdrawn['id']}/withdrawal", headers=match(withdrawn), json=note))
    with room.with_settings(four_eyes=True) as strict:
        for claim in proposed:
            _rule(strict, strict.checker, claim)
    for other, relation in (
        (held, "contradicts"),
        (held, "supports"),
        (withdrawn, "contradicts"),
        (withdrawn, "repeats"),
    ):
        link = {"other": other["id"], "relation": relation, "judgement": "unsure"}
        ok(room.admin.post(f"/v1/claims/{ruled['id']}/links", json=link))
    for n in (1, 2):
        source = room.source(f"https://example.org/contract/{n}", f"Source {n}", published=f"202{n}")
        for text in ("A text.", "The text, corrected."):
            ok(room.admin.post(f"/v1/sources/{source['id']}/snapshots", json={"text": text}))
    whose = {"name": "Of the desk", "role": "checker", "organisations": ["rfe-rl"]}
    ok(room.admin.post("/v1/people", json=whose))
    for n in (1, 2):
        ok(room.admin.post("/v1/webhooks", json={"url": f"https://desk{n}.invalid/hook"}))
    twin = room.entity("A twin")
    same = {"into": "vladimir-putin"}
    ok(room.admin.post("/v1/entities/a-twin/merge", headers=match(twin), json=same))
    for n in (1, 2, 3):
        erased = {"record": room.claim(f"To be erased, {n}.")["id"], "note": "By order of a court."}
        ok(room.admin.post("/v1/erasures", json=erased))
    ok(room.admin.patch("/v1/entities/china", headers={"If-Match": "*"}, json={"description": "A country."}))
    ok(room.admin.patch(f"/v1/sources/{source['id']}", headers={"If-Match": "*"}, json={"title": "Another"}))


def _rule(room: Newsroom, by: httpx.Client, claim: Json) -> None:
    proofs = [{"url": f"https://example.org/{n}", "stance": "refutes"} for n in (1, 2)]
    room.take(claim, by=by)
    path = f"/v1/claims/{claim['id']}/reviews"
    ok(by.post(path, headers={"If-Match": "*"}, json=ruling(evidence=proofs)))
