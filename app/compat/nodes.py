"""Entities, variables, claims and their types as nodes, and the relations between them, both ways."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, exists, func, tuple_
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.base.db import ReadSession
from app.base.errors import Invalid
from app.base.ids import noun_of
from app.base.sql import Query, among, select
from app.claims import bodies
from app.claims.model import Claim, Figure
from app.compat import variables
from app.compat.datacommons_wire import MOST, Json, NodeIn, Relation, relation
from app.compat.observations import CLASSES, CONTAINED, EARTH, entities_of, kind_of
from app.compat.variables import Variable
from app.entities import documents
from app.entities.model import Affiliation, Entity
from app.figures.store import is_of_figure

PAGE = 500
"""How many nodes lead to those of a question in one answer."""

MOST_INWARD = 100
"""Of how many nodes a question asks what leads to them."""

VARIABLE, PROVENANCE, CLASS = "StatisticalVariable", "Provenance", "Class"
_TYPES = (CLASS, VARIABLE, PROVENANCE, *CLASSES)
KINDS: Mapping[str, str] = {kind: name for name, kind in CLASSES.items()}
"""The names of types by the kinds of entities."""

_CONSTRAINTS = {"figureKind": "kind of figure", "measuredWith": "measured together with"}

Properties = dict[str, list[Json]]
After = Sequence[Any]
Listing = Callable[[ReadSession, After, int], tuple[list[Json], After | None]]
"""Some nodes after the one with these keys, and the keys of the last if there are more."""


def related(session: ReadSession, ask: NodeIn, after: After | None, base: str) -> tuple[Json, After | None]:
    """What nodes are related to, by their dcids, and after what to go on if there is more. Raises Invalid."""
    step, dcids = relation(ask.property), list(dict.fromkeys(ask.nodes))
    if not step.out:
        if len(dcids) > MOST_INWARD:
            raise Invalid.at("/nodes", f"has {len(dcids)}; of {MOST_INWARD} it is told what leads to them")
        return _inward(session, step, dcids, after)
    found = _outward(session, dcids, base)
    return {dcid: _arcs(step, found.get(dcid, {})) for dcid in dcids}, None


def _arcs(step: Relation, found: Properties) -> Json:
    if step.labels:
        told = sorted(name for name, nodes in found.items() if nodes)
        return {"properties": told} if told else {}
    # Without a value it has no arcs, but says so: the client takes all nodes to be like the first.
    names = found if step.properties is None else step.properties
    of_type = [(name, _of_type(found.get(name.rstrip("+"), []), step.of_type)) for name in names]
    return {"arcs": {name: {"nodes": nodes} for name, nodes in of_type if nodes}}


def _of_type(nodes: list[Json], name: str | None) -> list[Json]:
    return [node for node in nodes if name is None or name in node.get("types", ())]


def _values(*texts: str | None) -> list[Json]:
    return [{"value": text} for text in texts if text]


def _ref(dcid: str, name: str, kind: str) -> Json:
    return {"dcid": dcid, "name": name, "types": [kind]}


# --- from a node -------------------------------------------------------------------------------


def _outward(session: ReadSession, dcids: Sequence[str], base: str) -> dict[str, Properties]:
    """The properties of the nodes that there are."""
    found: dict[str, Properties] = {
        dcid: {"name": _values(dcid), "typeOf": [_ref(CLASS, CLASS, CLASS)]}
        for dcid in dcids
        if dcid in _TYPES
    }
    if EARTH in dcids:
        found[EARTH] = {"name": _values(EARTH), "typeOf": _typed("Place")}
    asked = {dcid: variable for dcid in dcids if (variable := variables.read(dcid))}
    claims = [dcid for dcid in dcids if noun_of(dcid) == "claim"]
    others = [dcid for dcid in dcids if dcid not in found and dcid not in asked and noun_of(dcid) != "claim"]
    return {
        **found,
        **(_variables(session, asked) if asked else {}),
        **(_claims(session, claims, base) if claims else {}),
        **(_entities(session, others, base) if others else {}),
    }


def _typed(name: str) -> list[Json]:
    return [_ref(name, name, CLASS)]


def _entities(session: ReadSession, dcids: Sequence[str], base: str) -> dict[str, Properties]:
    ids = entities_of(session, dcids)
    found = documents.by_id(session, sorted(set(ids.values())))
    beside = {held["organization"]["id"] for each in found.values() for held in each["affiliations"]}
    query = select(Entity.id, Entity.kind).where(among(session, Entity.id, beside))
    kinds = {str(row.id): str(row.kind) for row in session.execute(query)}
    return {dcid: _entity(found[entity_id], kinds, base) for dcid, entity_id in ids.items()}


def _entity(entity: Json, kinds: Mapping[str, str], base: str) -> Properties:
    others, ids = entity["aliases"], entity["external_ids"]
    held = {each["organization"]["id"]: each["organization"]["name"] for each in entity["affiliations"]}
    return {
        "name": _values(entity["name"]),
        "typeOf": _typed(KINDS[entity["kind"]]),
        "description": _values(entity["description"]),
        "alternateName": _values(*(each["name"] for each in others)),
        "nameWithLanguage": _values(
            *(f"{each['name']}@{each['language']}" for each in others if each["language"])
        ),
        "wikidataId": _values(*(each["value"] for each in ids if each["scheme"] == "wikidata")),
        "externalId": _values(*(f"{each['scheme']}:{each['value']}" for each in ids)),
        "affiliation": [_ref(dcid, name, KINDS[kinds[dcid]]) for dcid, name in held.items()],
        "url": _values(f"{base}v1/entities/{entity['id']}"),
    }


def _claims(session: ReadSession, ids: Sequence[str], base: str) -> dict[str, Properties]:
    """Claims, which are where numbers are from: how they stand, who makes them, and what prints them."""
    return {
        dcid: {
            "name": _values(claim["text"]),
            "typeOf": _typed(PROVENANCE),
            "url": _values(f"{base}v1/claims/{dcid}"),
            "source": _values(*(each["source"]["url"] for each in claim["appearances"])),
            "speaker": _values(*(each["name"] for each in claim["speakers"])),
            **{name: _values(claim["verification"][name]) for name in ("status", "verdict", "attribution")},
        }
        for dcid, claim in bodies.of(session, ids).items()
    }


def _variables(session: ReadSession, asked: Mapping[str, Variable]) -> dict[str, Properties]:
    """Variables of which there are figures."""
    left_out = _left_out(session, {variable.measure for variable in asked.values()})
    beside = {other for variable in asked.values() for other in variable.others}
    if len(beside) > MOST:
        raise Invalid.at("/nodes", f"has variables of {len(beside)} other entities; {MOST} are read at once")
    others = documents.by_id(session, sorted(beside))
    return {
        dcid: _variable(variable, left_out[variable.alone], [others[each] for each in variable.others])
        for dcid, variable in asked.items()
        if variable.alone in left_out and others.keys() >= set(variable.others)
    }


def _variable(variable: Variable, left_out: int, others: Sequence[Json]) -> Properties:
    beside = [_ref(each["id"], each["name"], KINDS[each["kind"]]) for each in others]
    held = {"figureKind": _values(variable.kind), **({"measuredWith": beside} if beside else {})}
    return {
        "name": _values(_name(variable, [each["name"] for each in others])),
        "typeOf": _typed(VARIABLE),
        "measuredProperty": _values(variable.measure),
        "statType": _values("measuredValue"),
        "constraintProperties": [_ref(name, _CONSTRAINTS[name], "Property") for name in held],
        "observationsLeftOut": _values(str(left_out)),
        **held,
    }


def _name(variable: Variable, others: Iterable[str] = ()) -> str:
    """`bilateral trade (reported, USD), with China`."""
    beside = ", ".join(others)
    return f"{variable.measure} ({variable.kind}, {variable.within})" + (f", with {beside}" if beside else "")


def _left_out(session: ReadSession, measures: Iterable[str]) -> dict[Variable, int]:
    """The variables of some measures, and how many figures are in no observation of theirs."""
    about = exists().where(is_of_figure())
    what = [col(Figure.kind), col(Figure.unit), col(Figure.measure)]
    count = func.count().filter(~(variables.datable() & about)).label("left_out")
    query = select(*what, count).where(among(session, Figure.measure, measures)).group_by(*what)
    query = query.join(Claim, col(Claim.id) == col(Figure.claim_id)).where(col(Claim.status) != "withdrawn")
    found: dict[Variable, int] = {}
    for row in session.execute(query):
        variable = variables.of(row.kind, row.unit, row.measure)
        found[variable] = found.get(variable, 0) + row.left_out
    return found


# --- to a node ---------------------------------------------------------------------------------


def _inward(
    session: ReadSession, step: Relation, dcids: Sequence[str], after: After | None
) -> tuple[Json, After | None]:
    """The nodes that lead to some, up to as many as a page has."""
    data: Json = {dcid: {} if step.labels else {"arcs": {}} for dcid in dcids}
    ways = list(_ways(session, step, dcids))
    first, *keys = after or [0]
    left = PAGE
    for n, (dcid, name, listing) in enumerate(ways[first:], first):
        rows, last = listing(session, keys if n == first else (), 1 if step.labels else left)
        if step.labels:
            data[dcid] = {"properties": [*data[dcid].get("properties", []), *([name] if rows else [])]}
            continue
        if rows:
            data[dcid]["arcs"][name] = {"nodes": rows}
        left -= len(rows)
        if last is not None:
            return data, (n, *last)
        if left <= 0 and n + 1 < len(ways):
            return data, (n + 1,)
    return data, None


def _ways(session: ReadSession, step: Relation, dcids: Sequence[str]) -> Iterator[tuple[str, str, Listing]]:
    """Each way to a node: by which property, and how its other ends are listed."""
    names = ("affiliation", "containedInPlace", "typeOf") if step.properties is None else step.properties
    ids = entities_of(session, dcids)
    for dcid in dcids:
        for name in names:
            if name == "typeOf" and dcid in _TYPES:
                yield dcid, name, _of_class(dcid)
            elif name in CONTAINED and dcid == EARTH:
                yield (
                    dcid,
                    name,
                    _entities_that(col(Entity.kind) == kind_of(step.of_type or "Country", "property")),
                )
            elif name == "affiliation" and dcid in ids:
                yield dcid, name, _entities_that(_affiliated(ids[dcid]))


def _of_class(name: str) -> Listing:
    match name:
        case "Class":
            return _classes
        case "StatisticalVariable":
            return _all_variables
        case "Provenance":
            return _ALL_CLAIMS
        case _:
            return _entities_that(col(Entity.kind) == CLASSES[name])


def _affiliated(entity_id: str) -> ColumnElement[bool]:
    """That an entity, or what is merged into it, holds a title at another."""
    holder, organization = aliased(Entity), aliased(Entity)
    held = (
        select(holder.canonical_id)
        .join(Affiliation, col(Affiliation.entity_id) == col(holder.id))
        .join(organization, col(organization.id) == col(Affiliation.organization_id))
        .where(col(organization.canonical_id) == entity_id)
    )
    return col(Entity.id).in_(held)


def _classes(_session: ReadSession, after: After, limit: int) -> tuple[list[Json], After | None]:
    [first] = after or [0]
    there = [_ref(name, name, CLASS) for name in _TYPES[first : first + limit]]
    return there, [first + limit] if first + limit < len(_TYPES) else None


def _entities_that(clause: ColumnElement[bool]) -> Listing:
    query = select(Entity.id, Entity.name, Entity.kind).where(clause, col(Entity.merged_into_id).is_(None))
    return _by_id(query, Entity.id, lambda row: _ref(row.id, row.name, KINDS[row.kind]))


def _by_id(query: Query, own: Any, shown: Callable[[Any], Json]) -> Listing:
    """The rows of a query as nodes, in the order of their ids."""

    def listed(session: ReadSession, after: After, limit: int) -> tuple[list[Json], After | None]:
        rest = query.where(col(own) > after[0]) if after else query
        rows = session.execute(rest.order_by(own).limit(limit + 1)).all()
        found = [shown(row) for row in rows[:limit]]
        return found, [found[-1]["dcid"]] if len(rows) > limit else None

    return listed


_ALL_CLAIMS = _by_id(
    select(Claim.id, Claim.text).where(col(Claim.status) != "withdrawn"),
    Claim.id,
    lambda row: _ref(row.id, row.text, PROVENANCE),
)


def _all_variables(session: ReadSession, after: After, limit: int) -> tuple[list[Json], After | None]:
    """Each measure of one entity; which others there are with it, the entity's observations tell."""
    pair = col(Figure.measure), col(Figure.kind)
    holds = [col(Figure.claim_id) == col(Claim.id), col(Claim.status) != "withdrawn"]
    query = select(*pair).where(*holds).group_by(*pair).order_by(*pair).limit(limit + 1)
    if after:
        query = query.where(tuple_(*pair) > tuple(after))
    pairs = [(row.measure, row.kind) for row in session.execute(query)]
    # All units of a measure and kind are on one page: those that convert into each other are one variable.
    of_these = among(session, Figure.measure, {measure for measure, _ in pairs[:limit]})
    units = select(*pair, Figure.unit).where(*holds, of_these).group_by(*pair, col(Figure.unit))
    there = {
        variables.of(row.kind, row.unit, row.measure)
        for row in session.execute(units)
        if (row.measure, row.kind) in pairs[:limit]
    }
    found = [_ref(each.dcid, _name(each), VARIABLE) for each in sorted(there)]
    return found, pairs[limit - 1] if len(pairs) > limit else None
