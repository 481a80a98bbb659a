"""Who works here is told to those inside alone: whatever the public asks, nobody's name is in an answer."""

import re
from collections.abc import Iterator

import httpx
import pytest

from app.access.model import RoleName
from app.changes.entry import entry_hash
from app.projections import migrate
from tests.contract import asking, furnish, reading
from tests.earlier import lay
from tests.newsroom import Bases, Newsroom, Server, ok, prepared, problem
from tests.receiver import Receiver
from tests.test_webhooks import allow, deliver, hooked, receiver

__all__ = ["receiver"]

NAMES = re.compile("Quincy [A-Z]")
"""The names of everybody in these tests, and of their keys."""

WORKERS = re.compile(r'(?<!"resource_id":")(per|key)_[0-9a-z]{26}')
"""Their ids, but for entries of the ledger that say that there is somebody, or a key."""

ROLES: tuple[RoleName, ...] = ("reporter", "checker", "editor", "admin")


def staffed(room: Newsroom) -> None:
    """Give everybody who works in a newsroom a name that is found wherever it is."""
    for role in ROLES:
        room._clients[role] = room.another(role, f"Quincy {role.capitalize()}")


def busy(room: Newsroom) -> None:
    """Make a base in which people with such names have done everything."""
    staffed(room)
    furnish(room)
    claim = room.claim("Taken by somebody.")
    room.take(claim)
    judged = {"other": room.claim("Another.")["id"], "relation": "supports", "judgement": "positive"}
    ok(room.checker.post(f"/v1/claims/{claim['id']}/links", json=judged))


@pytest.fixture
def room(bases: Bases, server: Server) -> Iterator[Newsroom]:
    with prepared(bases, server, busy, seeded=True) as newsroom:
        staffed(newsroom)
        yield newsroom


def told(room: Newsroom, client: httpx.Client, newest: int = 8) -> Iterator[tuple[str, str]]:
    """Everything that a client can read: each address, with what is answered there."""
    for operation, address in reading(room):
        more = {"limit": 200} if "limit" in operation.query else {}
        answer = client.get(asking(address, **more))
        if answer.status_code == 200:
            yield address, answer.text
    last = ok(room.anyone.get("/v1/changes?order=desc&limit=1"))["data"][0]["seq"]
    with client.stream("GET", f"/v1/changes/stream?after=0&until={last}") as answer:
        yield "/v1/changes/stream", "".join(answer.iter_text())
    written_last = (
        f"sort=created&order=desc&limit={newest}"  # the rest are the seed's, on which nobody has worked
    )
    for claim in ok(client.get(f"/v1/claims?withdrawn=include&{written_last}"))["data"]:
        path = f"/v1/claims/{claim['id']}"
        for media in ("application/ld+json", "text/html"):
            yield f"{path} as {media}", client.get(path, headers={"Accept": media}).text
        for below in ("history", "reviews", "evidence", "links", "bundle"):
            yield f"{path}/{below}", client.get(f"{path}/{below}?limit=200").text
    for path in ("claims?limit=200", "corrections", "reviews.csv", "links.ndjson", "verdicts.json"):
        address = asking(f"/v1/{path}", as_of=last - 1)
        yield address, client.get(address).text


def test_nothing_tells_the_public_who_works_here(room: Newsroom) -> None:
    inside = {address: text for address, text in told(room, room.checker) if NAMES.search(text)}
    assert len(inside) > 15, "those inside are told"
    found = [*told(room, room.anyone)]
    assert len(found) > 60
    for address, text in found:
        assert not NAMES.search(text), address
        assert not WORKERS.search(text), address


def test_nor_does_a_base_of_before(bases: Bases, server: Server) -> None:
    with bases.fresh(migrated=False) as url:
        lay(url, "0013")
        migrate(url)
        with Newsroom(server, url) as room:
            for address, text in told(room, room.anyone, 24):
                assert not WORKERS.search(text), address
                assert not re.search(r'"The (reporter|checker|editor|admin)"', text), address


def test_whoever_asks_with_a_key_and_then_without_is_told_as_either(room: Newsroom) -> None:
    paths = (
        "claims?limit=200",
        "reviews.csv",
        "links.json",
        "corrections",
        "verdicts.atom",
        "changes?limit=200",
    )
    for path in paths:
        for client, names in ((room.anyone, False), (room.checker, True), (room.anyone, False)):
            answer = client.get(f"/v1/{path}")
            assert bool(NAMES.search(answer.text)) == names, path
            tag = {"If-None-Match": answer.headers["etag"]} if "etag" in answer.headers else {}
            other = room.checker if client is room.anyone else room.anyone
            if tag:
                assert other.get(f"/v1/{path}", headers=tag).status_code == 200, path
                assert client.get(f"/v1/{path}", headers=tag).status_code == 304, path


@pytest.mark.parametrize(
    "path",
    ["changes?actor=", "changes/stream?until=1&actor=", "claims?assignee=", "claims.csv?not_proposed_by="],
)
def test_no_filter_is_an_oracle(room: Newsroom, path: str) -> None:
    person = ok(room.checker.get("/v1/me"))["person"]["id"]
    for somebody in (person, "per_01kb1x2y3z4a5b6c7d8e9fghjk"):
        problem(room.anyone.get(f"/v1/{path}{somebody}"), 401)
        assert room.reader.get(f"/v1/{path}{somebody}").status_code == 200


def test_an_entry_without_its_people_has_its_hash(room: Newsroom) -> None:
    for entry in ok(room.anyone.get("/v1/changes?limit=200"))["data"]:
        assert entry_hash(entry) == entry["hash"]
        assert entry["actor"] is None or "_" not in entry["actor"]


def test_the_public_is_told_a_byline(room: Newsroom) -> None:
    me = ok(room.checker.get("/v1/me"))["person"]["id"]
    claim = room.claim("Ruled on under a byline.")
    review = room.review(room.take(claim))
    path = f"/v1/claims/{claim['id']}/reviews/{review['id']}"
    assert ok(room.anyone.get(path))["reviewer"] is None
    for byline, shown in (("Q. C.", {"id": None, "name": "Q. C."}), (None, None)):
        ok(room.admin.patch(f"/v1/people/{me}", headers={"If-Match": "*"}, json={"byline": byline}))
        assert ok(room.anyone.get(path))["reviewer"] == shown
        assert ok(room.checker.get(path))["reviewer"] == {"id": me, "name": "Quincy Checker"}
        feed = room.anyone.get("/v1/verdicts.json").text
        assert ("Q. C." in feed) == (byline is not None)


def test_a_webhook_is_told_no_names(room: Newsroom, receiver: Receiver) -> None:
    allow(room)
    hooked(room, receiver.url)
    claim = room.claim("Told of to others.")
    room.review(room.take(claim))
    deliver(room)
    bodies = [got.body.decode() for got in receiver.got]
    assert len(bodies) > 4
    for body in bodies:
        assert not NAMES.search(body)
        assert not WORKERS.search(body)


def test_what_a_client_called_its_request_is_told_to_those_inside_alone(room: Newsroom) -> None:
    called = {"X-Request-Id": "quincy-9"}
    body = {"text": "Asked for.", "mode": "paraphrase", "speakers": ["vladimir-putin"]}
    claim = ok(room.reporter.post("/v1/claims", headers=called, json=body))
    path = f"/v1/claims/{claim['id']}"
    last = ok(room.anyone.get("/v1/changes?order=desc&limit=1"))["data"][0]["seq"]
    stream = f"/v1/changes/stream?after={last - 1}&until={last}"
    for address in ("/v1/changes?order=desc&limit=5", f"{path}/history", f"{path}/bundle", stream):
        assert "quincy-9" not in room.anyone.get(address).text, address
        assert ("quincy-9" in room.reader.get(address).text) == ("bundle" not in address), address


def test_the_public_is_told_of_which_organisation_who_wrote_is(room: Newsroom, receiver: Receiver) -> None:
    """Of what is hidden as well, and not where somebody belongs to none."""
    me = ok(room.reporter.get("/v1/me"))["person"]["id"]
    desk, other = (room.entity(name, "organization")["id"] for name in ("A desk", "Its owner"))
    mine = {"organisations": [desk, other]}
    ok(room.admin.patch(f"/v1/people/{me}", headers={"If-Match": "*"}, json=mine))
    allow(room)
    hooked(room, receiver.url)
    claim, hidden = room.claim("A public one."), room.claim("Hidden one.", visibility="internal")
    taken = room.take(hidden)
    of_desk, of_desk_too, of_none = ok(room.anyone.get("/v1/changes?order=desc&limit=3"))["data"][::-1]
    assert (of_desk["resource_id"], of_desk_too["resource_id"]) == (claim["id"], None)
    assert (of_desk["organisation"], of_desk_too["organisation"]) == (desk, desk)
    assert "organisation" not in of_none
    assert of_desk_too.keys() - {each for each, value in of_desk_too.items() if value is None} == {
        "form", "seq", "at", "organisation", "previous_hash", "hash", "salts", "commitments",
    }  # fmt: skip
    for entry in (of_desk, of_desk_too, of_none):
        assert entry_hash(entry) == entry["hash"]
        assert entry["actor"] is None
    [told] = ok(room.anyone.get(f"/v1/claims/{claim['id']}/history"))["data"]
    assert told["organisation"] == desk
    assert '"organisation"' not in room.reader.get(f"/v1/claims/{taken['id']}/history").text
    deliver(room)
    bodies = [got.body.decode() for got in receiver.got]
    assert [f'"organisation":"{desk}"' in body for body in bodies[:2]] == [True, True]
    assert ok(room.admin.post(f"/v1/entities/{desk}/merge", headers={"If-Match": "*"}, json={"into": other}))
    [told] = ok(room.anyone.get(f"/v1/claims/{claim['id']}/history"))["data"]
    assert told["organisation"] == other
