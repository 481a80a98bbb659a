"""Records as files have them, and what became of each."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from app.base.types import Edtf, Flag, Language, Line, Prose, QueryFlag, Shape
from app.claims.shapes import AppearanceIn, ClaimIn, FigureIn, SpeakerIn
from app.entities.model import EntityIn, EntityKind
from app.reviews.labels import attribution_of, is_in_progress, verdict_of
from app.reviews.model import EvidenceIn, PublishedIn
from app.sources.model import SnapshotIn, SourceIn, SourceKind, SourceRef

Noun = Literal["entity", "source", "snapshot", "claim", "review"]
Mode = Literal["all", "good"]
Outcome = Literal["created", "unchanged", "refused"]


class EntityRecord(EntityIn):
    """An entity. One with that slug, or without a slug one with that very name and kind, is it already."""


class SourceRecord(SourceIn):
    """A source with a first snapshot of its text, or with that one's hash and length."""

    publisher: Line | None = None
    snapshot: SnapshotIn | None = None


class SnapshotRecord(SnapshotIn):
    """A text of a source that is here, or stands on a line before."""

    source: SourceRef


class SpeakerRecord(SpeakerIn):
    """Who says it: an id, a slug or a name. `kind` is that of an entity that is yet to be made."""

    entity: Line
    kind: EntityKind | None = None


class AppearanceRecord(AppearanceIn):
    """A source by its id or URL; with a title, it is added if it is not here."""

    title: Line | None = None
    publisher: Line | None = None
    published: Edtf | None = None
    language: Language | None = None
    kind: SourceKind = "article"

    def as_source(self, url: str) -> SourceRecord | None:
        """The source to be added, if enough is told of it."""
        if self.title is None:
            return None
        about = {
            name: getattr(self, name) for name in ("title", "publisher", "published", "language", "kind")
        }
        return SourceRecord(url=url, **about)


class FigureRecord(FigureIn):
    """A number in the claim; what it measures is named by ids, slugs or names."""

    about: Annotated[list[Line], Field(max_length=50)] = []


def _bare(value: Any) -> Any:
    return {"entity": value} if isinstance(value, str) else value


class ClaimRecord(ClaimIn):
    """A claim with the evidence gathered for it. `ref` names it within the file."""

    ref: Line | None = None
    speakers: Annotated[  # type: ignore[assignment]  # what a file may say is wider
        list[Annotated[SpeakerRecord, BeforeValidator(_bare)]], Field(min_length=1, max_length=50)
    ]
    relayed_by: Line | None = None
    about: Annotated[list[Line], Field(max_length=100)] = []
    appearances: Annotated[list[AppearanceRecord], Field(max_length=100)] = []  # type: ignore[assignment]
    figures: Annotated[list[FigureRecord], Field(max_length=100)] = []  # type: ignore[assignment]
    evidence: Annotated[list[EvidenceIn], Field(max_length=100)] = []


class NamedRecord(Shape):
    """Who or what a review names: its kind, if it is not here, and its number in Wikidata, which finds it."""

    name: Line
    kind: EntityKind
    wikidata: Annotated[str | None, Field(pattern=r"^Q[1-9]\d{0,11}$")] = None


class ReviewRecord(PublishedIn):
    """What another desk has published of a claim, which is added if it is not here: the words, who said them,
    and no other day. Without a verdict it has the one that its label stands for, if it stands for one.
    `known` are ids that it may have here, and `withdrawn` that the desk has taken it back.
    """

    summary: Prose | None = None  # type: ignore[assignment]  # without one, the rating
    claim: ClaimRecord
    named: Annotated[list[NamedRecord], Field(max_length=200)] = []
    known: Annotated[list[Line], Field(max_length=10)] = []
    withdrawn: Flag = False

    @model_validator(mode="after")
    def _is_a_ruling(self) -> Self:
        if self.claim.repeats is not None:
            raise ValueError("a review is of the claim itself, not of one that repeats it")
        if not (self.withdrawn or self.label or self.verdict or self.attribution):
            raise ValueError("a label, a verdict or an attribution is needed")
        return self

    def ruling(self) -> PublishedIn:
        """What is kept of it beside the claim."""
        told = {name: getattr(self, name) for name in PublishedIn.model_fields}
        if self.label and not (self.verdict or self.attribution):
            told["verdict"] = verdict_of(self.label)
            told["attribution"] = None if told["verdict"] else attribution_of(self.label)
        if self.label and is_in_progress(self.label):
            told["verdict"] = None
        word = self.label or str(self.verdict or self.attribution).replace("_", " ").capitalize()
        return PublishedIn.model_construct(**told | {"summary": self.summary or word})


RECORDS: dict[Noun, type[Shape]] = {
    "entity": EntityRecord,
    "source": SourceRecord,
    "snapshot": SnapshotRecord,
    "claim": ClaimRecord,
    "review": ReviewRecord,
}


class ImportQuestion(Shape):
    """How a file is brought in."""

    mode: Annotated[
        Mode, Field(description="`all`: nothing is kept if a row is refused; `good`: the good rows are.")
    ] = "all"
    dry_run: Annotated[QueryFlag, Field(description="Say what would happen, and keep nothing.")] = False
    type: Annotated[
        Noun | None,
        Field(description="The type of a line that does not say its type, and of all rows of a CSV file."),
    ] = None
    new_entities: Annotated[
        EntityKind | None,
        Field(description="The kind of an entity that is named and not here; without it, that is refused."),
    ] = None


class MadeOut(BaseModel):
    """An entity or source that was added because a row names it."""

    type: Noun
    id: str
    name: str


class RowFault(BaseModel):
    """What is wrong in a row, by a JSON pointer into the record that the row makes."""

    pointer: str
    detail: str


class RowOut(BaseModel):
    """What became of one row. `id` is the record's, new or found."""

    line: int
    type: Noun | None
    outcome: Outcome
    id: str | None = None
    made: list[MadeOut] = []
    errors: list[RowFault] = []


class ImportOut(BaseModel):
    """The outcome of a file: how many rows were created, unchanged and refused, then every row in order."""

    mode: Mode
    dry_run: bool
    created: int
    unchanged: int
    refused: int
    results: list[RowOut]
