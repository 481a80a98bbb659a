"""Claims: stated, revised and found."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import orjson
from orjson import Fragment
from sqlalchemy import Row, func
from sqlmodel import col

from app.base import units
from app.base.db import Readable, ReadSession, WriteSession
from app.base.errors import Invalid, NotFound
from app.base.ids import new_id, noun_of
from app.base.page import Page, page
from app.base.prepared import NotAtOnce
from app.base.sql import select
from app.base.times import UNDATED
from app.base.types import dated, exact, wire
from app.changes.hidden import must_be_seen
from app.changes.model import Part, columns_as_sent, fresh
from app.changes.store import By, New, part_documents, save
from app.claims import bodies, filters, listing, repeats, words
from app.claims.amounts import ends
from app.claims.held import NOT_HELD, HeldBack
from app.claims.model import (
    Anchor,
    Claim,
    ClaimAbout,
    ClaimSpeaker,
    ClaimTopic,
    Figure,
    FigureAbout,
)
from app.claims.quotes import Texts, check, keep_last_found
from app.claims.shapes import AnchorIn, ClaimIn, ClaimQuestion, FigureIn
from app.entities.store import resolve as resolve_entities
from app.entities.words import searched
from app.sources.store import resolve as resolve_sources
from app.sources.store import text_of

_QUOTED = frozenset({"appearances", "mode", "text", "original_text"})
"""The fields that decide what is looked up in a source's text."""

_AS_SENT, _FIGURE_AS_SENT = columns_as_sent(Claim, ClaimIn), columns_as_sent(Figure, FigureIn)

_FIELD = {"figure_about": "figures"}
"""The field that a part comes from, where it has another name."""

# --- writing -----------------------------------------------------------------------------------


def state(session: WriteSession, claim: ClaimIn, *, by: By, held: HeldBack = NOT_HELD) -> Claim:
    """A new claim, public or held back. Raises Invalid for entities, sources or claims that are not known,
    and for a quote that is not in its source's text.
    """
    entities = resolve_entities(session, entity_refs(claim))
    sources = resolve_sources(session, source_refs(claim))
    new = compose(session, claim, entities, sources, partial(text_of, session), held)
    save(session, new.record, by=by, action="claim.state", parts=new.parts)
    return new.record


def compose(
    session: ReadSession,
    claim: ClaimIn,
    entities: Mapping[str, str],
    sources: Mapping[str, str],
    texts: Texts,
    held: HeldBack = NOT_HELD,
) -> New[Claim]:
    """The rows of a new claim, with the ids that its references lead to. Raises as `state` does."""
    claim_id = new_id("clm")
    record = fresh(Claim, id=claim_id, **_columns(claim, entities), **held.columns)
    _must_name_what_is_seen(session, record, claim, sources)
    parts = {
        **_parts(claim_id, claim, entities, frozenset()),
        **check(claim_id, claim, sources, texts).parts,
    }
    if claim.repeats is not None:
        repeats.point(session, record, claim.repeats)
    return New(record, parts)


def revise(session: WriteSession, record: Claim, claim: ClaimIn, fields: Collection[str], *, by: By) -> None:
    """Gives the named fields of a claim their new values. Raises as `state` does."""
    entities = resolve_entities(session, entity_refs(claim))
    for name, value in _columns(claim, entities, fields).items():
        setattr(record, name, value)
    known = select(Figure.id).where(col(Figure.claim_id) == record.id)
    parts = _parts(record.id, claim, entities, set(session.execute(known).scalars()))
    changed = {name: rows for name, rows in parts.items() if _FIELD.get(name, name) in fields}
    if _QUOTED & set(fields):  # a quote that a text has since refuted must not stand in the way of the rest
        sources = resolve_sources(session, source_refs(claim))
        printed = check(record.id, claim, sources, partial(text_of, session))
        keep_last_found(session, printed)
        changed |= printed.parts
        _must_name_what_is_seen(session, record, claim, sources)
    if "repeats" in fields:
        if record.repeats_id is not None and claim.repeats is None:
            repeats.must_be_decided(session, record.id)
        repeats.point(session, record, claim.repeats)
    save(session, record, by=by, action="claim.revise", parts=changed)
    if "repeats" in fields:
        repeats.carry(session, record, by=by)


def _must_name_what_is_seen(
    session: ReadSession, record: Claim, claim: ClaimIn, sources: Mapping[str, str]
) -> None:
    if record.visibility is None:
        must_be_seen(session, {place: sources[ref] for place, ref in source_refs(claim).items()})


def _columns(
    claim: ClaimIn, entities: Mapping[str, str], fields: Collection[str] = ClaimIn.model_fields.keys()
) -> dict[str, Any]:
    columns = {name: getattr(claim, name) for name in _AS_SENT if name in fields}
    if "said" in fields:
        days = dated(claim.said)
        columns["said_earliest"] = days.earliest if days else UNDATED
        columns["said_latest"] = days.latest if days else UNDATED
    if "relayed_by" in fields:
        columns["relayed_by_id"] = entities[claim.relayed_by] if claim.relayed_by else None
    return columns


def _parts(
    claim_id: str, claim: ClaimIn, entities: Mapping[str, str], known: Collection[str]
) -> dict[str, Sequence[Part]]:
    return {
        **_people(claim_id, claim, entities),
        "topics": [
            fresh(ClaimTopic, claim_id=claim_id, position=n, topic=topic)
            for n, topic in enumerate(claim.topics)
        ],
        **_figures(claim_id, claim.figures, entities, known),
    }


def source_refs(claim: ClaimIn) -> dict[str, str]:
    """The sources that a claim names, by JSON pointer."""
    return {f"/appearances/{n}/source": item.source for n, item in enumerate(claim.appearances)}


def entity_refs(claim: ClaimIn) -> dict[str, str]:
    """The entities that a claim names, by JSON pointer."""
    refs = {f"/speakers/{n}": speaker.entity for n, speaker in enumerate(claim.speakers)}
    refs |= {f"/about/{n}": ref for n, ref in enumerate(claim.about)}
    for n, figure in enumerate(claim.figures):
        refs |= {f"/figures/{n}/about/{m}": ref for m, ref in enumerate(figure.about)}
    return refs | ({"/relayed_by": claim.relayed_by} if claim.relayed_by else {})


def _people(claim_id: str, claim: ClaimIn, entities: Mapping[str, str]) -> dict[str, Sequence[Part]]:
    speakers = [
        fresh(
            ClaimSpeaker,
            claim_id=claim_id,
            position=n,
            entity_id=entities[speaker.entity],
            title=speaker.title,
        )
        for n, speaker in enumerate(claim.speakers)
    ]
    about = [
        fresh(ClaimAbout, claim_id=claim_id, position=n, entity_id=entities[ref])
        for n, ref in enumerate(claim.about)
    ]
    for place, people in (("/speakers", speakers), ("/about", about)):
        ids = [person.entity_id for person in people]
        if len(set(ids)) < len(ids):
            raise Invalid.at(place, "has the same entity twice")
    return {"speakers": speakers, "about": about}


def _figures(
    claim_id: str, figures: Sequence[FigureIn], entities: Mapping[str, str], known: Collection[str]
) -> dict[str, Sequence[Part]]:
    kept = [figure.id for figure in figures if figure.id is not None]
    for n, figure in enumerate(figures):
        if figure.id is not None and (figure.id not in known or kept.count(figure.id) > 1):
            raise Invalid.at(f"/figures/{n}/id", "is not the id of one figure of this claim")
    return {
        "figures": [_figure(claim_id, n, figure) for n, figure in enumerate(figures)],
        "figure_about": [
            fresh(FigureAbout, claim_id=claim_id, figure=n, position=m, entity_id=entities[ref])
            for n, figure in enumerate(figures)
            for m, ref in enumerate(figure.about)
        ],
    }


def _figure(claim_id: str, position: int, figure: FigureIn) -> Figure:
    factor, unit = units.resolve(figure.unit, figure.scale)

    def plain_unit(number: Decimal | None) -> Decimal | None:
        return None if number is None else exact(units.scaled(number, factor))

    value, lower, upper = map(plain_unit, (figure.value, figure.lower, figure.upper))
    days = dated(figure.period)
    lowest, highest = ends(figure.comparator, unit, value, lower, upper)
    columns = {name: getattr(figure, name) for name in _FIGURE_AS_SENT} | {
        "id": figure.id or new_id("fig"),
        "value": value,
        "lower": lower,
        "upper": upper,
        "value_number": None if value is None else float(value),
        "unit": unit,
        "period_earliest": days.earliest if days else UNDATED,
        "period_latest": days.latest if days else UNDATED,
        "lowest": lowest,
        "highest": highest,
    }
    return fresh(Figure, claim_id=claim_id, position=position, **columns)


# --- finding -----------------------------------------------------------------------------------


def row(session: WriteSession, claim_id: str) -> Claim:
    """The claim with that id, to be changed. Raises NotFound."""
    claim = session.get(Claim, claim_id)
    if claim is None:
        raise _unknown(claim_id)
    return claim


def document(session: ReadSession, claim_id: str) -> dict[str, Any]:
    """One claim as every route shows it. Raises NotFound."""
    document: dict[str, Any] = orjson.loads(body(session, claim_id)[1])
    return document


def body(session: ReadSession, claim_id: str) -> tuple[int, str]:
    """The version of a claim, and the claim as every route shows it, in JSON. Raises NotFound."""
    found = bodies.one(session, claim_id)
    if found is None:
        raise _unknown(claim_id)
    return found


def must_exist(session: ReadSession, claim_id: str) -> None:
    """Raises NotFound if there is no such claim."""
    if session.execute(select(Claim.id).where(col(Claim.id) == claim_id)).first() is None:
        raise _unknown(claim_id)


def _unknown(claim_id: str) -> NotFound:
    noun = noun_of(claim_id)
    if noun not in (None, "claim"):
        return NotFound(f"{claim_id} is the id of a {noun}, not of a claim.")
    return NotFound(f"There is no claim {claim_id}.")


def find(session: ReadSession, ask: ClaimQuestion, after: Sequence[Any] | None) -> Page[Any]:
    """A page of claims, as JSON or, if they are searched, documents."""
    if ask.by_relevance:
        # Where nothing else is asked for, withdrawn claims are left out as documents, which takes less.
        clauses = filters.clauses(session, ask, words_too=False, status_too=not ask.hides_withdrawn)
        return searched(
            session,
            str(ask.q),
            "claim",
            select(Claim.id).where(*clauses) if clauses else None,
            ask,
            after,
            read=bodies.of,
            matched=words.matched,
            hidden=words.WITHDRAWN if ask.hides_withdrawn else None,
        )
    listed = listing.find(session, ask, after)
    if listed is not None:
        return listed
    if ask.sort in ("repeats", "reads"):
        return listing.ranked(session, ask, after)
    found: Page[Row[Any]] = page(
        session, filters.filtered(session, bodies.query(), ask), _keys(ask), ask, after
    )
    return Page(bodies.shown(session, found.rows), found.last)


_BY_WORDS_ALONE = frozenset({"q", "withdrawn", "limit", "cursor", "order"})


def find_at_once(base: Readable, ask: ClaimQuestion, after: Sequence[Any] | None) -> Page[Fragment]:
    """The same, of a question that takes little. Raises NotAtOnce."""
    if ask.q is None:
        return listing.find_at_once(base, ask, after)
    if not ask.by_relevance or not ask.model_fields_set <= _BY_WORDS_ALONE:
        raise NotAtOnce
    found = words.found_at_once(base, ask.q, ask, after, withdrawn=not ask.hides_withdrawn)
    shown = [f'{each.body[:-1]},"match":{orjson.dumps(each.match).decode()}}}' for each in found.rows]
    return Page([Fragment(body) for body in shown], found.last)


def _keys(ask: ClaimQuestion) -> list[Any]:
    match ask.sort:
        case "created":
            return [col(Claim.id)]
        case "reviewed":
            # Never null: what was not reviewed stands by when it was stated.
            return [func.coalesce(col(Claim.reviewed_at), col(Claim.created_at)), col(Claim.id)]
        case _:
            return [col(Claim.said_latest), col(Claim.id)]


# --- revising ----------------------------------------------------------------------------------


def as_input(session: ReadSession, record: Claim) -> dict[str, Any]:
    """The claim as it would be sent to state it: what a merge patch is applied to."""
    parts = {
        name: part_documents(session, Claim, name, [record.id]).get(record.id, []) for name in Claim.parts
    }
    speakers, about = (_once(session, parts[name]) for name in ("speakers", "about"))
    whole = {name: wire(getattr(record, name)) for name in _AS_SENT}
    return whole | {
        "speakers": [{"entity": s["entity_id"], "title": s["title"]} for s in speakers],
        "relayed_by": record.relayed_by_id,
        "about": [a["entity_id"] for a in about],
        "topics": [t["topic"] for t in parts["topics"]],
        "repeats": record.repeats_id,
        "appearances": [_appearance_in(a, parts["anchors"]) for a in parts["appearances"]],
        "figures": [_figure_in(f, parts["figure_about"]) for f in parts["figures"]],
    }


def _once(session: ReadSession, named: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of two records that were merged since they were named the first, as the claim is shown."""
    leads = resolve_entities(session, {str(n): each["entity_id"] for n, each in enumerate(named)})
    first: dict[str, dict[str, Any]] = {}
    for each in named:
        first.setdefault(leads[each["entity_id"]], each)
    return list(first.values())


def _appearance_in(appearance: dict[str, Any], anchors: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "source": appearance["source_id"],
        "snapshot": appearance["snapshot_id"],
        "anchors": [
            {name: anchor[name] for name in _anchor_in(anchor)}
            for anchor in anchors
            if anchor["appearance"] == appearance["position"]
        ],
    }


def _anchor_in(anchor: dict[str, Any]) -> Sequence[str]:
    own = columns_as_sent(Anchor, AnchorIn)
    if anchor["state"] == "orphaned":  # its place is one in another text, if any
        return [name for name in own if name not in ("start", "end")]
    return own


def _figure_in(figure: dict[str, Any], about: list[dict[str, Any]]) -> dict[str, Any]:
    whole = {name: figure[name] for name in _FIGURE_AS_SENT}
    here = [a["entity_id"] for a in about if a["figure"] == figure["position"]]
    return {**whole, "about": here}
