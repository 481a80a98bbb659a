"""What `verify` looks at: the ledger, and everything that follows from it."""

from collections.abc import Callable, Iterator, Mapping

from app.base.db import ReadSession
from app.base.notes import Checkpoint
from app.changes.walk import UNREADABLE
from app.changes.walk import verify as verify_ledger
from app.claims.quotes import verify as verify_quotes
from app.projections import PROJECTIONS
from app.sources.store import verify as verify_texts

CHECKS: Mapping[str, Callable[[ReadSession], Iterator[str]]] = {
    "texts": verify_texts,
    "quotes": verify_quotes,
    **{projection.name: projection.verify for projection in PROJECTIONS},
}


def faults(session: ReadSession, signed: Checkpoint | None = None) -> Iterator[str]:
    """Every fault in the base's records, one line each; and whether they are those that a checkpoint was
    signed for.
    """
    yield from verify_ledger(session, signed)
    for name, check in CHECKS.items():
        try:
            yield from check(session)
        except UNREADABLE:
            yield f"{name}: what cannot be read is not checked"
