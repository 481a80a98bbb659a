"""Who asks, and what the public is shown: every route, found by the tests themselves, asked without a key."""

import dataclasses
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlmodel import SQLModel

from app.access.caller import ANONYMOUS, Caller
from app.access.model import Role
from app.base.public import OPEN, SHOWN, as_public
from app.changes.entry import entry_hash
from app.claims.words import WITHDRAWN
from app.publication.store import end_embargoes
from tests.commands import Command
from tests.contract import asking, furnish, operations, places
from tests.newsroom import TESTS, Bases, Json, Newsroom, Server, match, ok, prepared, problem, ruling

# --- who asks ----------------------------------------------------------------------------------


def test_one_value_says_who_asks_and_is_never_changed() -> None:
    checker = Caller(TESTS, Role.checker)
    assert [checker.has(role) for role in (Role.reporter, Role.checker, Role.editor)] == [True, True, False]
    assert checker.inside
    assert not ANONYMOUS.inside
    assert not ANONYMOUS.has(Role.reader)
    with pytest.raises(dataclasses.FrozenInstanceError):
        checker.role = Role.admin  # type: ignore[misc]


def test_what_is_read_knows_whether_the_public_asks(room: Newsroom) -> None:
    for base, public in ((room.db, False), (room.db.outside, True), (room.app.state.house.at(0), False)):
        assert base.public is public
        with base.read() as session:
            assert session.public is public
    assert room.app.state.house.at(0, public=True) == room.db.outside
    assert room.db.outside.reader is not room.db.reader


# --- the filter --------------------------------------------------------------------------------


def test_each_table_is_filtered_or_named_as_one_that_need_not_be() -> None:
    assert not SHOWN.keys() & OPEN
    assert SHOWN.keys() | OPEN == {*SQLModel.metadata.tables, "alembic_version"}


def test_the_public_reads_the_columns_that_a_table_has(room: Newsroom) -> None:
    with room.db.read() as inside, room.db.outside.read() as outside:
        for name in SHOWN:
            columns = [
                {*session.connection().exec_driver_sql(f"SELECT * FROM {name} LIMIT 0").keys()}
                for session in (inside, outside)
            ]
            assert columns[0] == columns[1], name


def test_whatever_names_a_table_is_filtered(room: Newsroom) -> None:
    """By the session, by `ask`, in parts, and in SQL that no query was built for."""
    claim = room.claim()
    with room.db.write() as session:
        session.execute(text("INSERT INTO hidden_records VALUES (:id)"), {"id": claim["id"]})
    room.tampered = True
    counts = ["SELECT count(*) FROM claims", "SELECT count(*) FROM (SELECT id FROM claims) AS c"]
    for base, there in ((room.db, 1), (room.db.outside, 0)):
        with base.read() as session:
            for words in counts:
                assert session.connection().exec_driver_sql(words).scalar_one() == there, words
            parts = session.execute(text("SELECT id FROM claims"), execution_options={"yield_per": 1})
            assert len(parts.all()) == there
            assert session.connection().exec_driver_sql(WITHDRAWN).all() == []


def test_a_statement_that_writes_is_none_of_the_public() -> None:
    assert as_public("SELECT 1") == "SELECT 1"
    with pytest.raises(RuntimeError):
        as_public("DELETE FROM claims")


# --- asking everything ---------------------------------------------------------------------------


def last_seq(room: Newsroom) -> int:
    return int(ok(room.admin.get("/v1/changes?order=desc&limit=1"))["data"][0]["seq"])


def addresses(room: Newsroom, *claims: str) -> list[str]:
    """An address or more of each GET that the public may make, as it is now and as of the last change: of
    these claims, and of the first few records of each list.
    """
    last = last_seq(room)
    first: dict[str, list[str]] = {}
    if claims:
        newest = room.get("/v1/claims", sort="created", order="desc", withdrawn="include", limit=6)["data"]
        first["/v1/claims"] = [*dict.fromkeys([*claims, *(each["id"] for each in newest)])]
    found = []
    for operation in operations(room):
        if operation.reads and operation.allows(None):
            here = [*places(room, operation.path, first)]
            here = [asking(at, after=0, until=last) for at in here] if "until" in operation.query else here
            found += here
            if "as_of" in operation.query:
                found += [asking(at, as_of=last) for at in here[:1]]
            found += [asking(here[0], q="zanzibar")] if "q" in operation.query and here else []
    return found


def answers(client: httpx.Client, asked: Iterable[str]) -> Iterator[tuple[str, httpx.Response]]:
    for address in asked:
        yield address, client.get(address)


def having(word: str, told: Iterable[tuple[str, httpx.Response]]) -> set[str]:
    return {address for address, answer in told if word in answer.text.lower()}


# --- proposals and notes -------------------------------------------------------------------------


def propose(room: Newsroom, claim: Json) -> Json:
    """A ruling that waits, with words that are nowhere else."""
    proof = {"url": "https://example.org/zanzibar", "stance": "refutes", "note": "From zanzibar."}
    with room.with_settings(four_eyes=True) as careful:
        path, anyhow = f"/v1/claims/{claim['id']}", {"If-Match": "*"}
        ok(careful.checker.post(f"{path}/assignment", headers=anyhow))
        body = ruling(summary="It is zanzibar.", evidence=[proof])
        return ok(careful.checker.post(f"{path}/reviews", headers=anyhow, json=body))


def test_no_answer_to_the_public_has_a_word_of_what_waits_or_was_returned(room: Newsroom) -> None:
    claim, other = room.claim(), room.claim("Another claim.")
    review = propose(room, claim)
    back = {"note": "Is zanzibar enough?"}
    with room.with_settings(four_eyes=True) as careful:
        propose(room, other)
        path = f"/v1/claims/{other['id']}/return"
        ok(careful.editor.post(path, headers=match(careful.fresh(other)), json=back))
    note = {"url": "https://example.org/b", "stance": "context", "note": "A source in zanzibar."}
    ok(room.checker.post(f"/v1/claims/{claim['id']}/evidence", json=note))
    asked = addresses(room)
    assert having("zanzibar", answers(room.anyone, asked)) == set()
    assert any("zanzibar" in answer.text.lower() for _, answer in answers(room.reader, asked))
    path = f"/v1/claims/{claim['id']}/reviews"
    assert room.get(path)["data"] == []
    assert room.anyone.get(f"{path}/{review['id']}").status_code == 404
    [gathered] = room.get(f"/v1/claims/{claim['id']}/evidence")["data"]
    assert (gathered["url"], gathered["note"]) == ("https://example.org/b", None)
    for entry in room.get("/v1/changes", limit=200)["data"]:
        assert entry_hash(entry) == entry["hash"]


def test_what_waited_is_disclosed_once_it_is_approved(room: Newsroom) -> None:
    claim = room.claim()
    review = propose(room, claim)
    with room.with_settings(four_eyes=True) as careful:
        path = f"/v1/claims/{claim['id']}/approval"
        ok(careful.editor.post(path, headers=match(careful.fresh(claim))))
    path = f"/v1/claims/{claim['id']}/reviews"
    assert [each["id"] for each in room.get(path)["data"]] == [review["id"]]
    [gathered] = room.get(f"/v1/claims/{claim['id']}/evidence")["data"]
    assert (gathered["url"], gathered["note"]) == ("https://example.org/zanzibar", None)
    told = room.get("/v1/changes", limit=200)["data"]
    [approval] = [each for each in told if each["action"] == "claim.approve"]
    revealed = approval["difference"]["publication"]["new"]["reveals"]
    assert [each["resource"] for each in told if each["seq"] in revealed] == ["evidence", "review"]
    assert all(entry_hash(entry) == entry["hash"] for entry in told)
    assert having("from zanzibar", answers(room.anyone, addresses(room))) == set()


# --- records that are not public -----------------------------------------------------------------


OF_THE_LEDGER = ("/v1/changes", "/v1/log/", "/bundle")
"""Where answers have places in the ledger, which other entries move."""

MORE = (
    "/v1/claims?sort=repeats",
    "/v1/claims?facets=status,verdict,attribution,speaker,publisher,topic,month",
    "/v1/claims?q=zanz*",
    "/v1/claims?q=pipeline+gas+china",
    "/v1/claims?q=pipeline+gas&sort=said&facets=status",
    "/v1/claims?repeats={repeated}",
    "/v1/claims?withdrawn=include&limit=200",
    "/v1/entities/a-twin",
    "/v1/entities/a-twin/history",
    "/v1/claims/{repeated}/suggestions?include=unsure",
    "/v1/stats?by=speaker,verdict",
    "/v1/stats?by=month",
    "/v1/search?q=pipeline+gas+china",
    "/v1/search?q=zanzibar",
    "/v1/figures?measure=natural+gas+supply",
    "/v1/figures?q=gas",
    "/v1/sources?q=report",
    "/v1/links?limit=200",
    "/v1/corrections?limit=200",
    "/v1/changes?order=desc&limit=200",
    "/reconcile/suggest/entity?prefix=zan",
    "/v1alpha1/claims:search?query=pipeline",
)


def like(room: Newsroom, claim: Json, **more: Any) -> Json:
    """An internal claim of the same speakers, topics, sources and figures as a public one, in other words."""
    figures = [
        {"measure": each["measure"], "value": "77", "unit": each["unit"], "period": each["period"]}
        for each in claim["figures"]
    ]
    body = {
        "text": f"Zanzibar has a gas pipeline to China, {len(more)}.",
        "mode": "paraphrase",
        "speakers": [{"entity": each["id"]} for each in claim["speakers"]],
        "about": [each["id"] for each in claim["about"]],
        "topics": claim["topics"],
        "said": claim["said"],
        "figures": figures,
        "visibility": "internal",
        **more,
    }
    return ok(room.reporter.post("/v1/claims", json=body))


def conceal(room: Newsroom, claim: Json, with_figures: Json, linked: Json) -> list[str]:
    """Add records of every kind that the public may not see, each with a word that is nowhere else. Return
    their ids.
    """
    source = room.source("https://example.org/zanzibar", "A report of Zanzibar", visibility="internal")
    snapshot = {"text": "Zanzibar has a gas pipeline."}
    ok(room.admin.post(f"/v1/sources/{source['id']}/snapshots", json=snapshot))
    plain, withdrawn = like(room, with_figures), like(room, with_figures, place="Zanzibar")
    printed = like(room, claim, appearances=[{"source": source["id"]}], context="Zanzibar.", place="Here")
    embargoed = like(room, claim, embargoed_until="2999-01-01T00:00:00Z")
    repeat = like(room, claim, repeats=claim["id"], context="Zanzibar", occasion="Zanzibar", place="There")
    proof = {"source": source["id"], "stance": "refutes", "note": "Zanzibar."}
    path = f"/v1/claims/{plain['id']}"
    ok(room.checker.post(f"{path}/assignment", headers={"If-Match": "*"}))
    first = ok(room.checker.post(f"{path}/reviews", headers={"If-Match": "*"}, json=ruling(evidence=[proof])))
    again = ruling(evidence=[proof], corrects=first["id"], correction_note="Zanzibar.", verdict="half_true")
    ok(room.editor.post(f"{path}/reviews", headers={"If-Match": "*"}, json=again))
    ok(
        room.editor.post(
            f"/v1/claims/{withdrawn['id']}/withdrawal", headers={"If-Match": "*"}, json={"note": "Zanzibar"}
        )
    )
    link = {"other": plain["id"], "relation": "contradicts", "judgement": "positive", "note": "Zanzibar"}
    linked_by = ok(room.checker.post(f"/v1/claims/{claim['id']}/links", json=link))
    hidden = {"url": "https://example.org/zanzibar/2", "stance": "context", "visibility": "internal"}
    gathered = ok(room.checker.post(f"/v1/claims/{linked['id']}/evidence", json=hidden))
    propose(room, printed)
    back = like(room, with_figures, visibility="public", original_text="Sansibar", original_language="de")
    ok(room.editor.delete(f"/v1/claims/{back['id']}/publication", headers={"If-Match": "*"}))
    claims = [each["id"] for each in (plain, withdrawn, printed, embargoed, repeat, back)]
    return [source["id"], linked_by["id"], gathered["id"], first["id"], *claims]


def compared(address: str, answer: httpx.Response) -> object:
    """What must be the same of an answer."""
    if any(part in address for part in OF_THE_LEDGER):
        return answer.status_code
    told = re.sub('"request_id":"[^"]*"', "", answer.text)
    return answer.status_code, answer.headers.get("content-type"), told


def test_the_public_is_answered_what_it_would_be_if_the_rest_were_not_there(
    bases: Bases, server: Server
) -> None:
    with prepared(bases, server, furnish, seeded=True) as room:
        known = room.get("/v1/claims", limit=200)["data"]
        with_figures = next(each for each in known if each["figures"])
        claim, linked = known[-1], known[-2]
        near = [each["id"] for each in (claim, linked, with_figures)]
        asked = [*addresses(room, *near), *(each.format(repeated=claim["id"]) for each in MORE)]
        last = last_seq(room)
        alone = dict(answers(room.anyone, asked))
    with prepared(bases, server, furnish, seeded=True) as room:
        ids = conceal(room, claim, with_figures, linked)
        at_last, wrong, found = last_seq(room), {}, set()
        for address in asked:
            answer = room.anyone.get(address.replace(f"as_of={last}", f"as_of={at_last}"))
            if compared(address, answer) != compared(address, alone[address]):
                wrong[address] = (alone[address].text, answer.text)
            words = [*ids, "zanzibar"]
            found |= {
                (address, each) for each in words if each in answer.text.lower().replace(f"q={each}", "")
            }
        assert wrong == {}
        assert found == set()
        inside = having("zanzibar", answers(room.reader, addresses(room, *near)))
        assert len(inside) > 20, inside
        for entry in room.get("/v1/changes", limit=200, order="desc")["data"]:
            assert entry_hash(entry) == entry["hash"]
        assert room.faults() == []


# --- publication ---------------------------------------------------------------------------------

ANY = {"If-Match": "*"}
NOWHERE = "sqlite:///no-such-directory/record.db"


def drafted(room: Newsroom, **more: Any) -> tuple[Json, Json]:
    """An internal claim that an internal source prints, with a ruling on evidence with an internal note."""
    source = room.source("https://example.org/zanzibar", "Zanzibar", visibility="internal")
    text = {"text": "Zanzibar has a pipeline."}
    ok(room.admin.post(f"/v1/sources/{source['id']}/snapshots", json=text))
    printed = [{"source": source["id"]}]
    claim = room.claim("Zanzibar has one.", visibility="internal", appearances=printed, **more)
    path = f"/v1/claims/{claim['id']}"
    ok(room.checker.post(f"{path}/assignment", headers=ANY))
    proof = {"source": source["id"], "stance": "refutes", "note": "From the ministry."}
    ok(room.checker.post(f"{path}/reviews", headers=ANY, json=ruling(evidence=[proof])))
    return claim, source


def test_a_published_claim_is_shown_with_what_it_needs_and_names_what_it_reveals(room: Newsroom) -> None:
    claim, source = drafted(room)
    path = f"/v1/claims/{claim['id']}"
    for at in (path, f"{path}/reviews", f"{path}/history", f"/v1/sources/{source['id']}", f"{path}/bundle"):
        assert room.anyone.get(at).status_code == 404, at
    inside = ok(room.reader.get(path))
    assert inside["visibility"] == "internal"
    hidden = {each["seq"] for each in room.get("/v1/changes", limit=200)["data"] if each["resource"] is None}
    assert problem(room.reporter.post(f"{path}/publication", headers=ANY), 403)
    shown = ok(room.checker.post(f"{path}/publication", headers=ANY, json={"note": "It is out."}))
    assert "visibility" not in shown
    assert room.get(path)["text"] == "Zanzibar has one."
    assert [each["verdict"] for each in room.get(f"{path}/reviews")["data"]] == ["false"]
    told = room.get("/v1/changes", limit=200)["data"]
    [published] = [each for each in told if each["action"] == "claim.publish"]
    assert published["reason"] == "It is out."
    assert {*published["difference"]["publication"]["new"]["reveals"]} == hidden
    assert all(each["resource"] for each in told)
    assert all(entry_hash(each) == each["hash"] for each in told)
    assert ok(room.anyone.get(f"{path}/bundle"))["record"]["claim"]["id"] == claim["id"]
    assert having("ministry", answers(room.anyone, addresses(room))) == set()
    assert problem(room.checker.post(f"{path}/publication", headers=ANY), 409)


def test_a_claim_that_is_taken_back_is_gone_from_earlier_moments_too(room: Newsroom) -> None:
    claim = room.claim("Zanzibar is public.")
    path, then = f"/v1/claims/{claim['id']}", last_seq(room)
    assert room.get(path, as_of=then)["id"] == claim["id"]
    assert problem(room.checker.delete(f"{path}/publication", headers=ANY), 403)
    ok(room.editor.delete(f"{path}/publication", headers=ANY))
    for at in (path, f"{path}?as_of={then}"):
        assert room.anyone.get(at).status_code == 404
        assert room.reader.get(at).status_code == 200
    assert room.get("/v1/claims", as_of=then, q="zanzibar")["data"] == []
    assert having("zanzibar is", answers(room.anyone, addresses(room))) == set()
    ok(room.checker.post(f"{path}/publication", headers=ANY))
    assert room.get(path, as_of=then)["id"] == claim["id"]


def test_an_embargo_ends_by_itself(room: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    until = "2998-01-01T00:00:00Z"
    claim = room.claim("Zanzibar soon.", embargoed_until=until)
    later = room.claim("Zanzibar later.", embargoed_until="2999-01-01T00:00:00Z")
    end_embargoes(room.db)
    assert room.anyone.get(f"/v1/claims/{claim['id']}").status_code == 404
    monkeypatch.setattr("app.publication.store.now", lambda: datetime.fromisoformat(until))
    end_embargoes(room.db)
    assert room.get(f"/v1/claims/{claim['id']}")["text"] == "Zanzibar soon."
    assert room.anyone.get(f"/v1/claims/{later['id']}").status_code == 404
    past = {"at": "2020-01-01T00:00:00Z"}
    path = f"/v1/claims/{later['id']}/publication"
    assert problem(room.checker.post(path, headers=ANY, json=past), 422)["errors"][0]["pointer"] == "/at"
    ok(room.editor.delete(path, headers=ANY))
    assert "embargoed_until" not in ok(room.reader.get(f"/v1/claims/{later['id']}"))


def test_claims_are_published_together_or_not_at_all(room: Newsroom) -> None:
    first = room.claim("Zanzibar one.", visibility="internal")
    second = room.claim("Zanzibar two.", visibility="internal", repeats=first["id"])
    alone = {"claims": [second["id"]]}
    assert problem(room.checker.post("/v1/publications", json=alone), 409)
    unknown = {"claims": [first["id"], "clm_00000000000000000000000000"]}
    refused = problem(room.checker.post("/v1/publications", json=unknown), 422)
    assert refused["errors"][0]["pointer"] == "/claims/1"
    assert room.anyone.get(f"/v1/claims/{first['id']}").status_code == 404
    both = {"claims": [second["id"], first["id"]]}
    shown = ok(room.checker.post("/v1/publications", json=both))["data"]
    assert [each["id"] for each in shown] == both["claims"]
    assert room.get("/v1/claims", repeats=first["id"])["data"][0]["id"] == second["id"]


def test_what_is_public_names_nothing_that_is_not(room: Newsroom) -> None:
    source = room.source(visibility="internal")
    internal, claim = room.claim(visibility="internal"), room.claim("A public one.")
    body = {"text": "It.", "mode": "paraphrase", "speakers": ["vladimir-putin"]}
    printed = {**body, "appearances": [{"source": source["id"]}]}
    proof = {"source": source["id"], "stance": "context"}
    path = f"/v1/claims/{claim['id']}"
    for refused, pointer in (
        (room.reporter.post("/v1/claims", json=printed), "/appearances/0/source"),
        (room.reporter.post("/v1/claims", json={**body, "repeats": internal["id"]}), "/repeats"),
        (room.reporter.patch(path, headers=ANY, json={"appearances": printed["appearances"]}),
         "/appearances/0/source"),
        (room.reporter.patch(path, headers=ANY, json={"repeats": internal["id"]}), "/repeats"),
        (room.checker.post(f"{path}/evidence", json=proof), "/source"),
    ):  # fmt: skip
        assert problem(refused, 422)["errors"][0]["pointer"] == pointer
    ok(room.checker.post(f"{path}/evidence", json={**proof, "visibility": "internal"}))
    assert room.get(f"{path}/evidence")["data"] == []


def test_where_records_are_internal_by_default_a_checker_publishes_them(room: Newsroom) -> None:
    room.entity()
    with room.with_settings(default_visibility="internal") as careful:
        claim, source = careful.claim("Zanzibar."), careful.source()
        body = {"text": "It.", "mode": "paraphrase", "speakers": ["vladimir-putin"], "visibility": "public"}
        assert problem(careful.reporter.post("/v1/claims", json=body), 403)
        public = ok(careful.checker.post("/v1/claims", json=body))
        row = '{"claim": {"text": "Brought in.", "mode": "paraphrase", "speakers": ["vladimir-putin"]}}'
        media = {"Content-Type": "application/x-ndjson"}
        ok(careful.admin.post("/v1/import", content=row, headers=media))
        assert [each["id"] for each in careful.get("/v1/claims")["data"]] == [public["id"]]
        assert careful.get("/v1/sources")["data"] == []
        assert len(ok(careful.reader.get("/v1/claims"))["data"]) == 3
        assert {claim["visibility"], source["visibility"]} == {"internal"}


def test_a_bundle_for_the_public_of_what_was_approved_and_returned_is_whole(
    room: Newsroom, command: Command, tmp_path: Path
) -> None:
    claim = room.claim()
    path = f"/v1/claims/{claim['id']}"
    with room.with_settings(four_eyes=True) as careful:
        ok(careful.checker.post(f"{path}/assignment", headers=ANY))
        proof = {"url": "https://example.org/zanzibar", "stance": "refutes", "note": "From zanzibar."}
        for summary, move in (("It is zanzibar.", "return"), ("It is not.", "approval")):
            body = ruling(summary=summary, **({"evidence": [proof]} if move == "return" else {}))
            ok(careful.checker.post(f"{path}/reviews", headers=ANY, json=body))
            ok(careful.editor.post(f"{path}/{move}", headers=ANY))
    for client in (room.anyone, room.reader):
        file = tmp_path / "bundle.json"
        file.write_text(client.get(f"{path}/bundle").text)
        key = room.anyone.get("/v1/log/key").text.strip()
        done = command(NOWHERE, "verify", str(file), "--key", key)
        assert done.code == 0, done.err
    assert "zanzibar" not in room.anyone.get(f"{path}/bundle").text.lower()


# --- sources of their own --------------------------------------------------------------------------


def test_a_source_is_published_without_a_claim_and_taken_back_while_none_names_it(room: Newsroom) -> None:
    source = room.source("https://example.org/zanzibar", "Zanzibar", visibility="internal")
    path = f"/v1/sources/{source['id']}"
    text = {"text": "Zanzibar has a pipeline."}
    ok(room.admin.post(f"{path}/snapshots", json=text))
    assert problem(room.anyone.post(f"{path}/publication"), 401)
    assert problem(room.reporter.post(f"{path}/publication", headers=ANY), 403)
    hidden = [each["seq"] for each in room.get("/v1/changes", limit=200)["data"] if each["resource"] is None]
    stale = room.checker.post(f"{path}/publication", headers={"If-Match": '"7"'})
    assert stale.status_code == 412
    shown = ok(room.checker.post(f"{path}/publication", headers=ANY, json={"note": "It is out."}))
    assert "visibility" not in shown
    assert (room.get(path)["title"], len(room.get(f"{path}/snapshots")["data"])) == ("Zanzibar", 1)
    [published] = [each for each in room.get("/v1/changes", limit=200)["data"] if each["reason"]]
    assert (published["action"], published["reason"]) == ("source.publish", "It is out.")
    assert published["difference"]["publication"]["new"]["reveals"] == hidden
    assert problem(room.checker.post(f"{path}/publication", headers=ANY), 409)

    claim = room.claim("It has one.", appearances=[{"source": source["id"]}])
    then = last_seq(room)
    assert room.get(f"/v1/claims/{claim['id']}", as_of=then)["id"] == claim["id"]
    assert problem(room.checker.delete(f"{path}/publication", headers=ANY), 403)
    refused = problem(room.editor.delete(f"{path}/publication", headers=ANY), 409)
    assert refused["existing"] == claim["id"]
    ok(room.reporter.patch(f"/v1/claims/{claim['id']}", headers=ANY, json={"appearances": []}))
    proof = {"source": source["id"], "stance": "context"}
    other = room.claim("Another one.")
    ok(room.checker.post(f"/v1/claims/{other['id']}/evidence", json=proof))
    assert problem(room.editor.delete(f"{path}/publication", headers=ANY), 409)["existing"] == other["id"]
    ok(room.editor.delete(f"/v1/claims/{other['id']}/publication", headers=ANY))
    later = last_seq(room)
    assert ok(room.editor.delete(f"{path}/publication", headers=ANY))["visibility"] == "internal"
    for at in (path, f"{path}?as_of={then}", f"{path}/snapshots", f"{path}/history", f"{path}/anchors"):
        assert room.anyone.get(at).status_code == 404, at
    assert room.reader.get(f"{path}?as_of={then}").status_code == 200
    assert having("example.org/zanzibar", answers(room.anyone, addresses(room))) == set()
    assert room.anyone.get(f"/v1/claims/{claim['id']}?as_of={then}").status_code == 404  # it named it then
    assert room.get(f"/v1/claims/{claim['id']}", as_of=later)["appearances"] == []
    assert ok(room.reader.get(f"/v1/claims/{claim['id']}?as_of={then}"))["appearances"]
    assert problem(room.editor.delete(f"{path}/publication", headers=ANY), 409)
    ok(room.checker.post(f"{path}/publication", headers=ANY))
    assert room.get(f"/v1/claims/{claim['id']}", as_of=then)["id"] == claim["id"]
    assert room.faults() == []


def test_an_embargo_of_a_source_ends_by_itself_or_with_the_claim_that_names_it(
    room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    far, soon = "2999-01-01T00:00:00Z", "2998-01-01T00:00:00Z"
    sources = [
        room.source(f"https://example.org/{n}", f"Zanzibar {n}", visibility="internal") for n in range(3)
    ]
    paths = [f"/v1/sources/{each['id']}" for each in sources]
    assert problem(
        room.checker.post(f"{paths[0]}/publication", headers=ANY, json={"at": "2020-01-01T00:00:00Z"}), 422
    )
    for path, at in zip(paths, (soon, far, far), strict=True):
        held = ok(room.checker.post(f"{path}/publication", headers=ANY, json={"at": at, "note": "Soon."}))
        assert (held["visibility"], "embargoed_until" in held) == ("internal", True)
        assert room.anyone.get(path).status_code == 404
    ok(room.editor.delete(f"{paths[1]}/publication", headers=ANY))
    assert "embargoed_until" not in ok(room.reader.get(paths[1]))
    claim = room.claim(visibility="internal", appearances=[{"source": sources[2]["id"]}])
    ok(room.checker.post(f"/v1/claims/{claim['id']}/publication", headers=ANY))
    end_embargoes(room.db)
    monkeypatch.setattr("app.publication.store.now", lambda: datetime.fromisoformat(soon))
    end_embargoes(room.db)
    assert [room.anyone.get(path).status_code for path in paths] == [200, 404, 200]
    assert "embargoed_until" not in room.get(paths[2])
    told = [each for each in room.get("/v1/changes", limit=200)["data"] if each["action"] == "source.publish"]
    assert ("embargo", "embargo") in {(each["actor"], each["actor_name"]) for each in told}
    assert all(entry_hash(each) == each["hash"] for each in room.get("/v1/changes", limit=200)["data"])
    assert room.faults() == []


def test_what_was_erased_under_an_embargo_keeps_no_other_embargo_from_its_end(
    room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = "2998-01-01T00:00:00Z"
    source = room.source("https://example.org/zanzibar", "Zanzibar", visibility="internal")
    path = f"/v1/sources/{source['id']}"
    ok(room.checker.post(f"{path}/publication", headers=ANY, json={"at": soon}))
    erased, other = (room.claim(f"Zanzibar {n}.", embargoed_until=soon) for n in range(2))
    for record in (source, erased):
        ok(room.admin.post("/v1/erasures", json={"record": record["id"], "note": "A court's order."}))
    end_embargoes(room.db)
    monkeypatch.setattr("app.publication.store.now", lambda: datetime.fromisoformat(soon))
    end_embargoes(room.db)
    end_embargoes(room.db)
    found = [room.anyone.get(f"/v1/claims/{each['id']}").status_code for each in (erased, other)]
    assert (found, room.anyone.get(path).status_code) == ([404, 200], 404)
