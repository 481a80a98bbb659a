"""The words that entities are found by, and the entities that a word may be the name of."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlmodel import col

from app.base.db import Asker, ReadSession, WriteSession, within
from app.base.page import Page, Question
from app.base.prepared import Prepared
from app.base.sql import select
from app.changes.store import New, Saved, all_new
from app.entities import documents
from app.entities.model import Entity
from app.words import query
from app.words.explain import Finding, How, Text, explain
from app.words.index import Kind, Noun, Words, batches, put
from app.words.plan import NAME, SPELLED, Known, look_up, names_of, plan, stems_of
from app.words.query import Wanted
from app.words.rank import ranked
from app.words.text import latin, spelling, tokens

REFERENCES = ("@speaker:", "@about:", "@publisher:")
"""Before an entity's id, the terms of what refers to it: so a record is found by all names of its speaker."""

_TOO_MANY = 20
"""A word that is in the names of more entities than this stands for none of them."""


def _words(session: ReadSession, ids: Sequence[str]) -> Mapping[str, Words]:
    found = documents.by_id(session, ids)
    return {key: _of(entity) for key, entity in found.items() if entity["merged_into"] is None}


def _of(entity: Mapping[str, Any]) -> Words:
    names = [entity["name"], *(alias["name"] for alias in entity["aliases"])]
    titles = [affiliation["title"] for affiliation in entity["affiliations"]]
    return _found_by(names, entity["slug"], [entity["description"], *titles])


def _of_new(new: New[Entity]) -> Words:
    aliases, held = (new.parts.get(name, ()) for name in ("aliases", "affiliations"))
    names = [new.record.name, *(alias.name for alias in aliases)]  # type: ignore[attr-defined]
    titles = [each.title for each in held]  # type: ignore[attr-defined]
    return _found_by(names, new.record.slug, [new.record.description, *titles])


def _found_by(names: Sequence[str], slug: str, others: Iterable[str | None]) -> Words:
    words = Words([(3, name) for name in dict.fromkeys(names)])
    words.texts += [(1, text) for text in (slug.replace("-", " "), *others) if text]
    words.terms = [(3 if term[0] == NAME else 2, term) for term in _name_terms(names)]
    return words


def _name_terms(names: Iterable[str]) -> list[str]:
    terms: dict[str, None] = {}
    for name in names:
        forms = [token.form for token in tokens(name)]
        terms |= dict.fromkeys([NAME + " ".join(forms)])
        for form in forms:
            terms |= dict.fromkeys([NAME + form, NAME + latin(form)])
            if len(key := spelling(form)) > 2:
                terms |= dict.fromkeys([SPELLED + key])
    return list(terms)


NOUN = Noun("entity", batches(col(Entity.id)), _words)


def _after_entities(session: WriteSession, saved: Sequence[Saved]) -> None:
    news = all_new(saved)
    if news is not None:
        put(session, "entity", {new.record.id: _of_new(new) for new in news}, new=True)
        return
    ids = [each.id for each in saved]
    moved = {value for each in saved for value in each.difference.get("canonical_id", {}).values() if value}
    winners = select(Entity.canonical_id).where(col(Entity.id).in_(ids))
    NOUN.keep(session, sorted({*ids, *moved, *session.execute(winners).scalars()}))


PROJECTION = NOUN.projection({Entity: _after_entities})


def texts(entity: Mapping[str, Any]) -> list[Text]:
    """Where the words of a query may stand in an entity."""
    aliases = [Text("aliases", alias["name"], name=True) for alias in entity["aliases"]]
    described = [Text("description", entity["description"])] if entity["description"] else []
    titles = [Text("affiliations/title", each["title"]) for each in entity["affiliations"]]
    slug = Text("slug", entity["slug"].replace("-", " "))
    return [Text("name", entity["name"], name=True), *aliases, *described, *titles, slug]


def matched(finding: Finding, entity: Mapping[str, Any], score: int) -> dict[str, Any]:
    """An entity with why it was found."""
    return {**entity, "match": explain(finding, score, texts(entity))}


# --- queries -----------------------------------------------------------------------------------


def prepare(ask: Asker, q: str) -> Finding:
    """A query made ready. Raises Invalid if it cannot be asked."""
    wanted = query.parse(q)
    terms = {each: names_of(each) for each in wanted}
    stems = {each: dict.fromkeys([*stems_of(each), *terms[each]]) for each in wanted}
    known = look_up(ask, {"", *chain.from_iterable(stems.values())})
    names = _named(ask, terms, known)
    longest = [each.forms for each in names if each.how == "name"]
    stems = {
        each: some
        for each, some in stems.items()
        if each.how != "name" or not _within_another(each.forms, longest)
    }
    names = {each: entities for each, entities in names.items() if each in stems}
    for each, entities in names.items():
        stems[each] |= dict.fromkeys(prefix + entity_id for entity_id in entities for prefix in REFERENCES)
    if names:
        known |= look_up(ask, chain.from_iterable(stems[each] for each in names))
    return Finding(plan(ask, known, stems), names)


def _within_another(forms: tuple[str, ...], names: Sequence[tuple[str, ...]]) -> bool:
    """Power of Siberia is not meant where Power of Siberia 2 is."""
    return any(
        forms == name[start : start + len(forms)]
        for name in names
        if len(name) > len(forms)
        for start in range(len(name) - len(forms) + 1)
    )


def searched(
    session: ReadSession,
    q: str,
    kind: Kind,
    among: Any,
    ask: Question,
    after: Sequence[Any] | None,
    *,
    read: Callable[[ReadSession, Sequence[str]], Mapping[str, Mapping[str, Any]]],
    matched: Callable[[Finding, Mapping[str, Any], int], dict[str, Any]],
    hidden: str | None = None,
) -> Page[dict[str, Any]]:
    """A page of the records of one kind that a query finds, the best first, each with why: `among` those of a
    SELECT of ids, none of whose document is one of `hidden`; `read` gives records by id, `matched` adds why
    one was found. Raises Invalid.
    """
    finding = prepare(within(session), q)
    found = ranked(session, finding, kind, among, ask, after, hidden)
    records = read(session, [hit.record_id for hit in found.rows])
    return Page([matched(finding, records[hit.record_id], hit.score) for hit in found.rows], found.last)


def _named(
    ask: Asker, terms: Mapping[Wanted, Sequence[str]], known: Mapping[str, Known]
) -> dict[Wanted, dict[str, How]]:
    """The entities that each thing wanted may be the name of, those too that were merged into them."""
    asked = {
        known[term].id: term
        for some in terms.values()
        for term in some
        if term in known and 0 < known[term].documents <= _TOO_MANY
    }
    entities: dict[str, list[str]] = {}
    if asked:
        for stem_id, entity_id in ask(Prepared(_NAMED.format(", ".join(map(str, asked)))), {}):
            entities.setdefault(asked[stem_id], []).append(entity_id)
    found = {each: _closest(each, some, entities) for each, some in terms.items()}
    return {each: known for each, known in found.items() if known}


_NAMED = """SELECT stem_id, entities.id FROM postings JOIN documents ON number = document
    JOIN entities ON canonical_id = record_id WHERE stem_id IN ({}) ORDER BY stem_id, entities.id"""


def _closest(wanted: Wanted, terms: Sequence[str], entities: Mapping[str, Sequence[str]]) -> dict[str, How]:
    """Entities of that very name, or else those whose name in Latin letters is the same, or else those whose
    name may be spelled so.
    """
    for term in terms:
        if term in entities:
            exact = term == NAME + " ".join(wanted.forms)
            how: How = "name" if exact else "transliteration" if term[0] == NAME else "spelling"
            return dict.fromkeys(entities[term], how)
    return {}
