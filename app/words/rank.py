"""Finds and ranks: BM25 over the postings, in whole numbers, so that both databases give one order.

Rare words choose the candidates; words that are in thousands of documents only add to the score of these, so
that a common word costs no more than a rare one. Where all words are common, the newest documents that have
all of them are ranked. Sources: Robertson and Zaragoza, The Probabilistic Relevance Framework (2009); the
"common terms" query of search engines.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, exists, literal, or_, text, tuple_
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
    number = col(Document.number)
    conditions = [has(group, number) for group in plan.required]
    conditions += [~has(group, number) for group in plan.excluded]
    conditions += [] if among is None else [col(Document.record_id).in_(among)]
    sums = text(_sums(plan, kinds, bounded=not conditions)).columns(document=BigInteger, score=BigInteger)
    scored = sums.subquery("scored")
    keys = scored.c.score, number
    best = select(number, col(Document.record_id), scored.c.score).join(scored, scored.c.document == number)
    best = best.where(*conditions).order_by(*(key.desc() for key in keys)).limit(MOST_RANKED)
    top = best.subquery("top")
    query, ends = select(top), (top.c.score, top.c.number)
    if after is not None:
        here, there = tuple_(*ends), tuple_(*(literal(key, BigInteger) for key in after))
        query = query.where(here < there if down else here > there)
    query = query.order_by(*(key.desc() if down else key.asc() for key in ends)).limit(limit)
    return [Hit(row.number, row.record_id, int(row.score)) for row in session.execute(query)]


def _sums(plan: Plan, kinds: Sequence[Kind], *, bounded: bool) -> str:
    """SQL for document and score: of each group the best stem, and of all groups the sum. It is written of
    whole numbers only, for to build it of parts takes longer than to run it. `bounded`, documents beyond the
    best of some hundreds are left out before common words are looked up.
    """
    weights = [
        (stem_id, part, _rarity(count, plan.total), count <= COMMON)
        for part, group in enumerate(plan.sought)
        for stem_id, count in group.counts.items()
    ]
    slots = ", ".join(str(KINDS.index(kind)) for kind in kinds)
    of_kind = f" AND p.document & {SLOTS - 1} IN ({slots})" if len(kinds) < len(KINDS) else ""
    rare = " UNION ALL ".join(_read(*weight[:3]) + of_kind for weight in weights if weight[3])
    common = [weight[:3] for weight in weights if not weight[3]]
    if not common:
        return _summed(rare)
    chosen = [_chosen("SELECT document, part, s FROM rare", _CANDIDATES if bounded else 0)] if rare else []
    needed = [group for group in plan.sought if group.counts and group.wanted.how != "name"]
    if all(group.size > COMMON for group in needed):
        chosen.append(_newest(needed, of_kind, _CANDIDATES if bounded else _SCANNED))
    found = [_looked_up(*weight) for weight in common]
    tables = [f"candidates AS ({' UNION '.join(chosen)})"]
    if rare:
        tables.insert(0, f"rare AS ({rare})")
        found.append("SELECT document, part, s FROM rare WHERE document IN (SELECT document FROM candidates)")
    return f"WITH {', '.join(tables)} {_summed(' UNION ALL '.join(found))}"


def _read(stem_id: int, part: int, rarity: int) -> str:
    score = f"SELECT p.document, {part} AS part, p.weight * {rarity} AS s"
    return f"{score} FROM postings p WHERE p.stem_id = {stem_id}"


def _looked_up(stem_id: int, part: int, rarity: int) -> str:
    # A join would tempt either database to read all postings of the stem.
    weight = f"SELECT p.weight FROM postings p WHERE p.stem_id = {stem_id} AND p.document = c.document"
    return f"SELECT c.document, {part} AS part, COALESCE(({weight}), 0) * {rarity} AS s FROM candidates c"


def _summed(rows: str) -> str:
    best = f"SELECT document, part, MAX(s) AS best FROM ({rows}) AS a GROUP BY document, part"
    return f"SELECT document, CAST(SUM(best) AS BIGINT) AS score FROM ({best}) AS b GROUP BY document"


def _chosen(rows: str, limit: int) -> str:
    ordered = f" ORDER BY score DESC, document DESC LIMIT {limit}" if limit else ""
    return f"SELECT document FROM ({_summed(rows)}{ordered}) AS best_of_rare"


def _newest(groups: Sequence[Group], of_kind: str, limit: int) -> str:
    """The newest documents that have all of what is common."""
    rarest, *others = sorted(groups, key=lambda group: group.size)
    scanned = " UNION ALL ".join(
        f"SELECT document FROM (SELECT p.document FROM postings p WHERE p.stem_id = {stem_id}{of_kind}"
        f" ORDER BY p.document DESC LIMIT {_SCANNED}) AS scanned_{stem_id}"
        for stem_id in _leading(rarest)
    )
    having = " AND ".join(f"({_one_of(group)} LIMIT 1) = 1" for group in others) or "1 = 1"
    newest = f"SELECT DISTINCT n.document FROM ({scanned}) AS n WHERE {having} ORDER BY n.document DESC"
    return f"SELECT document FROM ({newest} LIMIT {limit}) AS newest"


def _one_of(group: Group) -> str:
    stems = ", ".join(map(str, group.counts))
    return f"SELECT 1 FROM postings o WHERE o.document = n.document AND o.stem_id IN ({stems})"


def _leading(group: Group) -> list[int]:
    if group.wanted.how != "phrase":
        return list(group.counts)
    own = [stem_id for stem in stems_of(group.wanted) if (stem_id := group.stems.get(stem)) in group.counts]
    others = group.counts.keys() - own
    return [*sorted(own, key=lambda stem_id: group.counts[stem_id])[:1], *others]


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
