"""Finds and ranks: BM25 over the postings, in whole numbers, so that both databases give one order.

Rare words choose the candidates; words that are in thousands of documents only add to the score of these, so
that a common word costs no more than a rare one. Where all words are common, the newest documents that have
all of them are ranked. Sources: Robertson and Zaragoza, The Probabilistic Relevance Framework (2009); the
"common terms" query of search engines.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Integer,
    and_,
    cast,
    column,
    exists,
    func,
    literal,
    or_,
    true,
    tuple_,
    union,
    union_all,
    values,
)
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.base.db import ReadSession
from app.base.page import Page, Question
from app.base.sql import select
from app.words.index import KINDS, SLOTS, Kind
from app.words.model import Document, Form, Posting, Stem
from app.words.query import Wanted
from app.words.text import is_run, latin, spelling, stem

COMMON = 3_000
"""A word in more documents than this chooses no candidates beside rarer ones."""

_CANDIDATES, _SCANNED, _FORMS = 300, 20_000, 50
MOST_RANKED = 1_000

NAME, SPELLED = "=", "~"
"""What stands before the terms of names: the name as it is, and the key of how it may be spelled."""


@dataclass
class Group:
    """One thing wanted, and all stems that stand for it: id and how many documents have it."""

    wanted: Wanted
    stems: dict[str, int] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True)
class Plan:
    """A query made ready: its groups, and how many documents there are."""

    groups: list[Group]
    total: int

    @property
    def sought(self) -> list[Group]:
        return [group for group in self.groups if not group.wanted.excluded]

    @property
    def excluded(self) -> list[Group]:
        return [group for group in self.groups if group.wanted.excluded]

    @property
    def required(self) -> list[Group]:
        """What every hit must have, whatever else it has."""
        return [group for group in self.sought if group.wanted.how in ("phrase", "prefix")]


@dataclass(frozen=True)
class Hit:
    """A document that was found."""

    number: int
    record_id: str
    score: int

    @property
    def kind(self) -> Kind:
        return KINDS[self.number % SLOTS]


# --- what stands for a word --------------------------------------------------------------------


def stems_of(wanted: Wanted) -> list[str]:
    """The stems that a thing wanted is looked up by, all of which a phrase needs."""
    if wanted.how == "name":
        return []
    if wanted.how != "phrase":
        return [stem(wanted.forms[0])]
    pairs = zip(wanted.forms, wanted.forms[1:], strict=False)
    runs = [a + b for a, b in pairs if is_run(a) and is_run(b)]
    return runs or list(dict.fromkeys(map(stem, wanted.forms)))


def names_of(wanted: Wanted) -> list[str]:
    """The terms of names that a word may be one of."""
    if wanted.how == "prefix":
        return []
    if wanted.how in ("phrase", "name"):
        return [NAME + " ".join(wanted.forms)]
    form = wanted.forms[0]
    keys = [NAME + form, NAME + latin(form)]
    return list(dict.fromkeys([*keys, SPELLED + key] if len(key := spelling(form)) > 2 else keys))


def plan(session: ReadSession, wanted: Sequence[Wanted], more: Any) -> Plan:
    """The groups of a query. `more` gives the terms that stand for a thing wanted besides its own."""
    groups = [
        Group(each, dict.fromkeys([*stems_of(each), *names_of(each), *more(each)], 0)) for each in wanted
    ]
    for group in groups:
        if group.wanted.how == "prefix":
            group.counts = _beginning_with(session, group.wanted.forms[0])
    asked = sorted({"", *(stemmed for group in groups for stemmed in group.stems)})
    rows = session.execute(select(Stem.stem, Stem.id, Stem.documents).where(col(Stem.stem).in_(asked)))
    known = {row.stem: row for row in rows}
    for group in groups:
        found = [known[stemmed] for stemmed in group.stems if stemmed in known]
        group.stems = {row.stem: row.id for row in found}
        group.counts |= {row.id: row.documents for row in found if row.documents}
    return Plan(groups, known[""].documents if "" in known else 0)


def _beginning_with(session: ReadSession, form: str) -> dict[int, int]:
    after = form[:-1] + chr(ord(form[-1]) + 1)
    query = (
        select(Stem.id, Stem.documents)
        .join(Form, col(Form.stem_id) == col(Stem.id))
        .where(col(Form.form) >= form, col(Form.form) < after, col(Stem.documents) > 0)
        .order_by(col(Form.form))
        .limit(_FORMS)
    )
    return {row.id: row.documents for row in session.execute(query)}


# --- conditions --------------------------------------------------------------------------------


def has(group: Group, number: Any) -> ColumnElement[bool]:
    """That the document with that number has the thing wanted."""
    if group.wanted.how != "phrase":
        return _has_any(list(group.counts), number)
    own = [group.stems.get(stemmed, -1) for stemmed in stems_of(group.wanted)]
    others = [i for stemmed, i in group.stems.items() if stemmed not in stems_of(group.wanted)]
    said = and_(*(_has_any([stem_id], number) for stem_id in own), _says(group.wanted, number))
    return or_(said, _has_any(others, number)) if others else said


def _has_any(stem_ids: Sequence[int], number: Any) -> ColumnElement[bool]:
    other = aliased(Posting)
    return exists().where(col(other.stem_id).in_(stem_ids), col(other.document) == number)


def _says(wanted: Wanted, number: Any) -> ColumnElement[bool]:
    phrase = f" {' '.join(wanted.forms)} "
    other = aliased(Document)
    words: Any = col(other.words)
    return exists().where(col(other.number) == number, words.contains(phrase, autoescape=True))


def matching(plan: Plan, record_id: Any) -> ColumnElement[bool]:
    """That a record, by the column of its id, has everything wanted and nothing excluded."""
    number = col(Document.number)
    sought = [group for group in plan.sought if group.wanted.how != "name"]
    clauses = [_alike(group, number) for group in sought] + [~has(g, number) for g in plan.excluded]
    if min(group.size for group in sought) > COMMON:
        return exists().where(col(Document.record_id) == record_id, *clauses)
    found: ColumnElement[bool] = col(record_id).in_(select(Document.record_id).where(*clauses))
    return found


def _alike(group: Group, number: Any) -> ColumnElement[bool]:
    if group.wanted.how == "phrase" or group.size > COMMON:
        return has(group, number)
    some = select(Posting.document).where(col(Posting.stem_id).in_(list(group.counts)))
    found: ColumnElement[bool] = number.in_(some)
    return found


# --- ranking -----------------------------------------------------------------------------------

Condition = Callable[[Any], ColumnElement[bool]]
"""What a document must meet, made of the column with its number."""


def rank(
    session: ReadSession,
    plan: Plan,
    kinds: Sequence[Kind],
    limit: int,
    after: Sequence[int] | None = None,
    *,
    among: Any = None,
    down: bool = True,
) -> list[Hit]:
    """The best documents of some kinds, at most `limit` after a score and number; `among` those whose record
    is one of a SELECT of ids. Not `down`, they come the other way round.
    """
    if not any(group.counts for group in plan.sought):
        return []
    scored = _scored(plan, _allowed(plan, kinds, among))
    columns = col(Document.number), col(Document.record_id), scored.c.score
    query = select(*columns).join(scored, scored.c.document == col(Document.number))
    keys = scored.c.score, col(Document.number)
    if after is not None:
        here, there = tuple_(*keys), tuple_(*(literal(key, BigInteger) for key in after))
        query = query.where(here < there if down else here > there)
    query = query.order_by(*(key.desc() if down else key.asc() for key in keys)).limit(limit)
    return [Hit(row.number, row.record_id, int(row.score)) for row in session.execute(query)]


def _allowed(plan: Plan, kinds: Sequence[Kind], among: Any) -> list[Condition]:
    slots = [KINDS.index(kind) for kind in kinds]
    conditions: list[Condition] = []
    if len(slots) < len(KINDS):
        conditions.append(lambda number: (number % SLOTS).in_(slots))
    if among is not None:
        other = aliased(Document)
        record = col(other.record_id).in_(among)
        conditions.append(lambda number: exists().where(col(other.number) == number, record))
    conditions += [partial(has, group) for group in plan.required]
    conditions += [partial(_lacks, group) for group in plan.excluded]
    return conditions


def _lacks(group: Group, number: Any) -> ColumnElement[bool]:
    return ~has(group, number)


def _scored(plan: Plan, allowed: Sequence[Condition]) -> Any:
    """document and score: of each group the best stem, and of all groups the sum."""
    weights = [
        (stem_id, part, _rarity(count, plan.total), count <= COMMON)
        for part, group in enumerate(plan.sought)
        for stem_id, count in group.counts.items()
    ]
    rare, common = ([each[:3] for each in weights if each[3] is kind] for kind in (True, False))
    if not common:
        return _summed(_rows_of(rare, allowed), MOST_RANKED)
    found: list[Any] = []
    chosen: list[Any] = []
    if rare:
        rows = _rows_of(rare, allowed).cte("rare")
        best = _summed(rows, _CANDIDATES)
        chosen.append(select(best.c.document))
        found.append(select(*rows.c))
    if all(group.size > COMMON for group in plan.sought if group.counts and group.wanted.how != "name"):
        chosen.append(_newest([group for group in plan.sought if group.counts], allowed))
    candidates = union(*chosen).cte("candidates")
    found.append(_looked_up(common, candidates))
    everything = union_all(*found).subquery()
    known = select(*everything.c).join(candidates, candidates.c.document == everything.c.document)
    return _summed(known, MOST_RANKED)


def _rows_of(weights: Sequence[Any], allowed: Sequence[Condition]) -> Any:
    """document, part and s: what each stem gives to each document that has it."""
    table = _table(weights, "rare_stems")
    number = col(Posting.document)
    return (
        select(
            number.label("document"),
            table.c.part,
            (cast(col(Posting.weight), Integer) * table.c.rarity).label("s"),
        )
        .select_from(table)
        .join(Posting, col(Posting.stem_id) == table.c.stem)
        .where(*(condition(number) for condition in allowed))
    )


def _looked_up(weights: Sequence[Any], candidates: Any) -> Any:
    table = _table(weights, "common_stems")
    this = and_(col(Posting.stem_id) == table.c.stem, col(Posting.document) == candidates.c.document)
    return (
        select(
            candidates.c.document,
            table.c.part,
            (cast(col(Posting.weight), Integer) * table.c.rarity).label("s"),
        )
        .select_from(candidates)
        .join(table, true())
        .join(Posting, this)
    )


def _summed(rows: Any, limit: int) -> Any:
    rows = rows if isinstance(rows, CTE) else rows.subquery()
    best = (
        select(rows.c.document, func.max(rows.c.s).label("best"))
        .group_by(rows.c.document, rows.c.part)
        .subquery()
    )
    score = func.sum(best.c.best)
    return (
        select(best.c.document, score.label("score"))
        .group_by(best.c.document)
        .order_by(score.desc(), best.c.document.desc())
        .limit(limit)
        .subquery()
    )


def _newest(groups: Sequence[Group], allowed: Sequence[Condition]) -> Any:
    """The newest documents that have all of what is common."""
    needed = [group for group in groups if group.wanted.how != "name"]
    rarest, *others = sorted(needed, key=lambda group: group.size)
    scanned = union_all(*map(_scan, _leading(rarest))).subquery()
    number = scanned.c.document
    newest = (
        select(number)
        .where(*(has(group, number) for group in others), *(condition(number) for condition in allowed))
        .distinct()
        .order_by(number.desc())
        .limit(_CANDIDATES)
    )
    return select(newest.subquery().c.document)


def _leading(group: Group) -> list[int]:
    if group.wanted.how != "phrase":
        return list(group.counts)
    own = [stem_id for stem in stems_of(group.wanted) if (stem_id := group.stems.get(stem)) in group.counts]
    others = group.counts.keys() - own
    return [*sorted(own, key=lambda stem_id: group.counts[stem_id])[:1], *others]


def _scan(stem_id: int) -> Any:
    number = col(Posting.document)
    query = select(number.label("document")).where(col(Posting.stem_id) == stem_id)
    return select(query.order_by(number.desc()).limit(_SCANNED).subquery().c.document)


def _table(weights: Sequence[Any], name: str) -> Any:
    """Each stem, the group that it is in, and how rare it is, in hundredths."""
    columns = column("stem", Integer), column("part", Integer), column("rarity", Integer)
    return values(*columns, name=name).data([tuple(each) for each in weights]).cte(name)


def _rarity(documents: int, total: int) -> int:
    return round(100 * math.log(1 + (max(total, documents) - documents + 0.5) / (documents + 0.5)))


def ranked(
    session: ReadSession, finding: Any, kind: Kind, among: Any, ask: Question, after: Sequence[int] | None
) -> Page[Hit]:
    """A page of one kind, the best first. Scores are of the moment: a page that follows another while much is
    written may miss what has risen meanwhile.
    """
    down = ask.order == "desc"
    hits = rank(session, finding.plan, [kind], ask.limit + 1, after, among=among, down=down)
    if len(hits) <= ask.limit:
        return Page(hits)
    last = hits[ask.limit - 1]
    return Page(hits[: ask.limit], (last.score, last.number))
