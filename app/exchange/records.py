"""Records brought in from NDJSON: one JSON object a line, entities before sources before claims.

What is here already is left as it is, so that bringing the same records in twice changes nothing.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, Field

from app.base.body import strict_json
from app.base.db import WriteSession
from app.base.errors import Invalid, Problem
from app.base.problems import checked
from app.base.types import Line, Slug
from app.changes.store import By
from app.claims import store as claims
from app.claims.shapes import ClaimIn
from app.entities import store as entities
from app.entities.model import EntityIn
from app.reviews import evidence
from app.reviews.model import EvidenceIn
from app.sources import store as sources
from app.sources.model import SnapshotIn, SourceIn

Outcome = Literal["new", "known"]


class EntityRecord(EntityIn):
    """An entity; its slug is what later records name it by."""

    slug: Slug


class SourceRecord(SourceIn):
    """A source with a first snapshot of its text, or with that one's hash and length."""

    snapshot: SnapshotIn | None = None


class ClaimRecord(ClaimIn):
    """A claim with the evidence gathered for it. `ref` names it within the file."""

    ref: Line | None = None
    evidence: Annotated[list[EvidenceIn], Field(max_length=100)] = []


def bring_in(session: WriteSession, directory: Path, *, by: By) -> Counter[tuple[str, Outcome]]:
    """Brings in `entities.ndjson`, `sources.ndjson` and `claims.ndjson` of a directory, and counts what was
    new and what was known. Raises Invalid, naming file and line.
    """
    done: Counter[tuple[str, Outcome]] = Counter()
    for place, entity in _lines(directory / "entities.ndjson", EntityRecord):
        with _Named(place):
            done["entities", _entity(session, entity, by)] += 1
    for place, source in _lines(directory / "sources.ndjson", SourceRecord):
        with _Named(place):
            done["sources", _source(session, source, by)] += 1
    for place, claim in _lines(directory / "claims.ndjson", ClaimRecord):
        with _Named(place):
            done["claims", _claim(session, claim, by)] += 1
    return done


def _entity(session: WriteSession, record: EntityRecord, by: By) -> Outcome:
    if entities.known(session, record.slug):
        return "known"
    entities.create(session, record, by=by)
    return "new"


def _source(session: WriteSession, record: SourceRecord, by: By) -> Outcome:
    if sources.known(session, record.url):
        return "known"
    source = sources.create(session, record, by=by)
    if record.snapshot is not None:
        evidence.archive_text(session, source, record.snapshot, by=by)
    return "new"


def _claim(session: WriteSession, record: ClaimRecord, by: By) -> Outcome:
    if claims.twin(session, record) is not None:
        return "known"
    claim = claims.state(session, record, by=by)
    for n, item in enumerate(record.evidence):
        evidence.gather(session, claim, item, by=by, at=f"/evidence/{n}")
    return "new"


# --- lines -------------------------------------------------------------------------------------

R = TypeVar("R", bound=BaseModel)


class _Named:
    """Puts the file and line before what is wrong in it."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, fault: BaseException | None, _trace: object) -> None:
        if isinstance(fault, Problem):
            raise Invalid(f"{self.place}: {fault.detail}", errors=fault.errors) from fault


def _lines(path: Path, model: type[R]) -> Iterator[tuple[str, R]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            place = f"{path.name}, line {number}"
            if line.strip():
                with _Named(place):
                    record = checked(model, strict_json(line))
                yield place, record
