"""Claims that may be something to one, found by words and figures they have in common, each with why.

What they are is for a checker to judge; what was judged is not suggested again, of whichever of the claims
that repeat one another it was judged.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import Any

from sqlalchemy import Row, union_all
from sqlmodel import col

from app.base.db import ReadSession, within
from app.base.page import Page
from app.base.sql import select
from app.claims import bodies
from app.claims.model import Claim, Figure
from app.claims.repeats import firsts
from app.claims.store import document
from app.claims.words import WITHDRAWN, match
from app.figures.series import disagree, line_of, question_of
from app.links.model import Judgement, SuggestionQuestion
from app.links.store import brief, judged
from app.words.explain import Finding
from app.words.plan import COMMON, look_up, plan
from app.words.query import Wanted
from app.words.rank import best
from app.words.text import forms, stem

_WORDS, _READ, _LONG = 32, 10_000, 1_000
"""By how many of its rarest words a claim is compared, if that many records at most have them between them,
and how many words of it are looked at.
"""

_ALIKE, _SOMEWHAT = 50, 10
"""How many hundredths of these, by how rare they are, make another much the same, and how many count."""

_LOOKED_AT, _FIGURES = 50, 20
"""How many claims are looked at by their words, and by each of so many figures: the newest."""

_AGREES, _DIFFERS, _SPEAKER, _SUBJECT = 40, 60, 20, 10
"""What a figure, a speaker and a subject in common add to a score, in which all words in common are 100."""

Json = dict[str, Any]


@dataclass
class _Candidate:
    """A claim, how much of the words it has (in hundredths), and its figures that are of the same as one of
    this claim's: that one, its own, and whether they agree.
    """

    claim: Json
    alike: int
    agreeing: list[tuple[Json, Json]] = field(default_factory=list)
    differing: list[tuple[Json, Json]] = field(default_factory=list)
    speakers: list[str] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)

    @property
    def score(self) -> int:
        figures = _DIFFERS * bool(self.differing) + _AGREES * bool(self.agreeing)
        return self.alike + figures + _SPEAKER * bool(self.speakers) + _SUBJECT * bool(self.subjects)

    @property
    def key(self) -> tuple[int, str]:
        return self.score, self.claim["id"]

    @property
    def relations(self) -> Iterator[str]:
        """What it may be, the likeliest first."""
        if self.differing:
            yield "contradicts"
            return
        if self.alike >= _ALIKE:
            yield "repeats"
        if self.agreeing:
            yield "supports"


@dataclass(frozen=True)
class _Suggestion:
    relation: str
    candidate: _Candidate
    link: str | None


def find(
    session: ReadSession, claim_id: str, ask: SuggestionQuestion, after: Sequence[Any] | None
) -> Page[Json]:
    """A page of suggestions. Raises NotFound."""
    claim = document(session, claim_id)
    finding, alike = _by_words(session, claim)
    pairs = _by_figures(session, claim)
    claims = bodies.of(session, sorted({*alike, *(other.claim_id for _, other in pairs)}))
    others = [other for other in claims.values() if other["verification"]["status"] != "withdrawn"]
    candidates = {other["id"]: _compared(claim, other, alike.get(other["id"], 0)) for other in others}
    _set_side_by_side(claim, candidates, pairs)
    found = _judgeable(session, claim, candidates.values(), ask)
    page = _paged([each for each in found if each.relation in (ask.relation or (each.relation,))], ask, after)
    return Page([_shown(each, finding) for each in page.rows], page.last)


def _first(claim: Json) -> str:
    """The claim that it repeats, or itself."""
    return str(claim["repeats"] or claim["id"])


def _paged(
    found: Iterable[_Suggestion], ask: SuggestionQuestion, after: Sequence[Any] | None
) -> Page[_Suggestion]:
    down = ask.order == "desc"
    rows = sorted(found, key=lambda each: each.candidate.key, reverse=down)
    if after is not None:
        last = tuple(after)
        rows = [row for row in rows if (row.candidate.key < last if down else row.candidate.key > last)]
    page = rows[: ask.limit]
    return Page(page, page[-1].candidate.key if len(rows) > ask.limit else None)


# --- by words ----------------------------------------------------------------------------------


def _by_words(session: ReadSession, claim: Json) -> tuple[Finding, dict[str, int]]:
    """A query for a claim's rarest words, and how much of them others have, in hundredths, by id."""
    ask = within(session)
    wanted: dict[str, Wanted] = {}
    for form in islice(_said(claim), _LONG):
        wanted.setdefault(stem(form), Wanted("word", (form,)))
    known = look_up(ask, {"", *wanted})
    rarest = sorted((known[each].documents, each) for each in wanted.keys() & known.keys())[:_WORDS]
    reads = accumulate(count if count <= COMMON else 0 for count, _ in rarest)
    chosen = [each for (_, each), read in zip(rarest, reads, strict=True) if read <= _READ]
    finding = Finding(plan(ask, known, {wanted[each]: [each] for each in chosen}))
    if not any(known[each].documents <= COMMON for each in chosen):
        return finding, {}  # there is nothing that tells it from thousands of others
    hits = best(ask, finding.plan, ["claim"], _LOOKED_AT + 1, hidden=WITHDRAWN)
    scores = {hit.record_id: hit.score for hit in hits}
    whole = max(scores.pop(claim["id"], hits[0].score if hits else 0), 1)
    shares = {other: min(100 * score // whole, 100) for other, score in scores.items()}
    return finding, {other: share for other, share in shares.items() if share >= _SOMEWHAT}


def _said(claim: Json) -> Iterator[str]:
    for text in (claim["text"], claim["original_text"] or ""):
        yield from forms(text)


# --- by figures --------------------------------------------------------------------------------


def _by_figures(session: ReadSession, claim: Json) -> list[tuple[Row[Any], Row[Any]]]:
    """The claim's figures of a period, each with the newest of the same measure and period elsewhere."""
    names = ("id", "claim_id", "measure", "kind", "lowest", "highest", "period_earliest", "period_latest")
    figures = select(*(getattr(Figure, name) for name in names)).where(col(Figure.period).is_not(None))
    mine = figures.where(col(Figure.claim_id) == claim["id"]).order_by(col(Figure.position)).limit(_FIGURES)
    own = session.execute(mine).all()
    if not own:
        return []
    same = [
        figures.where(
            col(Figure.measure) == figure.measure,
            col(Figure.period_earliest) == figure.period_earliest,
            col(Figure.period_latest) == figure.period_latest,
        )
        .order_by(col(Figure.claim_id).desc())
        .limit(_LOOKED_AT)
        .subquery()
        for figure in own
    ]
    others = session.execute(union_all(*(select(*each.c) for each in same))).all()

    def of(figure: Row[Any]) -> tuple[Any, ...]:
        return figure.measure, figure.period_earliest, figure.period_latest, question_of(figure)

    return [(one, other) for one in own for other in others if of(one) == of(other)]


def _set_side_by_side(
    claim: Json, candidates: Mapping[str, _Candidate], pairs: Iterable[tuple[Row[Any], Row[Any]]]
) -> None:
    """Tells the candidates of those pairs of figures that are of the same subjects and dimension."""
    own = {figure["id"]: figure for figure in claim["figures"]}
    for one, other in pairs:
        candidate = candidates.get(other.claim_id)
        if candidate is None:
            continue
        [theirs] = [figure for figure in candidate.claim["figures"] if figure["id"] == other.id]
        pair = own[one.id], theirs
        if line_of(pair[0]) == line_of(pair[1]) and pair not in candidate.agreeing + candidate.differing:
            (candidate.differing if disagree(one, other) else candidate.agreeing).append(pair)


# --- what is left to judge ---------------------------------------------------------------------


def _compared(claim: Json, other: Json, alike: int) -> _Candidate:
    speakers, subjects = (_in_common(claim[name], other[name]) for name in ("speakers", "about"))
    return _Candidate(other, alike, speakers=speakers, subjects=subjects)


def _in_common(some: Sequence[Json], others: Sequence[Json]) -> list[str]:
    known = {each["id"] for each in others}
    return [each["name"] for each in some if each["id"] in known]


def _judgeable(
    session: ReadSession, claim: Json, candidates: Iterable[_Candidate], ask: SuggestionQuestion
) -> Iterator[_Suggestion]:
    """Of the claims that repeat one another the closest, as what it was not judged to be or not to be."""
    closest: dict[str, _Candidate] = {}
    for candidate in sorted(candidates, key=lambda each: each.key):
        closest[_first(candidate.claim)] = candidate
    closest.pop(_first(claim), None)
    before = _judged(session, _first(claim))
    for first, candidate in closest.items():
        judgements = before.get(first, {})
        settled = any(judgement == "positive" for judgement, _ in judgements.values())
        for relation in () if settled else candidate.relations:
            judgement, link = judgements.get(relation, (None, None))
            if judgement is None or (judgement == "unsure" and "unsure" in ask.include):
                yield _Suggestion(relation, candidate, link)
                break


_SURER: Sequence[Judgement] = ("unsure", "negative", "positive")


def _judged(session: ReadSession, first: str) -> dict[str, dict[str, tuple[str, str]]]:
    """What was judged of a claim or one that repeats it, with which link: by the first of the others, and by
    relation. Of several links the surest counts.
    """
    family = select(Claim.id).where((col(Claim.id) == first) | (col(Claim.repeats_id) == first))
    links = judged(session, family)
    of = firsts(session, {end for link in links for end in (link.claim_id, link.other_id)})
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for link in sorted(links, key=lambda each: _SURER.index(each.judgement)):
        for end in (link.claim_id, link.other_id):
            if of[end] != first:
                found.setdefault(of[end], {})[link.relation] = (link.judgement, link.id)
    return found


# --- showing -----------------------------------------------------------------------------------


def _shown(suggestion: _Suggestion, finding: Finding) -> Json:
    candidate = suggestion.candidate
    return {
        "claim": brief(candidate.claim),
        "relation": suggestion.relation,
        "score": candidate.score,
        "reasons": list(_reasons(candidate, finding)),
        "link": suggestion.link,
    }


def _reasons(candidate: _Candidate, finding: Finding) -> Iterator[Json]:
    if candidate.alike:
        found = match(finding, candidate.claim, candidate.alike)["reasons"]
        words = ", ".join(dict.fromkeys(reason["word"] for reason in found))
        yield _reason("words", candidate.alike, f"{candidate.alike}% of its words, by how rare: {words}")
    for pairs, points, said in (
        (candidate.differing, _DIFFERS, "differs"),
        (candidate.agreeing, _AGREES, "agrees"),
    ):
        for n, (one, other) in enumerate(pairs):
            detail = (
                f"{one['measure']}, {one['period']} {said}: {one['display']} here, {other['display']} there"
            )
            yield _reason("figure", 0 if n else points, detail, [one["id"], other["id"]])
    if candidate.speakers:
        yield _reason("speaker", _SPEAKER, ", ".join(candidate.speakers))
    if candidate.subjects:
        yield _reason("subject", _SUBJECT, ", ".join(candidate.subjects))


def _reason(kind: str, points: int, detail: str, figures: Sequence[str] = ()) -> Json:
    return {"kind": kind, "points": points, "detail": detail, "figures": list(figures)}
