"""Evidence, reviews and decisions: tables and the shapes of input and output. All append-only."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, model_validator
from pydantic import Field as Describe
from sqlalchemy import BigInteger, Text
from sqlmodel import Field

from app.access.model import ReviewerOut
from app.base.moments import PastMoment, PublishedMoment
from app.base.page import Question
from app.base.types import (
    EACH_ONCE,
    Exact,
    Id,
    Instant,
    Json,
    Line,
    Number,
    Prose,
    Shape,
    Url,
    example,
    one_of,
)
from app.changes.hidden import ShownVisibility, Visibility
from app.changes.model import Part, Record
from app.claims.anchors import AnchorState
from app.claims.model import Attribution, Verdict
from app.claims.shapes import AnchorIn, AnchorOut
from app.entities.model import EntityBrief, Ref
from app.sources.model import SourceBrief, SourceRef

Stance = Literal["supports", "refutes", "context"]
Outcome = Literal["approved", "returned"]
ConfirmedBy = Literal["read", "unread"]
ReviewState = Literal["proposed", "returned", "published", "corrected"]

ORDINAL: dict[str, int] = {
    "true": 5,
    "mostly_true": 4,
    "half_true": 3,
    "mostly_false": 2,
    "false": 1,
}
"""The verdicts that have an order, as a schema.org Rating of worst 1 and best 5."""


# --- tables ------------------------------------------------------------------------------------


class Evidence(Record, table=True):
    """A passage or page that bears on a claim."""

    __tablename__ = "evidence"
    __table_args__ = (
        one_of("stance", get_args(Stance)),
        one_of("state", get_args(AnchorState)),
    )
    noun: ClassVar[str] = "evidence"

    claim_id: str = Field(sa_type=Id, foreign_key="claims.id", index=True)
    source_id: str | None = Field(default=None, sa_type=Id, foreign_key="sources.id", index=True)
    snapshot_id: str | None = Field(default=None, sa_type=Id, foreign_key="snapshots.id")
    exact: str | None = Field(default=None, sa_type=Text)
    prefix: str | None = Field(default=None, sa_type=Text)
    suffix: str | None = Field(default=None, sa_type=Text)
    start: int | None = Field(default=None, sa_type=BigInteger)
    end: int | None = Field(default=None, sa_type=BigInteger)
    state: str | None = Field(default=None, sa_type=Text)
    score: Decimal | None = Field(default=None, sa_type=Exact)
    url: str | None = Field(default=None, sa_type=Text)
    stance: str = Field(sa_type=Text)
    note: str | None = Field(default=None, sa_type=Text)
    last_found_in: str | None = Field(default=None, sa_type=Id, foreign_key="snapshots.id")
    named_exact: str | None = Field(default=None, sa_type=Text)
    named_start: int | None = Field(default=None, sa_type=BigInteger)
    named_end: int | None = Field(default=None, sa_type=BigInteger)
    locator: str | None = Field(default=None, sa_type=Text)
    erased: dict[str, Any] | None = Field(default=None, sa_type=Json)
    visibility: str | None = Field(default=None, sa_type=Text)
    note_visibility: str | None = Field(default=None, sa_type=Text)


class ReviewEvidence(Part, table=True):
    """A piece of evidence that a review rests on."""

    __tablename__ = "review_evidence"
    owner: ClassVar[str] = "review_id"

    review_id: str = Field(primary_key=True, sa_type=Id, foreign_key="reviews.id")
    position: int = Field(primary_key=True)
    evidence_id: str = Field(sa_type=Id, foreign_key="evidence.id", index=True)


class Review(Record, table=True):
    """One act of checking by one desk."""

    __tablename__ = "reviews"
    __table_args__ = (
        one_of("verdict", get_args(Verdict)),
        one_of("attribution", get_args(Attribution)),
    )
    noun: ClassVar[str] = "review"
    parts: ClassVar[Mapping[str, type[Part]]] = {"evidence": ReviewEvidence}

    claim_id: str = Field(sa_type=Id, foreign_key="claims.id", index=True)
    publisher_id: str | None = Field(default=None, sa_type=Id, foreign_key="entities.id", index=True)
    reviewer_id: str = Field(sa_type=Id)
    reviewer_name: str = Field(sa_type=Text)
    verdict: str | None = Field(default=None, sa_type=Text)
    attribution: str | None = Field(default=None, sa_type=Text)
    label: str | None = Field(default=None, sa_type=Text)
    rating_value: Decimal | None = Field(default=None, sa_type=Exact)
    rating_best: Decimal | None = Field(default=None, sa_type=Exact)
    rating_worst: Decimal | None = Field(default=None, sa_type=Exact)
    summary: str = Field(sa_type=Text)
    explanation: str | None = Field(default=None, sa_type=Text)
    url: str | None = Field(default=None, sa_type=Text)
    reviewed_at: datetime = Field(sa_type=Instant)
    corrects_id: str | None = Field(default=None, sa_type=Id, foreign_key="reviews.id")
    correction_note: str | None = Field(default=None, sa_type=Text)
    needs_approval: bool
    actual_words: str | None = Field(default=None, sa_type=Text)
    actual_speaker_id: str | None = Field(default=None, sa_type=Id, foreign_key="entities.id")
    confirmed_by: str | None = Field(default=None, sa_type=Text)
    erased: dict[str, Any] | None = Field(default=None, sa_type=Json)
    entered: bool | None = None


class Decision(Record, table=True):
    """What the second pair of eyes made of a proposed review."""

    __tablename__ = "decisions"
    __table_args__ = (one_of("outcome", get_args(Outcome)),)
    noun: ClassVar[str] = "decision"

    review_id: str = Field(sa_type=Id, foreign_key="reviews.id", unique=True)
    outcome: str = Field(sa_type=Text)
    note: str | None = Field(default=None, sa_type=Text)
    decided_by: str = Field(sa_type=Id)
    decided_by_name: str = Field(sa_type=Text)
    erased: dict[str, Any] | None = Field(default=None, sa_type=Json)


# --- in ----------------------------------------------------------------------------------------


class EvidenceIn(Shape):
    """A passage of a source (with its anchor), a source as a whole, or a page by its URL."""

    model_config = example(
        {
            "url": "https://example.org/gas-exports",
            "stance": "refutes",
            "note": "The table on page 3.",
        }
    )

    source: SourceRef | None = None
    snapshot: str | None = None
    anchor: AnchorIn | None = None
    named: Annotated[
        AnchorIn | None,
        Describe(
            description="Where the source says who speaks: the label of the turn, or the name at the"
            " beginning or end of a statement."
        ),
    ] = None
    locator: Annotated[
        Line | None, Describe(description="The place or time of the words, such as a page or a minute.")
    ] = None
    url: Url | None = None
    stance: Stance
    note: Prose | None = None
    note_visibility: Annotated[Visibility, Describe(description="The readers of the note.")] = "internal"
    visibility: Annotated[Visibility, Describe(description="The readers of the evidence.")] = "public"

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if self.source is None and self.url is None:
            raise ValueError("a source or a url is needed")
        if self.source is None and (self.anchor or self.snapshot or self.named or self.locator):
            raise ValueError("an anchor, name, locator or snapshot needs its source")
        return self


class RatingIn(Shape):
    """A desk's own scale."""

    value: Number
    best: Number
    worst: Number


class ReviewIn(Shape):
    """A ruling: a verdict (is it true), an attribution (did they say it), or both, on evidence."""

    model_config = example(
        {
            "verdict": "mostly_false",
            "attribution": "misquoted",
            "actual_words": "The parameters are all but finalized.",
            "summary": "He said that it was close, and no contract has been signed.",
            "evidence": [{"url": "https://example.org/gas-exports", "stance": "refutes"}],
        }
    )

    verdict: Verdict | None = None
    attribution: Attribution | None = None
    actual_words: Annotated[
        Prose | None, Describe(description="The words that were really said, if it was misquoted.")
    ] = None
    actual_speaker: Annotated[
        Ref | None, Describe(description="The entity that really said it, if misattributed: an id or slug.")
    ] = None
    summary: Annotated[Prose, Describe(description="The reason, in a sentence or two.")]
    explanation: Prose | None = None
    publisher: Annotated[Ref | None, Describe(description="The desk; by default your own.")] = None
    label: Annotated[Line | None, Describe(description="The desk's own wording.")] = None
    rating: RatingIn | None = None
    url: Url | None = None
    reviewed_at: Annotated[PastMoment | None, Describe(description="By default now; not in the future.")] = (
        None
    )
    evidence: Annotated[list[EvidenceIn], Describe(max_length=100)] = []
    cites: Annotated[
        list[str],
        Describe(
            max_length=100,
            description="Ids of evidence that the claim has already.",
            json_schema_extra=EACH_ONCE,
        ),
    ] = []
    corrects: Annotated[
        str | None, Describe(description="The review it corrects, whose evidence it keeps.")
    ] = None
    correction_note: Annotated[Prose | None, Describe(description="Public.")] = None

    @model_validator(mode="after")
    def _rules_on_something(self) -> Self:
        if self.verdict is None and self.attribution is None:
            raise ValueError("a verdict or an attribution is needed")
        if self.verdict not in (None, "not_checkable") and not (self.evidence or self.cites or self.corrects):
            raise ValueError("a verdict needs at least one piece of evidence, unless not_checkable")
        if (self.corrects is None) != (self.correction_note is None):
            raise ValueError("corrects and correction_note go together")
        if len(set(self.cites)) < len(self.cites):
            raise ValueError("cites has the same evidence twice")
        return self


class PublishedIn(Shape):
    """What another desk has published: in its own wording, with the verdict that this stands for here, if it
    stands for one.
    """

    publisher: Annotated[Line, Describe(description="The desk: an id, a slug or a name.")]
    url: Annotated[Url | None, Describe(description="Where it is published.")] = None
    verdict: Verdict | None = None
    attribution: Attribution | None = None
    label: Annotated[Line | None, Describe(description="The desk's own wording.")] = None
    rating: RatingIn | None = None
    summary: Annotated[Prose, Describe(description="The reason, in a sentence or two.")]
    explanation: Prose | None = None
    reviewed_at: Annotated[
        PublishedMoment | None,
        Describe(description="By default now; not in the future. Midnight UTC stands for a day."),
    ] = None
    citations: Annotated[list[Url], Describe(max_length=100, description="What it rests on.")] = []
    correction_note: Annotated[Prose | None, Describe(description="Public.")] = None


class AssignmentIn(Shape):
    """Who takes the claim and for how long; by default the caller, for the time that the house has set."""

    model_config = example({"minutes": 60})

    minutes: Annotated[int | None, Describe(strict=True, ge=1, le=43_200)] = None
    assignee: Annotated[
        str | None, Describe(description="Another person: an id or a name. Editors only.")
    ] = None


class DecisionIn(Shape):
    """A word to the proposer."""

    model_config = example({"note": "The second source says the same."})

    note: Prose | None = None


class WithdrawalIn(Shape):
    """Why the claim is withdrawn, for everyone to read."""

    model_config = example({"note": "It was recorded twice."})

    note: Prose


class ReviewQuestion(Question):
    """Filters of reviews across claims; a repeated one means any of its values."""

    claim: Annotated[list[str], Describe(description="The claims that they rule on: ids.")] = []
    publisher: Annotated[list[Ref], Describe(description="The desk: ids or slugs.")] = []
    verdict: Annotated[list[Verdict], Describe(description="Their verdict.")] = []
    attribution: Annotated[list[Attribution], Describe(description="Their attribution.")] = []


# --- out ---------------------------------------------------------------------------------------


class NamedOut(BaseModel):
    """Where the source says who speaks; `start` and `end` are null if no text at hand has it."""

    exact: str
    start: int | None
    end: int | None


class EvidenceOut(BaseModel):
    """A passage or page that bears on the claim."""

    id: str
    claim: str
    source: SourceBrief | None
    snapshot: str | None
    anchor: AnchorOut | None
    named: NamedOut | None = None
    locator: str | None = None
    url: str | None
    stance: Stance
    note: Annotated[str | None, Describe(description="Null to the public if it is internal.")]
    note_visibility: ShownVisibility = None
    visibility: ShownVisibility = None
    version: int
    created_at: datetime


class RatingOut(BaseModel):
    """The desk's own scale, or that of the verdict: 5 for true to 1 for false."""

    value: str
    best: str
    worst: str


class DecisionOut(BaseModel):
    """What the second pair of eyes decided."""

    outcome: Outcome
    note: str | None
    decided_by: ReviewerOut | None
    decided_at: datetime


class ReviewOut(BaseModel):
    """One ruling. What has no verdict, attribution or label takes back what it `corrects`."""

    id: str
    claim: str
    state: ReviewState
    publisher: EntityBrief | None
    reviewer: Annotated[
        ReviewerOut | None, Describe(description="Null to the public, but for a person with a byline.")
    ]
    entered_by: Annotated[ReviewerOut | None, Describe(description="There if it was entered.")] = None
    verdict: Verdict | None
    attribution: Attribution | None
    confirmed_by: Annotated[
        ConfirmedBy | None,
        Describe(
            description="The way in which the attribution was confirmed; left out where it was not, or if"
            " the ruling is from before this was asked for."
        ),
    ] = None
    actual_words: str | None
    actual_speaker: EntityBrief | None
    label: str | None
    rating: RatingOut | None
    summary: str
    explanation: str | None
    url: str | None
    reviewed_at: datetime
    evidence: list[EvidenceOut]
    corrects: str | None
    correction_note: str | None
    decision: DecisionOut | None
    version: int
    created_at: datetime
