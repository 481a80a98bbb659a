"""Finds and ranks: BM25 over the postings, in whole numbers, so that both databases give one order.

Rare words choose the candidates; words that are in thousands of documents only add to the score of these, so
that a common word costs no more than a rare one. Where all words are common, the newest documents that have
all of them are ranked. Sources: Robertson and Zaragoza, The Probabilistic Relevance Framework (2009); the
"common terms" query of search engines.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    and_,
    exists,
    literal,
    literal_column,
    or_,
    text,
    tuple_,
)
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.base.db import Asker, Readable, ReadSession, at_once, within
from app.base.page import Page, Question
from app.base.prepared import NotAtOnce, Prepared
from app.base.sql import select
from app.words.index import KINDS, SLOTS, Kind, kind_of, slots
from app.words.model import Document, Posting
from app.words.plan import COMMON, Group, Plan, stems_of
from app.words.query import Wanted

_CANDIDATES, _SCANNED = 300, 20_000
MOST_RANKED = 1_000

_AT_ONCE = 10_000
"""More postings than this are read in a thread: it takes milliseconds."""


@dataclass(frozen=True)
class Hit:
    """A document that was found."""

    number: int
    record_id: str
    score: int

    @property
    def kind(self) -> Kind:
        return kind_of(self.number)


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
    hidden: str | None = None,
    down: bool = True,
) -> list[Hit]:
    """The best documents of some kinds, at most `limit` after a score and number; `among` those whose record
    is one of a SELECT of ids, and none whose number is one of `hidden`, a SELECT in SQL. Not `down`, they
    come the other way round.
    """
    if among is None and not plan.conditional:
        return best(within(session), plan, kinds, limit, after, hidden=hidden, down=down)
    if not plan.found:
        return []
    number = col(Document.number)
    conditions = [has(group, number) for group in plan.required]
    conditions += [~has(group, number) for group in plan.excluded]
    conditions += [] if among is None else [col(Document.record_id).in_(among)]
    conditions += [] if hidden is None else [literal_column(f"documents.number NOT IN ({hidden})", Boolean)]
    sums = text(_scores(plan, kinds, bounded=not conditions)).columns(document=BigInteger, score=BigInteger)
    scored = sums.subquery("scored")
    keys = scored.c.score, number
    best_of_all = select(number, col(Document.record_id), scored.c.score)
    best_of_all = best_of_all.join(scored, scored.c.document == number).where(*conditions)
    top = best_of_all.order_by(*(key.desc() for key in keys)).limit(MOST_RANKED).subquery("top")
    query, ends = select(top), (top.c.score, top.c.number)
    if after is not None:
        here, there = tuple_(*ends), tuple_(*(literal(key, BigInteger) for key in after))
        query = query.where(here < there if down else here > there)
    query = query.order_by(*(key.desc() if down else key.asc() for key in ends)).limit(limit)
    return [Hit(row.number, row.record_id, int(row.score)) for row in session.execute(query)]


def best(
    ask: Asker,
    plan: Plan,
    kinds: Sequence[Kind],
    limit: int,
    after: Sequence[int] | None = None,
    *,
    hidden: str | None = None,
    down: bool = True,
) -> list[Hit]:
    """The same of a plan that is not `conditional`, among all documents."""
    if not plan.found:
        return []
    scores = _scores(plan, kinds, bounded=True)
    if hidden is not None:
        scores = f"SELECT document, score FROM ({scores}) AS all_found WHERE document NOT IN ({hidden})"
    direction = "DESC" if down else "ASC"
    where = ""
    if after is not None or not down:
        scores = f"SELECT document, score FROM ({scores}) AS r {_ORDER.format('DESC')} LIMIT {MOST_RANKED}"
    if after is not None:
        score, number = map(int, after)
        where = f"WHERE (score, document) {'<' if down else '>'} ({score}, {number}) "
    order = _ORDER.format(direction)
    top = f"SELECT document, score FROM ({scores}) AS ranked {where}{order} LIMIT {limit}"
    query = f"SELECT number, record_id, score FROM ({top}) AS top JOIN documents ON number = document {order}"
    rows = ask(Prepared(query), {})
    return [Hit(number, record_id, score) for number, record_id, score in rows]


_ORDER = "ORDER BY score {0}, document {0}"


class _Weight(NamedTuple):
    """What a stem counts for."""

    stem_id: int
    rarity: int
    common: bool


def _scores(plan: Plan, kinds: Sequence[Kind], *, bounded: bool) -> str:
    """SQL for document and score: of each group the best stem, and of all groups the sum. It is written of
    whole numbers only, for to build it of parts takes longer than to run it. `bounded`, documents beyond the
    best of some hundreds are left out before common words are looked up.
    """
    groups = [
        [
            _Weight(stem_id, _rarity(count, plan.total), count > COMMON)
            for stem_id, count in group.counts.items()
        ]
        for group in plan.found
    ]
    wanted = ", ".join(str(slot) for kind in kinds for slot in slots(kind))
    of_kind = f" AND p.document & {SLOTS - 1} IN ({wanted})" if len(kinds) < len(KINDS) else ""
    rare = [some for group in groups if (some := [weight for weight in group if not weight.common])]
    summed = _summed([_read(group, of_kind) for group in rare]) if rare else ""
    if not any(weight.common for group in groups for weight in group):
        return summed
    chosen = []
    if rare:
        most = f" {_ORDER.format('DESC')} LIMIT {_CANDIDATES}" if bounded else ""
        chosen.append(f"SELECT document FROM ({summed}{most}) AS best_of_rare")
    needed = [group for group in plan.found if group.wanted.how != "name"]
    if needed and all(group.size > COMMON for group in needed):
        chosen.append(_newest(needed, of_kind, _CANDIDATES if bounded else _SCANNED))
    score = " + ".join(map(_looked_up, groups))
    return f"SELECT c.document, {score} AS score FROM ({' UNION '.join(chosen)}) AS c"


def _read(group: Sequence[_Weight], of_kind: str) -> str:
    """The documents of a group, each once, with its best stem's part of the score."""
    reads = [
        f"SELECT p.document, p.weight * {rarity} AS score FROM postings p"
        f" WHERE p.stem_id = {stem_id}{of_kind}"
        for stem_id, rarity, _ in group
    ]
    if len(reads) == 1:
        return reads[0]
    return f"SELECT document, MAX(score) AS score FROM ({' UNION ALL '.join(reads)}) AS g GROUP BY document"


def _looked_up(group: Sequence[_Weight]) -> str:
    # A join would tempt either database to read all postings of a stem.
    stems = ", ".join(str(weight.stem_id) for weight in group)
    best = f"SELECT MAX(p.weight * {_rarities(group)}) FROM postings p WHERE p.document = c.document"
    return f"COALESCE(({best} AND p.stem_id IN ({stems})), 0)"


def _rarities(group: Sequence[_Weight]) -> str:
    if len({weight.rarity for weight in group}) == 1:
        return str(group[0].rarity)
    return f"CASE p.stem_id {' '.join(f'WHEN {stem} THEN {rarity}' for stem, rarity, _ in group)} END"


def _summed(groups: Sequence[str]) -> str:
    if len(groups) == 1:
        return groups[0]
    parts = " UNION ALL ".join(groups)
    return f"SELECT document, SUM(score) AS score FROM ({parts}) AS parts GROUP BY document"


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
    own = [i for stem in stems_of(group.wanted) if (i := group.stems.get(stem, -1)) in group.counts]
    others = group.counts.keys() - own
    return [*sorted(own, key=lambda stem_id: group.counts[stem_id])[:1], *others]


def _rarity(documents: int, total: int) -> int:
    return round(100 * math.log(1 + (max(total, documents) - documents + 0.5) / (documents + 0.5)))


def ranked(
    session: ReadSession,
    finding: Any,
    kind: Kind,
    among: Any,
    ask: Question,
    after: Sequence[int] | None,
    hidden: str | None = None,
) -> Page[Hit]:
    """A page of one kind, the best first. Scores are of the moment: a page that follows another while much is
    written may miss what has risen meanwhile.
    """
    hits = rank(
        session,
        finding.plan,
        [kind],
        ask.limit + 1,
        after,
        among=among,
        hidden=hidden,
        down=ask.order == "desc",
    )
    return paged(ask, hits)


def ranked_at_once(
    base: Readable,
    plan: Plan,
    kind: Kind,
    ask: Question,
    after: Sequence[int] | None,
    hidden: str | None,
) -> Page[Hit]:
    """The same, among all documents of that kind. Raises NotAtOnce if it takes long."""
    if plan.conditional or plan.effort > _AT_ONCE:
        raise NotAtOnce
    down = ask.order == "desc"
    return paged(ask, best(at_once(base), plan, [kind], ask.limit + 1, after, hidden=hidden, down=down))


def paged(ask: Question, hits: Sequence[Hit]) -> Page[Hit]:
    """A page of hits, of which there may be one more than were asked for."""
    if len(hits) <= ask.limit:
        return Page(hits)
    last = hits[ask.limit - 1]
    return Page(hits[: ask.limit], (last.score, last.number))
