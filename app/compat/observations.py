"""Figures as observations: of each variable and entity, by facets that say where a number is from."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from orjson import Fragment
from sqlalchemy import ColumnElement, func, or_
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.base.db import ReadSession
from app.base.errors import Invalid, nearest
from app.base.ids import noun_of
from app.base.sql import Query, among, select
from app.base.times import span
from app.base.types import dated
from app.claims import bodies
from app.claims.model import Claim, Figure, FigureAbout
from app.compat import variables
from app.compat.candidates import Key, owners
from app.compat.datacommons_wire import MOST, FilterIn, Json, ObservationIn, relation
from app.compat.variables import Variable
from app.entities.model import Entity, EntityKind
from app.exchange.claimreview import site
from app.figures.store import is_of_figure, measuring

EARTH = "Earth"
"""The place that all entities of a type are asked for in: no other is known to have places in it."""

CONTAINED = ("containedInPlace", "containedInPlace+")

CLASSES: Mapping[str, EntityKind] = {
    "Person": "person",
    "Organization": "organization",
    "Country": "country",
    "Place": "place",
    "Project": "project",
    "Document": "document",
    "Event": "event",
    "Concept": "concept",
}
"""The types of entities, and the kinds that they are here."""

METHODS = {
    "ge": "AtLeast",
    "gt": "MoreThan",
    "le": "AtMost",
    "lt": "LessThan",
    "approx": "About",
    "range": "About",
}
"""How a value is meant that is not just so."""

BOUNDS = {"lower": "LowerBound", "upper": "UpperBound"}
UNSURE = "DateUncertain"

_BORNE_OUT, _NOT_BORNE_OUT = (
    ("true", "mostly_true"),
    ("mostly_false", "false", "misleading", "outdated", "unsupported", "satire"),
)


def observed(session: ReadSession, ask: ObservationIn, base: str) -> Json:
    """The observations that are asked for. Raises Invalid, also for more than are answered at once."""
    entities = _entities(session, ask)
    asked = _variables(session, ask.variable.dcids)
    wanted = [variables.datable(), col(Claim.status) != "withdrawn", measuring(entities.members(session))]
    if asked:
        wanted.append(or_(*(variable.clause for variable in asked.values())))
    found: Iterator[_Found] = iter(())
    if asked or not ask.variable.dcids:
        counted = not ({"date", "value", "facet"} & set(ask.select) or ask.filter.of_facets)
        found = _available(session, wanted) if counted else _numbers(session, wanted, ask, base)
    cells = _cells(session, entities, found)
    of = asked if ask.variable.dcids else {each.dcid: each for each in sorted(cells)}
    facets: dict[str, Json] = {}
    by_variable: dict[str, Json] = {dcid: {"byEntity": {}} for dcid in ask.variable.dcids}
    for dcid, variable in of.items():
        shown = {name: _shown(some, ask, facets) for name, some in cells.get(variable, {}).items()}
        by_variable[dcid] = {"byEntity": {name: each for name, each in shown.items() if each is not None}}
    return {"byVariable": by_variable, "facets": facets}


# --- what is asked for -------------------------------------------------------------------------


class _Entities(NamedTuple):
    """Those with these ids, each with the dcids by which it is asked for; or all of a kind."""

    named: Mapping[str, Sequence[str]]
    kind: EntityKind | None = None

    def members(self, session: ReadSession) -> ColumnElement[bool]:
        """That a figure is about one of them, or of what is merged into them."""
        winner = aliased(Entity)
        these = col(winner.kind) == self.kind if self.kind else among(session, winner.id, self.named)
        ids = select(Entity.id).join(winner, col(winner.id) == col(Entity.canonical_id)).where(these)
        return col(FigureAbout.entity_id).in_(ids)

    def names(self, session: ReadSession, ids: Iterable[str]) -> Mapping[str, Sequence[str]]:
        """By what names the answer has those of some entities that are among them."""
        if not self.kind:
            return self.named
        query = select(Entity.id).where(among(session, Entity.id, ids), col(Entity.kind) == self.kind)
        return {found: [found] for found in session.execute(query).scalars()}


def entities_of(session: ReadSession, dcids: Iterable[str]) -> dict[str, str]:
    """The ids of the entities that dcids lead to: ids, slugs, `wikidataId/Q159`, or ids of `datacommons`."""
    keys = {dcid: _keys(dcid) for dcid in dcids}
    owned = owners(session, {key for some in keys.values() for key in some})
    found = {
        dcid: [each for key in some for each in owned.get(key, ()) if noun_of(each) == "entity"]
        for dcid, some in keys.items()
    }
    return {dcid: ids[0] for dcid, ids in found.items() if ids}


def _keys(dcid: str) -> list[Key]:
    scheme, _, value = dcid.partition("/")
    wikidata: list[Key] = [("wikidata", value)] if scheme == "wikidataId" else []
    return [("id", dcid), ("slug", dcid), *wikidata, ("datacommons", dcid)]


def _entities(session: ReadSession, ask: ObservationIn) -> _Entities:
    expression, dcids = ask.entity.expression, ask.entity.dcids
    if bool(expression) == bool(dcids):
        raise Invalid.at("/entity", "has either dcids or an expression")
    if expression:
        place = "/entity/expression"
        parent, arrow, rest = expression.partition("<-")
        step = relation(arrow + rest, place)
        if parent.strip() != EARTH or step.properties != ("containedInPlace+",) or not step.of_type:
            raise Invalid.at(
                place, "is Earth<-containedInPlace+{typeOf:Country}: what is in other places is not kept"
            )
        return _Entities({}, kind_of(step.of_type, place))
    named: dict[str, list[str]] = defaultdict(list)
    for dcid, entity_id in entities_of(session, dict.fromkeys(dcids)).items():
        named[entity_id].append(dcid)
    return _Entities(named)


def kind_of(name: str, place: str) -> EntityKind:
    """The kind that a type of entities is. Raises Invalid."""
    if name not in CLASSES:
        raise Invalid.at(place, f"has {name}, which is not a type of entities here{nearest(name, CLASSES)}")
    return CLASSES[name]


def _variables(session: ReadSession, dcids: Sequence[str]) -> dict[str, Variable]:
    """Those that are variables, whose other entities may have been merged since."""
    found = {dcid: variable for dcid in dcids if (variable := variables.read(dcid))}
    others = {other for variable in found.values() for other in variable.others}
    merged = entities_of(session, others) if others else {}
    return {
        dcid: variable._replace(others=tuple(sorted({merged.get(each, each) for each in variable.others})))
        for dcid, variable in found.items()
    }


# --- what there is -----------------------------------------------------------------------------


class _Number(NamedTuple):
    """One number of a figure, and where it is from. `order` is that of its facet among the others."""

    claim: str
    facet: Json
    sites: Sequence[str]
    date: str
    value: str
    order: tuple[Any, ...]


_Cells = dict[Variable, dict[str, list[_Number]]]
"""The numbers of each variable and each entity, by the dcid that the answer has."""

_Found = tuple[Variable, set[str], list[_Number]]
"""Numbers of a variable, of all of some entities together."""


def _cells(session: ReadSession, entities: _Entities, found: Iterable[_Found]) -> _Cells:
    rows = list(found)
    names = entities.names(session, set().union(*(subjects for _, subjects, _ in rows)))
    cells: _Cells = {}
    for variable, subjects, numbers in rows:
        for subject in subjects & names.keys():
            own = variable._replace(others=tuple(sorted(subjects - {subject})))
            for name in names[subject]:
                cells.setdefault(own, {}).setdefault(name, []).extend(numbers)
    return cells


def _available(session: ReadSession, wanted: Sequence[ColumnElement[bool]]) -> Iterator[_Found]:
    """Which variables there are, told by the database: some entities have more figures than are read."""
    what = [Figure.measure, Figure.unit, Figure.kind]
    each = (
        select(*what, func.aggregate_strings(col(Entity.canonical_id), "+").label("subjects"))
        .join(Claim, col(Claim.id) == col(Figure.claim_id))
        .join(FigureAbout, is_of_figure())
        .join(Entity, col(Entity.id) == col(FigureAbout.entity_id))
        .where(*wanted)
        .group_by(col(Figure.claim_id), col(Figure.position), *map(col, what))
        .subquery()
    )
    for row in _bounded(session, select(*each.c).distinct()):
        yield variables.of(row.kind, row.unit, row.measure), set(row.subjects.split("+")), []


def _numbers(
    session: ReadSession, wanted: Sequence[ColumnElement[bool]], ask: ObservationIn, base: str
) -> Iterator[_Found]:
    query = (
        select(Figure.id, Figure.claim_id).join(Claim, col(Claim.id) == col(Figure.claim_id)).where(*wanted)
    )
    if ask.date not in ("", "LATEST"):
        query = query.where(col(Figure.period_earliest) == span(ask.date).earliest)
    rows = _bounded(session, query)
    ids = {row.id for row in rows}
    for claim in bodies.of(session, sorted({row.claim_id for row in rows})).values():
        for figure in claim["figures"]:
            if figure["id"] in ids:
                variable = variables.of(figure["kind"], figure["unit"], figure["measure"])
                subjects = {subject["id"] for subject in figure["about"]}
                yield variable, subjects, list(_numbers_of(claim, figure, base))


def _bounded(session: ReadSession, query: Query) -> Sequence[Any]:
    rows = session.execute(query.limit(MOST + 1)).all()
    if len(rows) > MOST:
        raise Invalid(
            f"There are more than {MOST} figures: ask for fewer variables, fewer entities or one date."
        )
    return rows


def _numbers_of(claim: Json, figure: Json, base: str) -> Iterator[_Number]:
    when = variables.when(figure["period"])
    hosts = [site(each["source"]["url"]) for each in claim["appearances"]]
    verdict = claim["verification"]["verdict"]
    standing = (verdict in _NOT_BORNE_OUT) - (verdict in _BORNE_OUT)
    said = dated(claim["said"])
    latest = (said.latest if said else date.min).toordinal()
    methods = {"value": METHODS.get(figure["comparator"], ""), **BOUNDS}
    for name, method in methods.items():
        if figure[name] is not None:
            told = [method, "" if when.sure else UNSURE, _condition(figure)]
            facet = {
                "importName": _import_name(claim, hosts),
                "provenanceUrl": f"{base}v1/claims/{claim['id']}",
                "measurementMethod": "; ".join(filter(None, told)),
                "observationPeriod": when.period,
                "unit": figure["unit"],
            }
            order = (standing, name in BOUNDS, -latest)
            yield _Number(claim["id"], facet, hosts, when.date, figure[name], order)


def _condition(figure: Json) -> str:
    return f"Condition: {figure['condition']}" if figure["condition"] else ""


def _import_name(claim: Json, hosts: Sequence[str]) -> str:
    """Who says it, and who prints it first."""
    speakers = ", ".join(each["name"] for each in claim["speakers"])
    if not hosts:
        return speakers
    publisher = claim["appearances"][0]["source"]["publisher"]
    where = publisher["name"] if publisher else hosts[0]
    return speakers if where == speakers else f"{speakers}, in {where}"


# --- facets ------------------------------------------------------------------------------------


def _shown(numbers: Sequence[_Number], ask: ObservationIn, facets: dict[str, Json]) -> Json | None:
    """The facets of one variable and entity, the best first; None if all is filtered out."""
    if not numbers:
        return {}
    found = _wanted(_by_facet(numbers), ask)
    if not found:
        return None
    shown = []
    for facet_id, some in sorted(found.items(), key=lambda each: (each[1][0].order, each[0])):
        facets[facet_id] = {name: value for name, value in some[0].facet.items() if value}
        dates = sorted(number.date for number in some)
        told = {"facetId": facet_id, "earliestDate": dates[0], "latestDate": dates[-1], "obsCount": len(some)}
        if {"date", "value"} & set(ask.select):
            told["observations"] = [
                _observation(number, ask) for number in sorted(some, key=lambda each: each.date)
            ]
        shown.append(told)
    return {"orderedFacets": shown}


def _by_facet(numbers: Sequence[_Number]) -> dict[str, list[_Number]]:
    """What one claim says of one date more than once, such as under two conditions, is in a facet each."""
    found: dict[str, list[_Number]] = defaultdict(list)
    times: Counter[tuple[str, ...]] = Counter()
    for number in numbers:
        same = (number.claim, *number.facet.values())
        times[*same, number.date] += 1
        key = "\0".join((*same, str(times[*same, number.date])))
        found[hashlib.sha256(key.encode()).hexdigest()[:16]].append(number)
    return found


def _wanted(by_facet: Mapping[str, list[_Number]], ask: ObservationIn) -> dict[str, list[_Number]]:
    found = {
        facet_id: some for facet_id, some in by_facet.items() if _passes(ask.filter, facet_id, some[0].sites)
    }
    date = ask.date
    if date == "LATEST":
        date = max((number.date for some in found.values() for number in some), default="")
    dated = {
        facet_id: [number for number in some if not date or number.date == date]
        for facet_id, some in found.items()
    }
    return {facet_id: some for facet_id, some in dated.items() if some}


def _passes(wanted: FilterIn, facet_id: str, sites: Sequence[str]) -> bool:
    if wanted.facet_ids and facet_id not in wanted.facet_ids:
        return False
    domains = [domain.lower().removeprefix("www.") for domain in wanted.domains]
    return not domains or any(f".{host}".endswith(f".{domain}") for host in sites for domain in domains)


def _observation(number: _Number, ask: ObservationIn) -> Json:
    # As it is kept, to the last digit: it is the reader that makes a double of it.
    whole = {"date": number.date, "value": Fragment(number.value)}
    return {name: value for name, value in whole.items() if name in ask.select}
