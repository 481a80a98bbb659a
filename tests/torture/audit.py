"""What the base has, held against the book: read from its tables, past the server and its caches."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from app.base.db import Database, ReadSession
from app.operations.checks import faults
from tests.torture.writers import ROWS, Book, Kind, Wish

CLAIM = {"claim": 1, "body": 1, "speaker": 1, "appearance": 1, "figure": 2, "entry": 1}
WHOLE: dict[Kind, dict[str, int]] = {
    "claim": CLAIM,
    "revision": {"context": 1, "entry": 1},
    "take": {"entry": 1},
    "review": {"review": 1, "evidence": 2, "entry": 4},
    "import": {piece: count * ROWS for piece, count in CLAIM.items()} | {"entity": 1, "entry": ROWS + 1},
}
"""What a write leaves in the base, in pieces: rows of tables, and entries of the ledger."""

REQUESTS = """SELECT changes.resource_id, told.request_id FROM changes
  JOIN change_values AS told ON told.seq = changes.seq WHERE told.request_id LIKE '%-%'"""

OF_CLAIMS = {"body": "claim_bodies", "speaker": "claim_speakers", "appearance": "appearances",
             "figure": "figures"}  # fmt: skip


@dataclass
class Findings:
    """What is wrong, each thing in a line."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    half_written: list[str] = field(default_factory=list)
    verify_faults: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(vars(self).values())


def audit(url: str, book: Book) -> Findings:
    """Compares the base with the book. Every write must be final by then."""
    db = Database(url)
    try:
        with db.read() as session:
            found = Findings(verify_faults=[*faults(session)])
            pieces, records = _pieces(session)
    finally:
        db.dispose()
    for wish in book.wishes.values():
        _judge(wish, pieces.pop(wish.marker, Counter()), records, found)
    found.doubled += [f"{marker} was never asked for" for marker in pieces]
    return found


def _judge(wish: Wish, pieces: Counter[str], records: dict[str, str], found: Findings) -> None:
    whole = Counter(WHOLE[wish.kind])
    if not pieces:
        if wish.acknowledged:
            found.lost.append(wish.marker)
        return
    if wish.acknowledged and wish.kind in ("claim", "review") and records.get(wish.marker) != wish.record:
        found.lost.append(f"{wish.marker} was acknowledged as {wish.record}")
    if less := whole - pieces:
        found.half_written.append(f"{wish.marker} lacks {dict(less)}")
    if more := pieces - whole:
        found.doubled.append(f"{wish.marker} has {dict(more)} too many")


def _pieces(session: ReadSession) -> tuple[dict[str, Counter[str]], dict[str, str]]:
    """What there is by marker, and the id of the record that has it."""
    pieces: dict[str, Counter[str]] = {}
    records: dict[str, str] = {}
    for marker, piece, count, record in _rows(session):
        pieces.setdefault(marker, Counter())[piece] += count
        if piece in ("claim", "review"):
            records.setdefault(marker, record)
    return pieces, records


def _rows(session: ReadSession) -> Iterator[tuple[str, str, int, str]]:
    def ask(query: str) -> Iterator[Any]:
        yield from (tuple(row) for row in session.execute(text(query)))

    stated = {claim: said.split()[0] for claim, said in ask("SELECT id, text FROM claims")}
    for claim, marker in stated.items():
        yield marker, "claim", 1, claim
    for piece, table in OF_CLAIMS.items():
        for (claim,) in ask(f"SELECT claim_id FROM {table}"):
            yield stated[claim], piece, 1, claim
    for claim, context in ask("SELECT id, context FROM claims WHERE context IS NOT NULL"):
        yield context, "context", 1, claim
    for entity, name in ask("SELECT id, name FROM entities WHERE slug <> 'the-speaker'"):
        yield name, "entity", 1, entity
    summaries = dict(ask("SELECT id, summary FROM reviews"))
    for review, summary in summaries.items():
        yield summary, "review", 1, review
    for (review,) in ask("SELECT review_id FROM review_evidence"):
        yield summaries[review], "evidence", 1, review
    for record, request in ask(REQUESTS):
        yield request, "entry", 1, record
