"""Claims: stated, revised and found."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson
from orjson import Fragment
from sqlalchemy import Row, func
from sqlmodel import col

from app.base import units
from app.base.db import ReadSession, WriteSession
from app.base.errors import Conflict, Invalid, NotFound
from app.base.ids import new_id, noun_of
from app.base.page import Page, page
from app.base.sql import select
from app.base.times import UNDATED
from app.base.types import dated, exact
from app.changes.model import Part
from app.changes.store import By, part_documents, save
from app.claims import bodies, listing, upkeep  # noqa: F401 (upkeep follows what is written here)
from app.claims.amounts import ends
from app.claims.filters import filtered
from app.claims.model import (
    STANDING,
    Claim,
    ClaimAbout,
    ClaimSpeaker,
    ClaimTopic,
    Figure,
    FigureAbout,
)
from app.claims.quotes import check
from app.claims.shapes import ClaimIn, ClaimQuestion, FigureIn
from app.entities.store import resolve as resolve_entities
from app.sources.store import resolve as resolve_sources

_QUOTED = frozenset({"appearances", "mode", "text", "original_text"})
"""The fields that decide what is looked up in a source's text."""

_FIELD = {"figure_about": "figures"}
"""The field that a part comes from, where it has another name."""

# --- writing -----------------------------------------------------------------------------------


def state(session: WriteSession, claim: ClaimIn, *, by: By) -> Claim:
    """A new claim. Raises Invalid for entities, sources or claims that are not known, and for a quote that is
    not in its source's text.
    """
    record = Claim(id=new_id("clm"), text="", mode=claim.mode, kind=claim.kind)
    parts = {**_fill(session, record, claim), **_printed(session, record, claim)}
    _repeat(session, record, claim.repeats)
    save(session, record, by=by, action="claim.state", parts=parts)
    return record


def revise(session: WriteSession, record: Claim, claim: ClaimIn, fields: Collection[str], *, by: By) -> None:
    """Gives the named fields of a claim their new values. Raises as `state` does."""
    parts = _fill(session, record, claim)
    changed = {name: rows for name, rows in parts.items() if _FIELD.get(name, name) in fields}
    if _QUOTED & set(fields):  # a quote that a text has since refuted must not stand in the way of the rest
        changed |= _printed(session, record, claim)
    if "repeats" in fields:
        _repeat(session, record, claim.repeats)
    save(session, record, by=by, action="claim.revise", parts=changed)
    if "repeats" in fields:
        carry_standing(session, record, by=by)


def _fill(session: ReadSession, record: Claim, claim: ClaimIn) -> dict[str, Sequence[Part]]:
    for name in ("text", "mode", "kind", "language", "original_text", "original_language", "said",
                 "occasion", "place", "context", "due"):  # fmt: skip
        setattr(record, name, getattr(claim, name))
    days = dated(claim.said)
    record.said_earliest = days.earliest if days else UNDATED
    record.said_latest = days.latest if days else UNDATED
    entities = resolve_entities(session, _entity_refs(claim))
    record.relayed_by_id = entities[claim.relayed_by] if claim.relayed_by else None
    return {
        **_people(record.id, claim, entities),
        "topics": [
            ClaimTopic(claim_id=record.id, position=n, topic=topic) for n, topic in enumerate(claim.topics)
        ],
        **_figures(session, record.id, claim.figures, entities),
    }


def _printed(session: ReadSession, record: Claim, claim: ClaimIn) -> dict[str, Sequence[Part]]:
    printed = check(session, record.id, claim)
    return {"appearances": printed.appearances, "anchors": printed.anchors}


def _entity_refs(claim: ClaimIn) -> dict[str, str]:
    refs = {f"/speakers/{n}": speaker.entity for n, speaker in enumerate(claim.speakers)}
    refs |= {f"/about/{n}": ref for n, ref in enumerate(claim.about)}
    for n, figure in enumerate(claim.figures):
        refs |= {f"/figures/{n}/about/{m}": ref for m, ref in enumerate(figure.about)}
    return refs | ({"/relayed_by": claim.relayed_by} if claim.relayed_by else {})


def _people(claim_id: str, claim: ClaimIn, entities: Mapping[str, str]) -> dict[str, Sequence[Part]]:
    speakers = [
        ClaimSpeaker(claim_id=claim_id, position=n, entity_id=entities[speaker.entity], title=speaker.title)
        for n, speaker in enumerate(claim.speakers)
    ]
    about = [
        ClaimAbout(claim_id=claim_id, position=n, entity_id=entities[ref])
        for n, ref in enumerate(claim.about)
    ]
    for place, people in (("/speakers", speakers), ("/about", about)):
        ids = [person.entity_id for person in people]
        if len(set(ids)) < len(ids):
            raise Invalid.at(place, "has the same entity twice")
    return {"speakers": speakers, "about": about}


def _figures(
    session: ReadSession, claim_id: str, figures: Sequence[FigureIn], entities: Mapping[str, str]
) -> dict[str, Sequence[Part]]:
    known = set(session.execute(select(Figure.id).where(col(Figure.claim_id) == claim_id)).scalars())
    kept = [figure.id for figure in figures if figure.id is not None]
    for n, figure in enumerate(figures):
        if figure.id is not None and (figure.id not in known or kept.count(figure.id) > 1):
            raise Invalid.at(f"/figures/{n}/id", "is not the id of one figure of this claim")
    return {
        "figures": [_figure(claim_id, n, figure) for n, figure in enumerate(figures)],
        "figure_about": [
            FigureAbout(claim_id=claim_id, figure=n, position=m, entity_id=entities[ref])
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
    return Figure(
        claim_id=claim_id,
        position=position,
        id=figure.id or new_id("fig"),
        measure=figure.measure,
        value=value,
        lower=lower,
        upper=upper,
        value_number=None if value is None else float(value),
        comparator=figure.comparator,
        unit=unit,
        display=figure.display,
        kind=figure.kind,
        is_record=figure.is_record,
        period=figure.period,
        period_earliest=days.earliest if days else UNDATED,
        period_latest=days.latest if days else UNDATED,
        condition=figure.condition,
        lowest=lowest,
        highest=highest,
    )


# --- repeats -----------------------------------------------------------------------------------


def _repeat(session: ReadSession, record: Claim, repeats: str | None) -> None:
    """Points a claim at the first of its kind, whose verification it then carries; or frees it."""
    if repeats is None:
        if record.repeats_id is not None:
            record.repeats_id = None
            for name in STANDING:
                setattr(record, name, "unverified" if name == "status" else None)
        return
    original = _original(session, record, repeats)
    if record.repeats_id == original.id:
        return
    if record.repeats_id is None and record.status != "unverified":
        raise Conflict("A claim that has been taken or reviewed cannot become a repeat of another.")
    record.repeats_id = original.id
    _copy_standing(original, record)


def _original(session: ReadSession, record: Claim, repeats: str) -> Claim:
    target = session.get(Claim, repeats)
    if target is None:
        raise Invalid.at("/repeats", _unknown(repeats).detail)
    original = session.get(Claim, target.repeats_id) if target.repeats_id else target
    if original is None or original.id == record.id:
        raise Invalid.at("/repeats", "would have a claim repeat itself")
    return original


def _copy_standing(original: Claim, repeater: Claim) -> None:
    for name in STANDING:
        setattr(repeater, name, getattr(original, name))


def carry_standing(session: WriteSession, original: Claim, *, by: By) -> None:
    """Gives the claims that repeat this one its standing; if it has become a repeat itself, they repeat what
    it repeats.
    """
    query = select(Claim).where(col(Claim.repeats_id) == original.id).order_by(col(Claim.id))
    for repeater in session.execute(query).scalars().all():
        repeater.repeats_id = original.repeats_id or original.id
        _copy_standing(original, repeater)
        save(session, repeater, by=by, action="claim.carry")


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


def find(session: ReadSession, ask: ClaimQuestion, after: Sequence[Any] | None) -> Page[Fragment]:
    """A page of claims, as JSON."""
    listed = listing.find(session, ask, after)
    if listed is not None:
        return listed
    found: Page[Row[Any]] = page(session, filtered(session, bodies.query(), ask), _keys(ask), ask, after)
    return Page(bodies.shown(session, found.rows), found.last)


def _keys(ask: ClaimQuestion) -> list[Any]:
    match ask.sort:
        case "said":
            return [col(Claim.said_latest), col(Claim.id)]
        case "created":
            return [col(Claim.id)]
        case "reviewed":
            # Never null: what was not reviewed stands by when it was stated.
            return [func.coalesce(col(Claim.reviewed_at), col(Claim.created_at)), col(Claim.id)]


def twin(session: ReadSession, claim: ClaimIn) -> str | None:
    """The id of a claim that has the same words, speakers, date and sources. Raises Invalid."""
    entities = resolve_entities(session, _entity_refs(claim))
    refs = {f"/appearances/{n}/source": item.source for n, item in enumerate(claim.appearances)}
    printed = sorted(resolve_sources(session, refs).values())
    speakers = [entities[speaker.entity] for speaker in claim.speakers]
    alike = (
        select(Claim.id)
        .join(ClaimSpeaker, col(ClaimSpeaker.claim_id) == col(Claim.id))
        .where(
            col(ClaimSpeaker.entity_id) == speakers[0],
            col(Claim.text) == claim.text,
            col(Claim.mode) == claim.mode,
            col(Claim.said).is_not_distinct_from(claim.said),
        )
    )
    ids: Sequence[str] = session.execute(alike).scalars().all()
    said_by, found_in = (part_documents(session, Claim, name, ids) for name in ("speakers", "appearances"))
    for claim_id in ids:
        same_speakers = [part["entity_id"] for part in said_by.get(claim_id, [])] == speakers
        if same_speakers and sorted(part["source_id"] for part in found_in.get(claim_id, [])) == printed:
            return claim_id
    return None


# --- revising ----------------------------------------------------------------------------------


def as_input(session: ReadSession, record: Claim) -> dict[str, Any]:
    """The claim as it would be sent to state it: what a merge patch is applied to."""
    parts = {
        name: part_documents(session, Claim, name, [record.id]).get(record.id, []) for name in Claim.parts
    }
    names = ("text", "mode", "kind", "language", "original_text", "original_language", "said",
             "occasion", "place", "context")  # fmt: skip
    whole = {name: getattr(record, name) for name in names}
    return whole | {
        "speakers": [{"entity": s["entity_id"], "title": s["title"]} for s in parts["speakers"]],
        "relayed_by": record.relayed_by_id,
        "about": [a["entity_id"] for a in parts["about"]],
        "topics": [t["topic"] for t in parts["topics"]],
        "repeats": record.repeats_id,
        "due": record.due.isoformat() if record.due else None,
        "appearances": [_appearance_in(a, parts["anchors"]) for a in parts["appearances"]],
        "figures": [_figure_in(f, parts["figure_about"]) for f in parts["figures"]],
    }


def _appearance_in(appearance: dict[str, Any], anchors: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("exact", "prefix", "suffix", "start", "end")
    return {
        "source": appearance["source_id"],
        "snapshot": appearance["snapshot_id"],
        "anchors": [
            {name: anchor[name] for name in names}
            for anchor in anchors
            if anchor["appearance"] == appearance["position"]
        ],
    }


def _figure_in(figure: dict[str, Any], about: list[dict[str, Any]]) -> dict[str, Any]:
    whole = {name: figure[name] for name in FigureIn.model_fields.keys() & figure.keys()}
    here = [a["entity_id"] for a in about if a["figure"] == figure["position"]]
    return {**whole, "about": here}
