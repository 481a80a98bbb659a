"""The words that claims are found by: their texts, and terms for whom they are by and about."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlmodel import col

from app.base.db import Database, ReadSession, WriteSession
from app.base.page import Page, Question
from app.base.sql import select
from app.changes.store import Saved, follows
from app.claims import bodies, upkeep
from app.claims.derived import ClaimBody
from app.claims.model import Claim
from app.claims.references import unnamed
from app.entities.words import prepare
from app.words.explain import Finding, Person, Text, explain
from app.words.index import Noun, Words, batches
from app.words.rank import ranked_at_once

_FIELDS = (("text", 1.0), ("original_text", 1.0), ("context", 0.5), ("occasion", 0.5), ("place", 0.5))
_REFERENCES = {"speaker": 1.0, "about": 0.7}


def kept(session: ReadSession, ids: Sequence[str]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Claims without the names of what they refer to, and what they are listed under."""
    query = select(ClaimBody.body, ClaimBody.facts).where(col(ClaimBody.claim_id).in_(ids))
    for body, facts in session.execute(query):
        yield unnamed(body), orjson.loads(facts)


def _words(session: ReadSession, ids: Sequence[str]) -> Mapping[str, Words]:
    return {claim["id"]: _of(claim, facts) for claim, facts in kept(session, ids)}


def _of(claim: Mapping[str, Any], facts: Mapping[str, Any]) -> Words:
    words = Words([(factor, claim[name]) for name, factor in _FIELDS if claim[name]])
    words.texts += [(0.5, topic.replace("-", " ")) for topic in claim["topics"]]
    words.texts += [(0.5, f"{figure['measure']} {figure['display']}") for figure in claim["figures"]]
    for listed in facts["listed"]:
        facet, _, entity_id = listed.partition(":")
        if facet in _REFERENCES:
            words.terms.append((_REFERENCES[facet], f"@{facet}:{entity_id}"))
    return words


NOUN = Noun("claim", batches(col(Claim.id)), _words)

assert upkeep  # which writes what is read here, and so has to follow claims first


@follows(Claim)
def _after_claims(session: WriteSession, saved: Sequence[Saved]) -> None:
    NOUN.keep(session, [each.id for each in saved])


def matched(finding: Finding, claim: Mapping[str, Any], score: int) -> dict[str, Any]:
    """A claim with why it was found."""
    return {**claim, "match": match(finding, claim, score)}


def match(finding: Finding, claim: Mapping[str, Any], score: int) -> dict[str, Any]:
    """Why a claim was found."""
    texts = [Text(name, claim[name]) for name, _ in _FIELDS if claim[name]]
    texts += [Text("topics", topic) for topic in claim["topics"]]
    texts += [
        Text(f"figures/{name}", figure[name])
        for figure in claim["figures"]
        for name in ("measure", "display")
    ]
    people = [
        Person(name, entity["id"], entity["name"]) for name in ("speakers", "about") for entity in claim[name]
    ]
    return explain(finding, score, texts, people)


@dataclass(frozen=True)
class Found:
    """A claim that was found, as JSON, and why."""

    id: str
    body: str
    match: Mapping[str, Any]


def found_at_once(db: Database, q: str, ask: Question, after: Sequence[Any] | None) -> Page[Found]:
    """A page of the claims that a query finds, the best first. Raises Invalid, and NotAtOnce."""
    finding = prepare(db.at_once, q)
    hits = ranked_at_once(db, finding.plan, "claim", ask, after)
    claims = bodies.of_at_once(db, [hit.record_id for hit in hits.rows])
    found = [
        Found(hit.record_id, body, match(finding, orjson.loads(body), hit.score))
        for hit in hits.rows
        if (body := claims[hit.record_id])
    ]
    return Page(found, hits.last)
