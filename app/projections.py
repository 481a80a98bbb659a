"""The projections: all data derived from records, in the order in which it is kept, rebuilt and verified, and
the version of it that a database has.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import islice
from time import monotonic

import orjson
from sqlalchemy import Connection, inspect

from app import visibility
from app.base import properties, schema
from app.base.db import Database, ReadSession, WriteSession
from app.base.errors import Unavailable
from app.base.sql import gathered, select
from app.changes import tree
from app.changes.ledger import head, last_seq
from app.changes.model import Change
from app.changes.store import install
from app.claims import ranks, references, twins, upkeep
from app.claims import words as claim_words
from app.claims.derived import ClaimBody
from app.claims.model import Claim
from app.entities import words as entity_words
from app.entities.model import Entity
from app.figures import words as figure_words
from app.sources import words as source_words
from app.words import index
from app.words.model import Document

DIGESTS: Mapping[int, str] = {
    1: "b098604307a3d23f99fa50854f61fc9bcd0b3639422392ff9023eca0ab393e32",
    2: "8efebfbc0a55d17e3a226d2a7effb471364e4e831e11feb98497d0a176c5a9df",
    3: "abb5c977d3c5f29d122bbaf8e4f6c1c5fd5aeae63899f664be229315b05b2e1a",
    4: "9f14495fb6d652c40a35ab6c09895bf98041bc3daccf3c177ef079ebb4f45ab9",
}
"""Each version of the projections, and the digest of what its code makes of the databases of the tests. Where
a change of the code changes the digest, add the next version: `python -m app migrate` then rebuilds those of
databases that have another.
"""

VERSION = max(DIGESTS)

PROJECTIONS = (
    *visibility.PROJECTIONS,
    references.PROJECTION,
    ranks.PROJECTION,
    twins.PROJECTION,
    upkeep.ORDER,
    upkeep.PROJECTION,
    entity_words.PROJECTION,
    source_words.PROJECTION,
    claim_words.PROJECTION,  # of documents, as those of figures are
    figure_words.PROJECTION,
    index.COUNTS,
)
install(PROJECTIONS)

_PROPERTY = "projections"
"""The property of the database that has the version of its projections, or how far their rebuild is."""

_MIGRATE = "python -m app migrate"
_READ_SECONDS = 24 * 3600
"""How long one statement of a rebuild may take, however large the database."""

_COMMIT_SECONDS = 1.0
"""A rebuild is committed so often, and goes on from there if it is killed."""


# --- the version -------------------------------------------------------------------------------


def is_of_this_version(session: ReadSession) -> bool:
    """Return whether the database's projections are as this code makes them, if all are there."""
    return properties.get(session, _PROPERTY) == str(VERSION)


def staleness(session: ReadSession) -> str | None:
    """Return why the projections of the database cannot be read by this code, or None."""
    kept = properties.get(session, _PROPERTY)
    if kept != str(VERSION):
        has = f"of version {kept}" if (kept or "").isdigit() else "being rebuilt" if kept else "of no version"
        return f"The projections of the database are {has}, and version {VERSION} is needed: {_MIGRATE}"
    if _is_missing(session):
        return f"The projections of the database are missing: {_MIGRATE}"
    return None


def _is_missing(session: ReadSession) -> bool:
    """Return whether some were emptied, as migrations do."""
    size = session.execute(last_seq()).scalar() or 0
    of = ((Claim.id, ClaimBody.claim_id), (Entity.id, Document.number))
    return tree.is_missing(session, size) or any(
        session.execute(select(record).limit(1)).first() is not None
        and session.execute(select(derived).limit(1)).first() is None
        for record, derived in of
    )


_READ_BOTH = (
    "SELECT version_num, (SELECT value FROM database_properties WHERE name = 'projections') "
    "FROM alembic_version"
)


def refuse_to_write(connection: Connection) -> None:
    """Raise Unavailable in a process whose schema or projections are not the database's, such as one that
    still runs while another version migrates it.
    """
    found = connection.exec_driver_sql(_READ_BOTH).all()
    if [tuple(row) for row in found] != [(schema.newest(), str(VERSION))]:
        raise Unavailable("The database is being brought to another version: writes wait for that.", 10)


def note_of_empty(connection: Connection) -> None:
    """Note the version in a database that has no records, of which nothing is derived."""
    there = inspect(connection).get_table_names()
    if {"changes", "database_properties"} <= {*there}:
        with WriteSession(connection) as session:
            if session.execute(select(Change.seq).limit(1)).first() is None:
                properties.put(session, _PROPERTY, str(VERSION))


# --- rebuilding --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    """How far a rebuild is: in which projection, by its number, and after which id. `cleared` if all were
    emptied before; otherwise what an earlier version made is replaced as it goes, so that lists stay whole.
    """

    version: int
    cleared: bool
    number: int = 0
    after: str = ""

    def told(self) -> str:
        """Return it as the property of the database."""
        return orjson.dumps(asdict(self)).decode()


def _silent(_line: str) -> None:
    """Say nothing."""


def migrate(url: str, revision: str = "head", say: Callable[[str], None] = _silent) -> None:
    """Bring a database's schema to a revision, and with the newest its projections to this version. Raises
    ValueError if there is no such revision.
    """
    schema.upgrade(url, revision)
    db = Database(url, read_seconds=_READ_SECONDS)
    try:
        if schema.staleness(db) is None:
            rebuild(db, say)
    finally:
        db.dispose()


def rebuild(db: Database, say: Callable[[str], None]) -> None:
    """Rebuild the projections that are not of this version, and go on where a rebuild was interrupted."""
    with db.read() as session:
        if staleness(session) is None:
            return
    while True:
        with db.write() as session:
            place = _go_on(session)
        if place is None:
            break
        say(f"Rebuilding {PROJECTIONS[place.number].name}, {place.number + 1} of {len(PROJECTIONS)}")
    say(f"The projections are of version {VERSION}")


def rebuild_at_once(session: WriteSession) -> None:
    """Rebuild everything from nothing, in one transaction."""
    place = _Place(VERSION, cleared=True)
    with gathered(session):
        *_, place = _steps(session, place)
    _finished(session, place)


def _begun(session: WriteSession) -> _Place:
    try:
        place = _Place(**orjson.loads(properties.get(session, _PROPERTY) or "0"))
    except TypeError:  # a version, or none
        return _Place(VERSION, cleared=_is_missing(session))
    return place if place.version == VERSION else _Place(VERSION, cleared=_is_missing(session))


def _go_on(session: WriteSession) -> _Place | None:
    """Rebuild for some time, and return how far that is; None if all is done."""
    if staleness(session) is None:  # by another process meanwhile
        return None
    ends = monotonic() + _COMMIT_SECONDS
    place = _begun(session)
    with gathered(session):
        for reached in _steps(session, place):
            place = reached
            if monotonic() > ends and place.number < len(PROJECTIONS):
                break
    if place.number < len(PROJECTIONS):
        properties.put(session, _PROPERTY, place.told())
        return place
    return _finished(session, place)


def _steps(session: WriteSession, place: _Place) -> Iterator[_Place]:
    """Rebuild from a place on, and yield each place that is reached."""
    if not place.number:
        tree.rebuild(session, head(session)[0])
        for each in PROJECTIONS if place.cleared and not place.after else ():
            if each.clear:
                each.clear(session)
    for number, each in islice(enumerate(PROJECTIONS), place.number, None):
        if each.ids and each.keep:
            for ids in each.ids(session, place.after):
                each.keep(session, ids)
                place = replace(place, number=number, after=ids[-1])
                yield place
        place = replace(place, number=number + 1, after="")
        yield place


def _finished(session: WriteSession, place: _Place) -> _Place | None:
    """Note the version, or begin again from nothing where what was replaced does not add up."""
    faults = [fault for each in PROJECTIONS for fault in each.totals(session)]
    if faults and place.cleared:
        raise RuntimeError(f"rebuilt from nothing, and {faults[0]}")
    again = _Place(VERSION, cleared=True) if faults else None
    properties.put(session, _PROPERTY, again.told() if again else str(VERSION))
    if session.connection().dialect.name == "postgresql":  # it would plan for empty tables until it looks
        session.connection().exec_driver_sql("ANALYZE")
    return again
