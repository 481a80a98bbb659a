"""The words that claims are found by: their texts, and terms for whom they are by and about."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import col

from app.base.db import ReadSession, WriteSession
from app.changes.store import Saved, all_new, follows
from app.claims import upkeep
from app.claims.model import Claim
from app.words.explain import Finding, Person, Text, explain
from app.words.index import Noun, Words, batches

_FIELDS = (("text", 1.0), ("original_text", 1.0), ("context", 0.5), ("occasion", 0.5), ("place", 0.5))
_REFERENCES = {"speaker": 1.0, "about": 0.7}


def _words(session: ReadSession, ids: Sequence[str]) -> Mapping[str, Words]:
    return {each.claim_id: _of(each.document, each.facts) for each in upkeep.latest(session, ids)}


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


@follows(Claim)  # after `upkeep`, which writes what is read here
def _after_claims(session: WriteSession, saved: Sequence[Saved]) -> None:
    NOUN.keep(session, [each.id for each in saved], new=all_new(saved) is not None)


def matched(finding: Finding, claim: Mapping[str, Any], score: int) -> dict[str, Any]:
    """A claim with why it was found."""
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
    return {**claim, "match": explain(finding, score, texts, people)}
