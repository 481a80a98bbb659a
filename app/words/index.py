"""Puts records into the index and takes them out, many at a time, in the transaction of their write."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any, Literal, get_args

from sqlalchemy import bindparam, case, delete, func
from sqlmodel import col

from app.base.db import ReadSession, WriteSession
from app.base.public import HIDDEN_SLOT
from app.base.sql import Counts, Query, among, insert_many, many, select, table
from app.changes.model import Record
from app.changes.store import Follower, Projection
from app.words.model import Document, Form, Posting, Stem
from app.words.text import forms, is_run, stem

Kind = Literal["claim", "entity", "source", "figure"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SLOTS = 8
"""Document numbers are a multiple of this and the place of their kind in KINDS, and HIDDEN_SLOT more if the
record is hidden.
"""

_USUAL_LENGTH = {"claim": 25, "entity": 12, "source": 12, "figure": 25}
"""How many words a document of a kind has. Fixed, so that no weight depends on what else is there."""

K1, B = 1.2, 0.75
_CHUNK = 500
_LONGEST = 200
"""No form of a word is longer: what is, is cut."""


@dataclass
class Words:
    """What a record is found by: texts, each with how much its words count, and terms that are no words. The
    public does not find it if it is `hidden`.
    """

    texts: list[tuple[float, str]] = field(default_factory=list)
    terms: list[tuple[float, str]] = field(default_factory=list)
    hidden: bool = False


def slots(kind: Kind) -> tuple[int, int]:
    """Return what the numbers of documents of a kind have as remainder, if they are seen and if hidden."""
    place = KINDS.index(kind)
    return place, place + HIDDEN_SLOT


def kind_of(number: int) -> Kind:
    """Return the kind of a document by its number."""
    return KINDS[number % HIDDEN_SLOT]


def weight(kind: str, frequency: float, length: int) -> int:
    """A stem's part of the score in BM25, in hundredths: all of it but how rare the stem is."""
    long = 1 - B + B * length / _USUAL_LENGTH[kind]
    return round(100 * frequency * (K1 + 1) / (frequency + K1 * long))


@dataclass
class _Entry:
    words: str
    weights: dict[str, int]
    forms: dict[str, str]


def _entry(kind: str, words: Words) -> _Entry:
    sequence: list[str] = []
    frequency: dict[str, float] = {}
    stems: dict[str, str] = {}
    for factor, written in words.texts:
        here = [form[:_LONGEST] for form in forms(written)]
        sequence += ("", *here)  # a phrase does not go from one text to the next
        for form in here:
            stems[form] = stemmed = stem(form)
            frequency[stemmed] = frequency.get(stemmed, 0) + factor
        if not written.isascii():
            for pair in _pairs(here):
                frequency[pair] = frequency.get(pair, 0) + factor
    length = len(sequence) - len(words.texts)
    for factor, term in words.terms:
        frequency[term] = frequency.get(term, 0) + factor
    weights = {stemmed: weight(kind, count, length) for stemmed, count in frequency.items()}
    return _Entry(" ".join(sequence) + " ", weights, stems)


def _pairs(forms: Sequence[str]) -> Iterator[str]:
    """Two characters that stand together in a script without spaces."""
    return (one + two for one, two in pairwise(forms) if is_run(one) and is_run(two))


# --- writing -----------------------------------------------------------------------------------


def put(
    session: WriteSession,
    kind: Kind,
    records: Mapping[str, Words],
    gone: Iterable[str] = (),
    *,
    new: bool = False,
) -> None:
    """Makes records, by id, found by these words and no others, and those that are `gone` by none; none of
    them is in the index yet if they are `new`.
    """
    entries = {record_id: _entry(kind, words) for record_id, words in records.items()}
    old = {} if new else {row.record_id: row for row in _kept(session, [*entries, *gone])}
    ids = _stem_ids(session, (stem for entry in entries.values() for stem in entry.weights))
    _write_forms(session, entries.values(), ids)
    rows: list[tuple[int, str, str, str]] = []
    postings: list[tuple[int, int, int]] = []
    slot = {key: slots(kind)[words.hidden] for key, words in records.items()}
    kept = {key: row.number for key, row in old.items() if slot.get(key) == row.number % SLOTS}
    numbers = _numbers(session, {key: slot[key] for key in entries if key not in kept}) | kept
    for record_id, entry in entries.items():
        number, weights = numbers[record_id], {ids[stem]: weight for stem, weight in entry.weights.items()}
        rows.append((number, record_id, entry.words, " ".join(map(str, sorted(weights)))))
        postings += [(stem_id, number, weight) for stem_id, weight in weights.items()]
    before = {(stem_id, row.number) for row in old.values() for stem_id in _ids_in(row.stems)}
    _write(session, old, rows, before, postings)


def _kept(session: ReadSession, record_ids: Sequence[str]) -> Iterator[Any]:
    for some in _chunks(record_ids):
        columns = Document.number, Document.record_id, Document.stems
        yield from session.execute(select(*columns).where(col(Document.record_id).in_(some)))


def _ids_in(stems: str) -> Iterator[int]:
    return map(int, stems.split())


def _chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    everything = list(values)
    for start in range(0, len(everything), _CHUNK):
        yield everything[start : start + _CHUNK]


def _numbers(session: ReadSession, slot: Mapping[str, int]) -> dict[str, int]:
    last = session.execute(select(func.max(Document.number))).scalar() or 0
    first = last // SLOTS + 1
    return {record_id: (first + n) * SLOTS + slot[record_id] for n, record_id in enumerate(slot)}


@dataclass
class _Known:
    """The stems and forms that a transaction has met: nobody else writes while it lasts."""

    stems: dict[str, int] = field(default_factory=dict)
    forms: set[str] = field(default_factory=set)


_REMEMBERED = 200_000


def _known(session: ReadSession) -> _Known:
    known: _Known = session.info.setdefault(_Known, _Known())
    if len(known.stems) + len(known.forms) > _REMEMBERED:
        known = session.info[_Known] = _Known()
    return known


def _stem_ids(session: WriteSession, stems: Iterable[str]) -> Mapping[str, int]:
    known = _known(session).stems
    unmet = sorted({stem for stem in ("", *stems) if stem not in known})
    if unmet:
        rows = session.execute(select(Stem.stem, Stem.id).where(among(session, Stem.stem, unmet)))
        known.update({row.stem: row.id for row in rows})
    missing = [stem for stem in unmet if stem not in known]
    if missing:
        last = session.execute(select(func.max(Stem.id))).scalar() or 0
        new = {stem: last + n for n, stem in enumerate(missing, 1)}
        insert_many(session, Stem, [(stem_id, stem, 0, 0) for stem, stem_id in new.items()])
        known.update(new)
    return known


def _write_forms(session: WriteSession, entries: Iterable[_Entry], ids: Mapping[str, int]) -> None:
    known = _known(session).forms
    unmet = {form: ids[stem] for entry in entries for form, stem in entry.forms.items() if form not in known}
    if unmet:
        rows = session.execute(select(Form.form, Form.stem_id).where(among(session, Form.form, unmet)))
        there = {row.form: row.stem_id for row in rows}
        insert_many(session, Form, [pair for pair in sorted(unmet.items()) if pair[0] not in there])
        moved = [(ids, form) for form, ids in sorted(unmet.items()) if there.get(form, ids) != ids]
        many(session, _MOVE_FORM, moved)  # its stem is another than in an earlier version
        known |= unmet.keys()


_MOVE_FORM = "UPDATE forms SET stem_id = ? WHERE form = ?"
_COUNTS, _HIDDEN_COUNTS = (
    Counts(
        f"UPDATE stems SET {name} = {name} + ?2 WHERE id = ?1",
        f"UPDATE stems SET {name} = {name} + counted"
        " FROM unnest(?::int[], ?::bigint[]) AS more (stem_id, counted) WHERE id = stem_id",
    )
    for name in ("documents", "hidden")
)
_UNPOST = "DELETE FROM postings WHERE stem_id = ? AND document = ?"


def _write(
    session: WriteSession,
    old: Mapping[str, Any],
    rows: Sequence[tuple[int, str, str, str]],
    before: set[tuple[int, int]],
    postings: Sequence[tuple[int, int, int]],
) -> None:
    connection = session.connection()
    for some in _chunks(old):
        connection.execute(delete(table(Document)).where(table(Document).c.record_id.in_(some)))
    insert_many(session, Document, rows)
    many(session, _UNPOST, sorted(before))
    insert_many(session, Posting, sorted(postings))
    now, then = [row[:2] for row in postings], [*before]
    now += [(_stem_ids(session, ())[""], row[0]) for row in rows]
    then += [(_stem_ids(session, ())[""], row.number) for row in old.values()]
    _COUNTS.add(session, _more(now, then))
    _HIDDEN_COUNTS.add(session, _more(filter(_is_hidden, now), filter(_is_hidden, then)))


def _more(now: Iterable[tuple[int, int]], then: Iterable[tuple[int, int]]) -> Counter[Any]:
    found = Counter((stem_id,) for stem_id, _ in now)
    found.subtract((stem_id,) for stem_id, _ in then)
    return found


def _is_hidden(posting: tuple[int, int]) -> bool:
    return bool(posting[1] & HIDDEN_SLOT)


def forget(session: WriteSession, texts: Iterable[str]) -> None:
    """Take the words of erased texts out of those that are known, but for words that a record still has."""
    gone = {form[:_LONGEST] for written in texts for form in forms(written)}
    for form in sorted(gone):
        stem_id = session.execute(select(Form.stem_id).where(col(Form.form) == form)).scalar()
        if stem_id is not None and not _is_used(session, form, stem_id):
            session.execute(delete(table(Form)).where(table(Form).c.form == form))
    session.execute(delete(table(Stem)).where(table(Stem).c.documents == 0, table(Stem).c.stem != ""))
    session.info.pop(_Known, None)


def _is_used(session: ReadSession, form: str, stem_id: int) -> bool:
    documents = select(Document.number).join(Posting, col(Posting.document) == col(Document.number))
    having = col(Document.words).contains(f" {form} ", autoescape=True)
    query = documents.where(col(Posting.stem_id) == stem_id, having)
    return session.execute(query.limit(1)).first() is not None


def clear(session: WriteSession) -> None:
    """Empties the index."""
    for kind in (Posting, Form, Stem, Document):
        session.execute(delete(table(kind)))
    session.info.pop(_Known, None)


# --- checking ----------------------------------------------------------------------------------


def kept(session: ReadSession, record_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """The weight of each stem that some records are found by."""
    found: dict[str, dict[str, int]] = {}
    for some in _chunks(record_ids):
        query = (
            select(Document.record_id, Stem.stem, Posting.weight)
            .join(Posting, col(Posting.document) == col(Document.number))
            .join(Stem, col(Stem.id) == col(Posting.stem_id))
            .where(col(Document.record_id).in_(some))
        )
        for record_id, stemmed, weight in session.execute(query):
            found.setdefault(record_id, {})[stemmed] = weight
    return found


def miscounts(session: ReadSession) -> Iterator[str]:
    """Yields what is wrong with the counts of the index as a whole."""
    hides = col(Posting.document).bitwise_and(HIDDEN_SLOT) != 0
    numbers = func.count().label("n"), func.count(case((hides, 1))).label("hidden")
    counted = select(Posting.stem_id, *numbers).group_by(col(Posting.stem_id)).subquery()
    astray = col(Stem.documents) != func.coalesce(counted.c.n, 0)
    astray |= col(Stem.hidden) != func.coalesce(counted.c.hidden, 0)
    wrong = select(Stem.stem).outerjoin(counted, counted.c.stem_id == col(Stem.id))
    for stemmed in session.execute(wrong.where(astray, col(Stem.stem) != "").limit(10)).scalars():
        yield f"the count of documents with {stemmed!r} is out of date"
    total = session.execute(select(Stem.documents, Stem.hidden).where(col(Stem.stem) == "")).first()
    hides = col(Document.number).bitwise_and(HIDDEN_SLOT) != 0
    size = session.execute(select(func.count(), func.count(case((hides, 1)))).select_from(table(Document)))
    if tuple(total or (0, 0)) != tuple(size.one()):
        yield "the count of documents is out of date"


COUNTS = Projection("word counts", {}, clear=clear, verify=miscounts, totals=miscounts)
"""What is counted of all kinds together."""


# --- nouns -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Noun:
    """A kind of record that can be found: the ids of all of them, and the words of some. A record that has
    none is not found.
    """

    kind: Kind
    ids: Callable[[ReadSession, str], Iterator[list[str]]]
    words: Callable[[ReadSession, Sequence[str]], Mapping[str, Words]]

    def keep(self, session: WriteSession, ids: Sequence[str], *, new: bool = False) -> None:
        """Makes some records found by the words that they have now; `new` ones are not in the index yet."""
        words = self.words(session, ids)
        put(session, self.kind, words, {*ids} - words.keys(), new=new)

    def projection(self, on_saved: Mapping[type[Record], Follower]) -> Projection:
        """Return what follows the records that these words are of."""
        return Projection(f"{self.kind} words", on_saved, self.ids, self.keep, verify=self.verify)

    def verify(self, session: ReadSession) -> Iterator[str]:
        """Yields each record that is not found by just the words that it has."""
        seen = 0
        for ids in self.ids(session, ""):
            found, standing = kept(session, ids), {row.record_id: row.number for row in _kept(session, ids)}
            words = self.words(session, ids)
            seen += len(words)
            for record_id in ids:
                expected = _entry(self.kind, words[record_id]).weights if record_id in words else {}
                if found.get(record_id, {}) != expected:
                    yield f"{self.kind} {record_id}: is not found by the words that it has"
                elif expected and standing[record_id] % SLOTS != slots(self.kind)[words[record_id].hidden]:
                    yield f"{self.kind} {record_id}: is found by others than it should be"
        there = session.execute(_standing(), {"slot": KINDS.index(self.kind)}).scalar_one()
        if there != seen:
            yield f"{there} documents stand for {seen} records of kind {self.kind}"


@cache
def _standing() -> Query:
    """The query for how many documents stand for records of a kind."""
    this = col(Document.number) % HIDDEN_SLOT == bindparam("slot")
    return select(func.count()).select_from(table(Document)).where(this)


def batches(column: Any) -> Callable[[ReadSession, str], Iterator[list[str]]]:
    """All ids of a table after one, some hundreds at a time, in order."""
    query = select(column).where(column > bindparam("last")).order_by(column).limit(_CHUNK)

    def walk(session: ReadSession, last: str) -> Iterator[list[str]]:
        more = True
        while more and (ids := list(session.execute(query, {"last": last}).scalars())):
            yield ids
            last, more = ids[-1], len(ids) == _CHUNK

    return walk
