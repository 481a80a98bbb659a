"""What `verify` looks at: the ledger, and everything that follows from it."""

from collections.abc import Callable, Iterator

from app.base.db import ReadSession
from app.base.notes import Checkpoint
from app.changes import tree
from app.changes.ledger import last_seq
from app.changes.walk import UNREADABLE
from app.changes.walk import verify as verify_ledger
from app.claims import upkeep
from app.claims.quotes import verify as verify_quotes
from app.claims.upkeep import verify as verify_derived
from app.figures.store import verify as verify_figures
from app.search.store import is_empty
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


def is_underived(session: ReadSession) -> bool:
    """Whether something that is derived from the records was not made, as a migration leaves it."""
    size = session.execute(last_seq()).scalar() or 0
    return tree.is_missing(session, size) or upkeep.is_missing(session) or is_empty(session)
