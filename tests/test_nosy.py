"""What is not public, asked for without a key through other doors than the routes that read: webhooks, the
stream, a server whose embargoes end, and the interfaces of others.
"""

import json
import time
from datetime import timedelta
from pathlib import Path

import httpx

from app.base.times import now
from app.changes.entry import entry_hash
from tests.newsroom import SECRET, Bases, Json, Newsroom, Server, ok
from tests.receiver import Receiver
from tests.served import environment, served
from tests.test_google_factcheck import BATCH, MIXED, PAGES, page_of
from tests.test_visibility import ANY, addresses, answers, drafted, having, propose
from tests.test_webhooks import HOOKS, allow, deliver, hooked, last, receiver

__all__ = ["receiver"]


def concealed(room: Newsroom) -> tuple[Json, Json]:
    """Add a draft with its source, a proposal, a note, internal evidence and a claim that was taken back,
    each with a word that is nowhere else. Return the draft and a public claim.
    """
    draft, _ = drafted(room)
    claim = room.claim("A public claim.")
    propose(room, claim)
    for more in ({"note": "Of the ministry."}, {"visibility": "internal", "note": "Of the ministry."}):
        body = {"url": f"https://example.org/{len(more)}", "stance": "context", **more}
        ok(room.checker.post(f"/v1/claims/{claim['id']}/evidence", json=body))
    back = room.claim("Zanzibar is taken back.", visibility="internal")
    ok(room.checker.post(f"/v1/claims/{back['id']}/publication", headers=ANY))
    ok(room.editor.delete(f"/v1/claims/{back['id']}/publication", headers=ANY))
    return draft, claim


def told(body: str) -> bool:
    return any(word in body.lower() for word in ("zanzibar", "ministry"))


def test_neither_webhooks_nor_the_stream_tell_of_what_is_not_public(
    room: Newsroom, receiver: Receiver
) -> None:
    room.entity()
    allow(room)
    start = last(room)
    kinds: tuple[Json, ...] = ({}, {"batch": 50}, {"types": ["claim", "review", "evidence", "source"]})
    hooks = [hooked(room, receiver.url, **more) for more in kinds]
    draft, claim = concealed(room)
    deliver(room)
    for hook in hooks:
        ok(room.admin.post(f"{HOOKS}/{hook['id']}/replay", json={"after": start}))
    deliver(room)
    assert len(receiver.got) > 20
    for got in receiver.got:
        assert not told(got.body.decode()), got.body
        assert draft["id"] not in got.body.decode()
    here = last(room)
    stream = f"/v1/changes/stream?after={start}&until={here}"
    assert told(room.reader.get(stream).text)
    assert not told(room.anyone.get(stream).text)
    only = f"{stream}&resource=claim"
    ids = [each["id"] for each in (draft, claim)]
    assert [each in room.anyone.get(only).text for each in ids] == [False, True]
    receiver.got.clear()
    ok(room.checker.post(f"/v1/claims/{draft['id']}/publication", headers=ANY))
    deliver(room)
    bodies = "".join(got.body.decode() for got in receiver.got)
    assert "claim.publish" in bodies
    assert "source.publish" in bodies


def test_a_server_ends_embargoes_by_itself_and_its_entry_names_what_that_reveals(
    bases: Bases, server: Server, tmp_path: Path
) -> None:
    with bases.fresh() as url, Newsroom(server, url) as room:
        source = room.source("https://example.org/zanzibar", "Zanzibar", visibility="internal")
        until = (now() + timedelta(seconds=4)).isoformat()
        claim = room.claim("Zanzibar soon.", embargoed_until=until)
        path = f"/v1/sources/{source['id']}"
        ok(room.checker.post(f"{path}/publication", headers=ANY, json={"at": until}))
        paths = (path, f"/v1/claims/{claim['id']}")
        hidden = {each["seq"] for each in room.get("/v1/changes", limit=200)["data"] if not each["resource"]}
        with served(environment(url, RECORD_SECRET=SECRET), tmp_path / "log") as api, api.client() as anyone:
            assert [anyone.get(each).status_code for each in paths] == [404, 404]
            assert not told(anyone.get("/v1/changes?limit=200").text)
            ends = time.monotonic() + 60
            while [anyone.get(each).status_code for each in paths] != [200, 200]:
                assert time.monotonic() < ends
                time.sleep(0.1)
            assert now().isoformat() >= until
            entries = ok(anyone.get("/v1/changes?limit=200"))["data"]
        published = [each for each in entries if each["action"] in ("claim.publish", "source.publish")]
        assert {each["actor"] for each in published} == {"embargo"}
        revealed = {seq for each in published for seq in each["difference"]["publication"]["new"]["reveals"]}
        assert revealed == hidden
        assert all(entry_hash(each) == each["hash"] and each["resource"] for each in entries)


def asked(client: httpx.Client, page: str) -> dict[str, str]:
    """What other people's interfaces answer to requests that name what is not public."""
    posts: dict[str, tuple[str, Json]] = {
        "search": (
            "/v1alpha1/claims:search",
            {"data": {"query": "gas fell"}, "headers": {"X-HTTP-Method-Override": "GET"}},
        ),
        "reconcile": ("/reconcile", {"data": {"queries": json.dumps({"q": {"query": "gas fell"}})}}),
        "node": ("/core/api/v2/node", {"json": {"nodes": ["vladimir-putin"], "property": "<-*"}}),
        "resolve": ("/core/api/v2/resolve", {"json": {"nodes": ["gas"], "property": "<-description->dcid"}}),
    }
    found = {name: client.post(at, **sent).text for name, (at, sent) in posts.items()}
    inner = f"--b\r\nContent-Type: application/http\r\n\r\nGET {page} HTTP/1.1\r\n\r\n\r\n--b--\r\n"
    found["batch"] = client.post(BATCH, content=inner.encode(), headers={"Content-Type": MIXED}).text
    site = "check.example.org"
    for at in (page, f"{PAGES}?organization={site}", f"{PAGES}?url=https://{site}/1",
               f"/v1alpha1/claims:search?reviewPublisherSiteFilter={site}"):  # fmt: skip
        found[at] = client.get(at).text
    return found


def test_the_interfaces_of_others_show_a_page_s_claim_to_nobody_once_it_is_taken_back(room: Newsroom) -> None:
    """With the desk's ruling on it, which came in through one of them."""
    sent = page_of("Gas fell.")
    page = f"/v1alpha1/{ok(room.checker.post(PAGES, json=sent))['name']}"
    [claim] = room.get("/v1/claims")["data"]
    before = asked(room.anyone, page)
    having_it = {name for name, text in before.items() if "Gas fell" in text}
    assert having_it >= {"search", "batch", page}
    ok(room.editor.delete(f"/v1/claims/{claim['id']}/publication", headers=ANY))
    assert [name for name, text in asked(room.anyone, page).items() if "Gas fell" in text] == []
    assert {name for name, text in asked(room.reader, page).items() if "Gas fell" in text} == having_it
    assert having("gas fell", answers(room.anyone, addresses(room))) == set()
    assert room.anyone.get(page).status_code == 404
    assert room.faults() == []
