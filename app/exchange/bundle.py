"""One claim as a file that proves itself: what the base says of it, the entries of the ledger that this
follows from, the proof that they are in the log, and a signature over all of it. It is JSON-LD that has its
context in it.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Row
from sqlmodel import col

from app.base import merkle
from app.base.canonical import canonical
from app.base.db import ReadSession, WriteSession
from app.base.errors import Conflict
from app.base.ids import noun_of
from app.base.integrity import is_proven, proven
from app.base.notes import Checkpoint, Signer, Verifier
from app.base.sql import select
from app.base.times import calendar_date
from app.changes import log
from app.changes.contexts import without_contexts
from app.changes.entry import effective, erasures, has_its_hash, missing
from app.changes.hidden import as_seen, is_seen
from app.changes.ledger import difference_of, entries, head, whole
from app.changes.model import Change
from app.changes.replay import UNKNOWN, replay_some
from app.changes.tree import Tree, leaf_of
from app.changes.workers import ACTOR, ASKED, WORKERS, named_by, without_workers
from app.claims import store as claims
from app.exchange.earlier_bundles import retold
from app.reviews import documents, evidence
from app.reviews.model import Decision, Evidence, Review
from app.sources import store as sources
from app.sources.model import Snapshot

MOST_BYTES = 64 * 1024 * 1024
"""Of a bundle that is read."""

CONTEXT = ("https://schema.org/", "https://w3id.org/security/data-integrity/v2")
"""Addresses alone, since verifiers of Data Integrity proofs compare contexts as strings. `record`, `changes`
and `log` are JSON of this program's own.
"""

_OWN = "urn:on-the-record:"
_EMBEDDED: Mapping[str, Any] = {
    "@vocab": "https://schema.org/",
    **{name: {"@id": _OWN + name, "@type": "@json"} for name in ("record", "changes", "log")},
    "proof": {"@id": "https://w3id.org/security#proof", "@type": "@json"},
}
"""The context of bundles before version 3."""

VERSION = 4
"""The form of a bundle: 2 since entries may be of form 2, 3 since `@context` is of addresses alone, 4 since
they name nobody who has worked on the claim. The first have no `version`.
"""

_OF_ADDRESSES = 3

_OF_WORKERS = ("person", "key")
"""The nouns of which no entries are in a bundle."""

_OF_A_CLAIM = frozenset({"assignee_id", "proposer_id"})
"""The columns of a claim that name people."""

_OF_A_RULING = ("reviewer_id", "reviewer_name", "decided_by", "decided_by_name")
"""The columns of a review or decision that do."""

WITHHELD = ACTOR | ASKED | WORKERS
"""The values of an entry that a bundle is without."""

_UNNEEDED = WITHHELD | {"actor_name", "reason", "difference.note"}
"""The values that nothing follows from: a person who was erased has no name in any entry, and the public has
neither the reasons of proposals nor the internal notes of evidence, which are null then.
"""

_LEFT_OUT = ("assignee", "lease_expires_at")
"""What is of the work on a claim, not of its standing."""


def bundle(session: ReadSession, signer: Signer, claim_id: str) -> dict[str, Any]:
    """The bundle of a claim. Raises NotFound, and Conflict where it would have words of a withheld text, or
    tell the public who has worked on it.
    """
    said = _without_names(record(session, claim_id))
    entries = [whole(row) for row in _changes(session, claim_id)]
    told = [{**each, "difference": effective(each)} for each in entries]
    if without_contexts(session, told) != told:
        raise Conflict("Its history has words of a text that is withheld: there is no bundle of it.")
    if session.public and any("form" not in each and named_by(each) for each in entries):
        raise Conflict(
            "Its history names people in entries of the first form, whose hash covers that: there is a "
            "bundle of it for holders of a key alone."
        )
    changes = [*map(_without_workers, as_seen(session, entries))]
    if [*_not_shown(changes)]:
        raise Conflict("Its history has entries that the erasure of a person has closed: there is no bundle.")
    size, _ = head(session)
    tree = Tree(session)
    proofs = [merkle.inclusion(change["seq"] - 1, size, tree.at) for change in changes]
    made = {
        **_described(said, VERSION),
        "version": VERSION,
        "record": said,
        "changes": changes,
        "log": {
            "key": str(signer.verifier),
            "checkpoint": log.signed(tree, signer, size),
            "inclusion": [[b64encode(each).decode() for each in hashes] for hashes in proofs],
        },
    }
    return proven(made, signer, created=_last_at(changes))


def _without_workers(change: Mapping[str, Any]) -> Mapping[str, Any]:
    return without_workers(change) if "form" in change else change


def _without_names(said: Mapping[str, Any]) -> dict[str, Any]:
    """What the base says of a claim without who ruled and decided."""
    reviews = []
    for review in said["reviews"]:
        rest = {name: value for name, value in review.items() if name != "reviewer"}
        rest |= {"entered_by": None} if "entered_by" in rest else {}
        if decision := rest["decision"]:
            decision = {name: value for name, value in decision.items() if name != "decided_by"}
        reviews.append({**rest, "decision": decision})
    return {**said, "reviews": reviews}


def _last_at(changes: Sequence[Mapping[str, Any]]) -> str:
    return str(changes[-1]["at"])[:19] + "Z"


def record(session: ReadSession, claim_id: str) -> dict[str, Any]:
    """What the base says of a claim: it, its rulings, their evidence, and the sources of both. Raises
    NotFound.
    """
    claim = claims.document(session, claim_id)
    for name in _LEFT_OUT:
        del claim["verification"][name]
    ruled = documents.query().where(col(Review.claim_id) == claim_id).order_by(col(Review.id))
    found = evidence.query().where(col(Evidence.claim_id) == claim_id).order_by(col(Evidence.id))
    pieces = [evidence.document(row) for row in session.execute(found)]
    places = [*claim["appearances"], *pieces]
    cited = sorted({place["source"]["id"] for place in places if place["source"]})
    read = sorted({place["snapshot"] for place in places if place["snapshot"]})
    texts = select(Snapshot).where(col(Snapshot.id).in_(read)).order_by(col(Snapshot.id))
    return {
        "claim": claim,
        "reviews": documents.of(session, session.execute(ruled).all()),
        "evidence": pieces,
        "sources": list(sources.by_id(session, cited).values()),
        "snapshots": [sources.snapshot_document(each) for each in session.execute(texts).scalars()],
    }


def _changes(session: ReadSession, claim_id: str) -> list[Row[Any]]:
    """The entries of a claim and of whatever its rulings, its evidence and all of these refer to."""
    found: dict[int, Row[Any]] = {}
    known: set[str] = set()
    wanted = {claim_id, *_worked_on(session, claim_id)}
    while wanted:
        known |= wanted
        query = entries().where(col(Change.resource_id).in_(wanted), col(Change.resource).not_in(_OF_WORKERS))
        rows = session.execute(query.where(is_seen()) if session.public else query).all()
        found |= {row.seq: row for row in rows}
        wanted = {each for row in rows for each in _ids({**difference_of(row), "erased": None})} - known
    return [found[seq] for seq in sorted(found)]


def _worked_on(session: ReadSession, claim_id: str) -> Iterator[str]:
    reviews = session.execute(select(Review.id).where(col(Review.claim_id) == claim_id)).scalars().all()
    yield from reviews
    yield from session.execute(select(Evidence.id).where(col(Evidence.claim_id) == claim_id)).scalars()
    yield from session.execute(select(Decision.id).where(col(Decision.review_id).in_(reviews))).scalars()


def _ids(value: Any) -> Iterator[str]:
    match value:
        case str() if noun_of(value) not in (None, "figure", *_OF_WORKERS):
            yield value
        case dict():
            yield from _ids(list(value.values()))
        case list():
            for each in value:
                yield from _ids(each)


def _described(said: Mapping[str, Any], version: int | None) -> dict[str, Any]:
    """The claim in the words of schema.org, as that version of bundles has them."""
    claim, is_of_now = said["claim"], (version or 1) >= _OF_ADDRESSES
    return {
        "@context": [*CONTEXT] if is_of_now else dict(_EMBEDDED),
        "@type": "Claim",
        "identifier": claim["id"],
        "text": claim["text"],
        "inLanguage": claim["language"],
        "author": [{"@type": "Thing", "name": speaker["name"]} for speaker in claim["speakers"]],
        "dateCreated": calendar_date(claim["said"]) if is_of_now else claim["said"],
        "appearance": [
            {"@type": "CreativeWork", "name": place["source"]["title"], "url": place["source"]["url"]}
            for place in claim["appearances"]
        ],
    }


# --- checking ----------------------------------------------------------------------------------


def faults(found: Mapping[str, Any], key: Verifier, empty: WriteSession) -> Iterator[str]:
    """What is wrong with a bundle, which is replayed into an empty base. Raises ValueError for a file that is
    none.
    """
    if not is_proven(found, key):
        yield f"it is not signed by {key}, or was altered since"
        return
    try:
        changes, logged = found["changes"], found["log"]
        signed = Checkpoint.read(logged["checkpoint"], key)
        yield from _not_included(changes, logged["inclusion"], signed)
        yield from _not_in_order(changes)
        yield from _not_shown(changes)
        replay_some(empty, [_without_keys(change) for change in changes])
        said = record(empty, found["record"]["claim"]["id"])
        log_of = {"key": str(key), "checkpoint": logged["checkpoint"], "inclusion": logged["inclusion"]}
        version = _version(found)
        number = version.get("version", 1)
        told = _without_names(said) if number == VERSION else retold(said, changes, number)
        described = _described(said, version.get("version"))
        again = {**version, **described, "record": told, "changes": changes, "log": log_of}
        for name in sorted(again.keys() | found.keys() - {"proof"}):
            yield from _differing(name, again.get(name), found.get(name))
    except UNKNOWN as fault:
        raise ValueError("That is signed, but is not a bundle that this version reads.") from fault


def _version(found: Mapping[str, Any]) -> Mapping[str, int]:
    if "version" not in found:
        return {}
    if found["version"] not in range(2, VERSION + 1):
        raise ValueError
    return {"version": found["version"]}


def _differing(name: str, again: Any, found: Any) -> Iterator[str]:
    if name == "record":
        for part in sorted(again.keys() | found.keys()):
            if canonical(again.get(part)) != canonical(found.get(part)):
                yield f"record/{part} is not what the changes make of it"
    elif canonical(again) != canonical(found):
        yield f"{name} is not what the record says"


def _not_included(
    changes: Iterable[Mapping[str, Any]], proofs: Iterable[Sequence[str]], signed: Checkpoint
) -> Iterator[str]:
    for change, proof in zip(changes, proofs, strict=True):
        seq, hashes = change["seq"], [b64decode(each) for each in proof]
        if not has_its_hash(change):
            yield f"change {seq}: was altered, its hash does not match"
        elif not merkle.includes(signed.root, signed.size, seq - 1, leaf_of(change["hash"]), hashes):
            yield f"change {seq}: is not in the log of the checkpoint"


def _not_in_order(changes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The changes of each record follow one another, none left out between."""
    last, versions = 0, dict[str, int]()
    for change in changes:
        seq, record_id = change["seq"], change["resource_id"]
        versions[record_id] = versions.get(record_id, 0) + 1
        if seq <= last or change["version"] != versions[record_id]:
            yield f"change {seq}: does not follow the one of the same record before it"
        last = seq


def _not_shown(changes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What an entry withholds could be what the record says nothing of, unless another says that it was
    erased, and what remains.
    """
    named: dict[str, Any] = {}
    for change in changes:
        named |= erasures(change)
    for change in changes:
        gone, told = missing(change, but=_UNNEEDED), named.get(str(change["seq"]))
        if told and gone == {**told, "values": [each for each in told["values"] if each not in _UNNEEDED]}:
            continue
        for name in sorted((change.get("commitments") or {}).keys() - _UNNEEDED):
            yield f"change {change['seq']}: {name} is withheld"
        if gone and (change.get("form", 1) == 1 or change["remains"]["difference"]):
            yield f"change {change['seq']}: what remains of it is of no erasure"


def _without_keys(change: Mapping[str, Any]) -> dict[str, Any]:
    """An entry without the people who work on the claim, of whom a bundle has no entries. Where it withholds
    who ruled, a row can be made of it all the same.
    """
    rest = {name: each for name, each in effective(change).items() if name not in _OF_A_CLAIM}
    hidden = change.get("commitments") or {}
    rest |= {
        name: {"old": None, "new": "withheld"} for name in _OF_A_RULING if f"difference.{name}" in hidden
    }
    return {**{name: each for name, each in change.items() if name != "remains"}, "difference": rest}
