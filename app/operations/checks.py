"""What `verify` looks at: the ledger, and everything that follows from it."""

from collections.abc import Callable, Iterator

from app.base.db import ReadSession
from app.base.notes import Checkpoint
from app.changes.walk import UNREADABLE
from app.changes.walk import verify as verify_ledger
from app.claims.quotes import verify as verify_quotes
from app.claims.upkeep import verify as verify_derived
from app.figures.store import verify as verify_figures
from app.search.store import verify as verify_index
from app.sources.store import verify as verify_texts

CHECKS: tuple[Callable[[ReadSession], Iterator[str]], ...] = (
    verify_texts,
    verify_quotes,
    verify_figures,
    verify_derived,
    verify_index,
)


def faults(session: ReadSession, signed: Checkpoint | None = None) -> Iterator[str]:
    """Every fault in the base's records, one line each; and whether they are those that a checkpoint was
    signed for.
    """
    yield from verify_ledger(session, signed)
    for check in CHECKS:
        try:
            yield from check(session)
        except UNREADABLE:
            yield f"{check.__module__.removeprefix('app.')}: what cannot be read is not checked"
