"""A claim's bundle: whole by itself, and no altered one passes for it."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from app.base.integrity import is_proven, proven
from app.base.notes import Signer, Verifier
from tests.commands import Command
from tests.newsroom import Newsroom, match, ok, problem

NOWHERE = "sqlite:///none/record.db"


@pytest.fixture
def worked(seeded: Newsroom) -> dict[str, Any]:
    """A claim that has all that a claim can have: quotes, evidence, a ruling and its correction, a repeat."""
    claim = seeded.get("/v1/claims", has_figure="true", speaker="vladimir-putin", limit=1)["data"][0]
    first = seeded.review(seeded.take(claim), verdict="false", summary="Not so.")
    corrected = {
        "verdict": "mostly_false",
        "summary": "Less false.",
        "corrects": first["id"],
        "correction_note": "A source was overlooked.",
        "evidence": [{"url": "https://example.org/e", "stance": "refutes"}],
    }
    again = seeded.fresh(claim)
    ok(seeded.editor.post(f"/v1/claims/{claim['id']}/reviews", json=corrected, headers=match(again)))
    seeded.claim("As he had said.", repeats=claim["id"])
    return dict(claim)


def bundled(room: Newsroom, claim: dict[str, Any]) -> dict[str, Any]:
    answer = room.anyone.get(f"/v1/claims/{claim['id']}/bundle")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/ld+json")
    return dict(answer.json())


def key_of(room: Newsroom) -> str:
    return room.anyone.get("/v1/log/key").text.strip()


def verified(command: Command, file: Path, bundle: Any, key: str) -> Any:
    file.write_text(json.dumps(bundle))
    return command(NOWHERE, "verify", str(file), "--key", key)


def test_every_claim_s_bundle_is_whole(
    seeded: Newsroom, worked: Any, command: Command, tmp_path: Path
) -> None:
    key, claims = key_of(seeded), seeded.get("/v1/claims", limit=200)["data"]
    assert len(claims) == 34
    for claim in claims[::6] + [each for each in claims if each["repeats"] or each["id"] == worked["id"]]:
        found = verified(command, tmp_path / "bundle.jsonld", bundled(seeded, claim), key)
        assert found.code == 0, found
        assert "is whole: signed" in found.out


def test_it_holds_all_that_the_base_says_of_the_claim(seeded: Newsroom, worked: Any) -> None:
    bundle = bundled(seeded, worked)
    said = bundle["record"]
    shown = seeded.fresh(worked)
    for name in ("assignee", "lease_expires_at"):
        del shown["verification"][name]
    assert said["claim"] == shown
    reviews = seeded.get(f"/v1/claims/{worked['id']}/reviews", order="asc")["data"]
    for review in reviews:
        assert review.pop("reviewer") is None
        assert review["decision"] is None or review["decision"].pop("decided_by") is None
    assert said["reviews"] == reviews
    assert (
        said["evidence"] == seeded.get(f"/v1/claims/{worked['id']}/evidence", order="asc", limit=200)["data"]
    )
    assert {place["source"]["id"] for place in shown["appearances"]} <= {
        each["id"] for each in said["sources"]
    }
    assert all(len(each["sha256"]) == 64 for each in said["snapshots"])
    assert (bundle["text"], bundle["@type"]) == (worked["text"], "Claim")
    own = {change["resource_id"] for change in bundle["changes"]}
    assert {worked["id"], *(each["id"] for each in said["reviews"] + said["evidence"])} <= own
    assert "key" not in {change["resource"] for change in bundle["changes"]}


@pytest.mark.usefixtures("migrated_each_time")
def test_it_stays_whole_when_the_base_goes_on(
    seeded: Newsroom, worked: Any, command: Command, tmp_path: Path
) -> None:
    bundle, key = bundled(seeded, worked), key_of(seeded)
    gone = seeded.fresh(worked)
    ok(
        seeded.editor.post(
            f"/v1/claims/{worked['id']}/withdrawal", json={"note": "Stated twice."}, headers=match(gone)
        )
    )
    assert verified(command, tmp_path / "b", bundle, key).code == 0
    assert bundled(seeded, worked)["record"]["claim"]["verification"]["status"] == "withdrawn"
    earlier = seeded.anyone.get(
        f"/v1/claims/{worked['id']}/bundle", params={"as_of": bundle["changes"][-1]["seq"]}
    )
    assert ok(earlier)["record"] == bundle["record"]


Forge = Callable[[dict[str, Any]], None]


def _text(bundle: dict[str, Any]) -> None:
    bundle["record"]["claim"]["text"] = "He never said it."


def _verdict(bundle: dict[str, Any]) -> None:
    bundle["record"]["reviews"][0]["verdict"] = "true"


def _history(bundle: dict[str, Any]) -> None:
    bundle["changes"][0]["reason"] = "Another."


def _missing(bundle: dict[str, Any]) -> None:
    del bundle["changes"][-1], bundle["log"]["inclusion"][-1]


def _order(bundle: dict[str, Any]) -> None:
    bundle["log"]["inclusion"].reverse()


def _invented(bundle: dict[str, Any]) -> None:
    bundle["record"]["evidence"].append(bundle["record"]["evidence"][0])


def _words(bundle: dict[str, Any]) -> None:
    bundle["text"] = "He never said it."


def _more(bundle: dict[str, Any]) -> None:
    bundle["record"]["more"] = 1


def _key(bundle: dict[str, Any]) -> None:
    bundle["log"]["key"] = "another"


def _between(bundle: dict[str, Any]) -> None:
    """Leaves out what came between: a change of the claim that a later one follows."""
    own = [n for n, each in enumerate(bundle["changes"]) if each["resource"] == "claim"]
    del bundle["changes"][own[1]], bundle["log"]["inclusion"][own[1]]


def _swapped(bundle: dict[str, Any]) -> None:
    own = [n for n, each in enumerate(bundle["changes"]) if each["resource"] == "claim"]
    for each in (bundle["changes"], bundle["log"]["inclusion"]):
        each[own[1]], each[own[2]] = each[own[2]], each[own[1]]


FORGED: dict[str, tuple[Forge, str]] = {
    "the words": (_text, "record/claim is not what the changes make"),
    "a verdict": (_verdict, "record/reviews is not what the changes make"),
    "an entry": (_history, "was altered, its hash does not match"),
    "an entry that is left out": (_missing, "is not what the changes make"),
    "proofs of other entries": (_order, "is not in the log of the checkpoint"),
    "the words of schema.org": (_words, "text is not what the record says"),
    "more than there is": (_more, "record/more is not what the changes make"),
    "another key": (_key, "log is not what the record says"),
    "a change in between": (_between, "does not follow the one of the same record"),
    "the order of changes": (_swapped, "does not follow the one of the same record"),
    "evidence": (_invented, "record/evidence is not what the changes make"),
}


@pytest.mark.parametrize("bases", ["sqlite"], indirect=True)  # a bundle is read without the base it is of
def test_what_is_forged_is_named(seeded: Newsroom, worked: Any, command: Command, tmp_path: Path) -> None:
    whole, key = bundled(seeded, worked), key_of(seeded)
    signer: Signer = seeded.app.state.house.signer
    for what, (forge, named) in FORGED.items():
        bundle = deepcopy(whole)
        forge(bundle)
        found = verified(command, tmp_path / "b", bundle, key)
        assert (found.code, "or was altered since" in found.out) == (1, True), what
        # Even whoever has the key cannot make the log say it.
        rest = {name: value for name, value in bundle.items() if name != "proof"}
        found = verified(command, tmp_path / "b", proven(rest, signer, "2026-11-26T00:00:00Z"), key)
        assert found.code == 1, what
        assert named in found.out, (what, found)


def test_another_s_key_and_what_is_no_bundle_are_refused(
    seeded: Newsroom, worked: Any, command: Command, tmp_path: Path
) -> None:
    bundle = bundled(seeded, worked)
    stranger = Signer("example.org/other", b"s" * 32)
    assert not is_proven(bundle, stranger.verifier)
    assert is_proven(bundle, Verifier.read(key_of(seeded)))
    found = verified(command, tmp_path / "b", bundle, str(stranger.verifier))
    assert (found.code, "is not signed by example.org/other" in found.out) == (1, True)
    empty = proven({"@context": {}, "record": {}}, stranger, "2026-11-26T00:00:00Z")
    found = verified(command, tmp_path / "b", empty, str(stranger.verifier))
    assert (found.code, "is not a bundle" in found.err) == (1, True)
    beside = command(
        NOWHERE, "verify", str(tmp_path / "b"), "--key", key_of(seeded), "--checkpoint", str(tmp_path / "b")
    )
    assert (beside.code, "a bundle has a checkpoint of its own" in beside.err) == (1, True)
    unkeyed = command(NOWHERE, "verify", str(tmp_path / "b"))
    assert (unkeyed.code, "--key is needed" in unkeyed.err) == (1, True)
    problem(seeded.anyone.get("/v1/claims/clm_none/bundle"), 404)


TAMPERED_PROOFS: list[Any] = [
    None, [], {}, {"type": "DataIntegrityProof2"}, {"proofValue": 3}, {"proofValue": "z0"},
    {"proofValue": ""},
    {"proofValue": "z" * 999}, {"created": "2027-01-01T00:00:00Z"}, {"proofPurpose": "authentication"},
    {"more": 1},
]  # fmt: skip


def test_a_name_that_stands_twice_is_refused(
    seeded: Newsroom, worked: Any, command: Command, tmp_path: Path
) -> None:
    """Its last value is the signed one, and another program may show the first."""
    content = json.dumps(bundled(seeded, worked))
    forged = content.replace('"text": ', '"text": "Forged.", "text": ', 1)
    assert forged != content
    (file := tmp_path / "bundle.jsonld").write_text(forged)
    done = command(NOWHERE, "verify", str(file), "--key", key_of(seeded))
    assert (done.code, "stands twice" in done.err) == (1, True)


@pytest.mark.parametrize("change", TAMPERED_PROOFS)
def test_no_altered_proof_passes(change: Any) -> None:
    signer = Signer("example.org/record", bytes(range(32)))
    made = proven({"@context": {"a": "b"}, "x": [1.5, "ü", None]}, signer, "2026-11-26T00:00:00Z")
    assert is_proven(json.loads(json.dumps(made)), signer.verifier)
    proof = {**made["proof"], **change} if isinstance(change, dict) and change else change
    assert not is_proven({**made, "proof": proof}, signer.verifier)
    assert made["proof"]["verificationMethod"].startswith("did:key:z6Mk")
