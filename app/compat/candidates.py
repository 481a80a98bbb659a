"""Whom names may mean: the records that are looked at, read for all queries together.

Each name is looked up by its words, in the index that searches use: as they are, in Latin letters and as they
may be spelled; a word that nobody has, by those that are one or two letters away. What a query finds does not
depend on those beside it.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rapidfuzz import process
from rapidfuzz.distance import OSA
from sqlalchemy import or_
from sqlmodel import col

from app.base.db import ReadSession
from app.base.ids import noun_of
from app.base.jobs import Job
from app.base.sql import among, select
from app.compat.matching import LONGEST, name, without_titles
from app.compat.properties import bare, canonical
from app.entities import documents
from app.entities.model import Entity, EntityExternalId
from app.sources import store as sources
from app.sources.model import Source
from app.words.index import SLOTS, Kind, slots
from app.words.model import Document, Posting, Stem
from app.words.plan import NAME, SPELLED, Known
from app.words.text import forms, latin, spelling, stem

MOST = 25
"""So many entities are looked at for a query, those that have its rarest words."""

_COMMON, _COMMON_IN_TITLES = 200, 1_000
"""A word that is in more names, or in more records, than this chooses none."""

_RAREST, _TITLES = 3, 10
"""By so many words of a query are titles of sources looked for, and so many of them looked at."""

_SPELLINGS, _CLOSE, _CLOSEST = 20_000, 0.65, 5
_CHUNK, _LONGEST = 5_000, 16


@dataclass(frozen=True)
class Sought:
    """What one query looks for, among entities, sources, or both: a name, and what it says of the record in
    ids: slugs (`slug`), addresses (`url`), ids of other registers by their scheme, or of any (the empty one).
    """

    text: str
    ids: Mapping[str, Sequence[str]] = field(default_factory=dict)
    entities: bool = True
    sources: bool = True


@dataclass
class Found:
    """What the queries find: the ids of records for each, and the records by id. `named` are the records
    that a query has the very id of.
    """

    ids: list[list[str]]
    named: list[set[str]]
    records: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def candidates(session: ReadSession, queries: Sequence[Sought], job: Job) -> Found:
    """The records that each query may mean, in some ten statements for a thousand of them as for one."""
    named = _identified(session, queries)
    terms = []
    for each in queries:
        job.check()
        terms.append(_Terms(each))
    stems = _look_up(session, {term for each in terms for term in each.all})
    _correct(session, terms, stems, job)
    names = _holders(session, {stems[term].id for each in terms for term in each.names(stems)}, "entity")
    titles = _holders(session, {stems[term].id for each in terms for term in each.titles(stems)}, "source")
    ids = [
        [*dict.fromkeys([*sorted(own), *_best(each.names(stems), stems, names, MOST),
                         *_best(each.titles(stems), stems, titles, _TITLES)])]
        for own, each in zip(named, terms, strict=True)
    ]  # fmt: skip
    return Found(ids, named, read(session, {key for some in ids for key in some}))


def read(session: ReadSession, ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Entities and sources by id, as every route shows them."""
    found: dict[str, Mapping[str, Any]] = {}
    for some in _chunks(sorted(ids)):
        of = defaultdict(list)
        for each in some:
            of[noun_of(each)].append(each)
        found |= documents.by_id(session, of["entity"]) if of["entity"] else {}
        found |= sources.by_id(session, of["source"]) if of["source"] else {}
    return found


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]


# --- by words ----------------------------------------------------------------------------------


class _Terms:
    """What the index is asked for on behalf of one query."""

    def __init__(self, sought: Sought) -> None:
        text = sought.text[:LONGEST]
        texts = [each for each in (text, without_titles(text)) if each]
        words = dict.fromkeys(form for text in texts for form in forms(text)[:_LONGEST])
        self.wholes: list[str] = []
        self.words: dict[str, list[str]] = {}
        if sought.entities:
            self.wholes = [NAME + " ".join(own) for text in texts for own in (forms(text), name(text).forms)]
            self.words = {word: _names_of(word) for word in words if len(word) > 1 or not word.isascii()}
        self.stems = [stem(word) for word in words] if sought.sources else []

    @property
    def all(self) -> Iterator[str]:
        yield from self.wholes
        for terms in self.words.values():
            yield from terms
        yield from self.stems

    def names(self, known: Mapping[str, Known]) -> list[str]:
        """The terms that choose entities."""
        terms = dict.fromkeys([*self.wholes, *(term for some in self.words.values() for term in some)])
        return [term for term in terms if term in known and known[term].documents <= _COMMON]

    def titles(self, known: Mapping[str, Known]) -> list[str]:
        """The terms that choose sources: the rarest."""
        there = {term: known[term].documents for term in self.stems if term in known}
        rare = [term for term, count in there.items() if count <= _COMMON_IN_TITLES]
        return sorted(rare, key=lambda term: (there[term], term))[:_RAREST]


def _names_of(word: str) -> list[str]:
    key = spelling(word)
    spelled = [SPELLED + key] if len(key) > 2 else []
    return list(dict.fromkeys([NAME + word, NAME + latin(word), *spelled]))


def _look_up(session: ReadSession, terms: Iterable[str]) -> dict[str, Known]:
    wanted = among(session, Stem.stem, sorted(terms))
    rows = session.execute(select(Stem.stem, Stem.id, Stem.documents).where(wanted, col(Stem.documents) > 0))
    return {row.stem: Known(row.id, row.documents) for row in rows}


def _correct(session: ReadSession, terms: Sequence[_Terms], stems: dict[str, Known], job: Job) -> None:
    """Gives words that nobody is called the spellings that are nearest to them."""
    unknown = {
        word: spelling(word)
        for each in terms
        for word, some in each.words.items()
        if len(spelling(word)) > 3 and not any(term in stems for term in some)
    }
    kept = _spellings(session, sorted({key[0] for key in unknown.values()}))
    near: dict[str, list[str]] = {}
    for word, key in unknown.items():
        job.check()
        there = kept[key[0]]
        close = process.extract(
            key, list(there), scorer=OSA.normalized_similarity, score_cutoff=_CLOSE, limit=_CLOSEST
        )
        near[word] = [SPELLED + other for other, *_ in close]
        stems |= {SPELLED + other: there[other] for other, *_ in close}
    for each in terms:
        for word in each.words.keys() & near.keys():
            each.words[word] = near[word]


def _spellings(session: ReadSession, letters: Sequence[str]) -> Mapping[str, Mapping[str, Known]]:
    """All keys of names that begin with one of these letters, up to a limit for each letter."""
    found: dict[str, dict[str, Known]] = {}
    for letter in letters:
        first, after = SPELLED + letter, SPELLED + chr(ord(letter) + 1)
        query = select(Stem.stem, Stem.id, Stem.documents).where(
            col(Stem.stem) >= first, col(Stem.stem) < after, col(Stem.documents) > 0
        )
        rows = session.execute(query.order_by(Stem.stem).limit(_SPELLINGS))
        found[letter] = {row.stem.removeprefix(SPELLED): Known(row.id, row.documents) for row in rows}
    return found


def _holders(session: ReadSession, stem_ids: Iterable[int], kind: Kind) -> Mapping[int, Sequence[str]]:
    """The ids of the records of a kind that have each stem."""
    found: dict[int, list[str]] = defaultdict(list)
    of_kind = (col(Document.number) % SLOTS).in_(slots(kind))
    query = select(Posting.stem_id, Document.record_id).join(
        Document, col(Document.number) == Posting.document
    )
    for some in _chunks(sorted(stem_ids)):
        for row in session.execute(query.where(col(Posting.stem_id).in_(some), of_kind)):
            found[row.stem_id].append(row.record_id)
    return found


def _best(
    terms: Sequence[str], stems: Mapping[str, Known], holders: Mapping[int, Sequence[str]], most: int
) -> list[str]:
    """Those that have the most and the rarest of the terms; the older first, where they have the same."""
    worth: dict[str, float] = defaultdict(float)
    for term in terms:
        for record_id in holders.get(stems[term].id, ()):
            worth[record_id] += 1 / stems[term].documents + (" " in term)
    return sorted(worth, key=lambda record_id: (-worth[record_id], record_id))[:most]


# --- by ids ------------------------------------------------------------------------------------

Key = tuple[str, str]
"""A register, or `id`, `slug`, `url`, or the empty one for any register, and an id in it."""


def _keys(sought: Sought) -> Iterator[Key]:
    """The ids that a query has: its text may be one, and its properties may have others."""
    text = sought.text.strip()
    if " " not in text:
        yield from (("id", text), (text.partition(":")[0], text.partition(":")[2]))
        if re.search(r"\d", text) and not text.isdigit():  # CN or 42 may be anything
            yield "", text
        if url := canonical(text):
            yield "url", url
    for wanted, values in sought.ids.items():
        for value in values:
            own = canonical(value) if wanted == "url" else bare(wanted, value)
            yield wanted, own or ""


def _identified(session: ReadSession, queries: Sequence[Sought]) -> list[set[str]]:
    """The records that each query has an id of."""
    keys = [set(_keys(each)) for each in queries]
    owned = owners(session, set().union(*keys))
    found = []
    for each, own in zip(queries, keys, strict=True):
        nouns = {noun for noun, wanted in (("entity", each.entities), ("source", each.sources)) if wanted}
        found.append({owner for key in own for owner in owned.get(key, ()) if noun_of(owner) in nouns})
    return found


def owners(session: ReadSession, keys: set[Key]) -> Mapping[Key, set[str]]:
    """The records with these ids, merges followed."""
    found: dict[Key, set[str]] = defaultdict(set)
    values = defaultdict(list)
    for register, value in sorted(keys):
        values[register if register in ("id", "slug", "url") else ""].append(value)
    entities = select(Entity.id, Entity.slug, Entity.canonical_id)
    known = or_(among(session, Entity.id, values["id"]), among(session, Entity.slug, values["slug"]))
    for row in session.execute(entities.where(known)):
        found["id", row.id].add(row.canonical_id)
        found["slug", row.slug].add(row.canonical_id)
    addresses = select(Source.id, Source.canonical_url)
    known = or_(among(session, Source.id, values["id"]), among(session, Source.canonical_url, values["url"]))
    for row in session.execute(addresses.where(known)):
        found["id", row.id].add(row.id)
        found["url", row.canonical_url].add(row.id)
    table = EntityExternalId
    others = select(table.scheme, table.value, Entity.canonical_id).join(
        Entity, col(Entity.id) == col(table.entity_id)
    )
    for row in session.execute(others.where(among(session, table.value, values[""]))):
        found[row.scheme, row.value].add(row.canonical_id)
        found["", row.value].add(row.canonical_id)
    return found


def resolved(session: ReadSession, refs: Iterable[str]) -> dict[str, str]:
    """The ids of the records that ids, or slugs of entities, lead to."""
    owned = owners(session, {key for ref in refs for key in (("id", ref), ("slug", ref))})
    return {key[1]: next(iter(some)) for key, some in owned.items() if key[0] in ("id", "slug")}
