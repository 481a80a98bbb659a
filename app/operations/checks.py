"""What `verify` looks at: the ledger, and everything that follows from it."""

from collections.abc import Callable, Iterator, Mapping

from app.base.db import ReadSession
from app.base.notes import Checkpoint
from app.changes.walk import UNREADABLE
from app.changes.walk import verify as verify_ledger
from app.claims.quotes import verify as verify_quotes
from app.projections import PROJECTIONS, is_of_this_version
from app.sources.store import verify as verify_texts

Checks = Mapping[str, Callable[[ReadSession], Iterator[str]]]

_OF_RECORDS: Checks = {"texts": verify_texts, "quotes": verify_quotes}

CHECKS: Checks = {**_OF_RECORDS, **{each.name: each.verify for each in PROJECTIONS}}


def faults(session: ReadSession, signed: Checkpoint | None = None) -> Iterator[str]:
    """Every fault in the base's records, one line each; and whether they are those that a checkpoint was
    signed for.
    """
    yield from verify_ledger(session, signed)
    yield from _found(session, CHECKS)


def faults_of_a_backup(session: ReadSession) -> Iterator[str]:
    """The same of a backup, whose projections may be of another version, to be rebuilt by `migrate`."""
    yield from verify_ledger(session)
    yield from _found(session, CHECKS if is_of_this_version(session) else _OF_RECORDS)


def _found(session: ReadSession, checks: Checks) -> Iterator[str]:
    for name, check in checks.items():
        try:
            yield from check(session)
        except UNREADABLE:
            yield f"{name}: what cannot be read is not checked"
