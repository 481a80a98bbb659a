"""Claims with their appearances, anchors and figures: tables and the shapes of input and output."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, StringConstraints, model_validator
from pydantic import Field as Describe
from sqlalchemy import BigInteger, CheckConstraint, Date, Float, ForeignKeyConstraint, Index, Text
from sqlmodel import Field

from app.base import units
from app.base.page import Question
from app.base.times import UNDATED
from app.base.types import (
    MAX_INT,
    Day,
    Edtf,
    Exact,
    Flag,
    Id,
    Instant,
    Language,
    Line,
    Number,
    Prose,
    QueryFlag,
    Shape,
    Slug,
    exact,
    one_of,
)
from app.changes.model import Part, Record
from app.claims.anchors import AnchorState
from app.entities.model import EntityBrief, Ref
from app.sources.model import SourceBrief, SourceRef

Mode = Literal["direct_quote", "partial_quote", "paraphrase", "own_voice"]
ClaimKind = Literal["fact", "prediction", "promise", "opinion", "position"]
Comparator = Literal["eq", "ge", "gt", "le", "lt", "approx", "range"]
FigureKind = Literal["reported", "estimated", "promised", "forecast", "target", "capacity"]

Status = Literal["unverified", "in_review", "pending_approval", "reviewed", "withdrawn"]
Verdict = Literal[
    "true",
    "mostly_true",
    "half_true",
    "mostly_false",
    "false",
    "misleading",
    "unsupported",
    "outdated",
    "misattributed",
    "satire",
    "not_checkable",
]
Attribution = Literal["unconfirmed", "confirmed", "altered", "misattributed"]
Agreement = Literal["single", "unanimous", "split"]


# --- tables ------------------------------------------------------------------------------------


class ClaimSpeaker(Part, table=True):
    """Who makes the claim, in order, with the title held then."""

    __tablename__ = "claim_speakers"
    owner: ClassVar[str] = "claim_id"

    claim_id: str = Field(primary_key=True, sa_type=Id, foreign_key="claims.id")
    position: int = Field(primary_key=True)
    entity_id: str = Field(sa_type=Id, foreign_key="entities.id", index=True)
    title: str | None = Field(default=None, sa_type=Text)


class ClaimAbout(Part, table=True):
    """Whom or what the claim is about."""

    __tablename__ = "claim_about"
    owner: ClassVar[str] = "claim_id"

    claim_id: str = Field(primary_key=True, sa_type=Id, foreign_key="claims.id")
    position: int = Field(primary_key=True)
    entity_id: str = Field(sa_type=Id, foreign_key="entities.id", index=True)


class ClaimTopic(Part, table=True):
    """A topic of the claim."""

    __tablename__ = "claim_topics"
    owner: ClassVar[str] = "claim_id"

    claim_id: str = Field(primary_key=True, sa_type=Id, foreign_key="claims.id")
    position: int = Field(primary_key=True)
    topic: str = Field(sa_type=Id, index=True)


class Appearance(Part, table=True):
    """A source that prints the claim, and the snapshot that its quotes were looked for in."""

    __tablename__ = "appearances"
    owner: ClassVar[str] = "claim_id"

    claim_id: str = Field(primary_key=True, sa_type=Id, foreign_key="claims.id")
    position: int = Field(primary_key=True)
    source_id: str = Field(sa_type=Id, foreign_key="sources.id", index=True)
    snapshot_id: str | None = Field(default=None, sa_type=Id, foreign_key="snapshots.id")


class Anchor(Part, table=True):
    """One segment of a quote in a source: a W3C text quote and text position selector."""

    __tablename__ = "anchors"
    __table_args__ = (
        ForeignKeyConstraint(["claim_id", "appearance"], ["appearances.claim_id", "appearances.position"]),
        one_of("state", get_args(AnchorState)),
    )
    owner: ClassVar[str] = "claim_id"

    claim_id: str = Field(primary_key=True, sa_type=Id)
    appearance: int = Field(primary_key=True)
    position: int = Field(primary_key=True)
    exact: str = Field(sa_type=Text)
    prefix: str | None = Field(default=None, sa_type=Text)
    suffix: str | None = Field(default=None, sa_type=Text)
    start: int | None = Field(default=None, sa_type=BigInteger)
    end: int | None = Field(default=None, sa_type=BigInteger)
    state: str = Field(sa_type=Text)
    score: Decimal | None = Field(default=None, sa_type=Exact)


class Figure(Part, table=True):
    """A number inside the claim, in its plain unit. `value_number` is for ordering and arithmetic."""

    __tablename__ = "figures"
    __table_args__ = (
        one_of("comparator", get_args(Comparator)),
        one_of("kind", get_args(FigureKind)),
        CheckConstraint(
            "value IS NOT NULL OR (comparator = 'range' AND lower IS NOT NULL AND upper IS NOT NULL)",
            name="has_a_number",
        ),
    )
    owner: ClassVar[str] = "claim_id"

    claim_id: str = Field(primary_key=True, sa_type=Id, foreign_key="claims.id")
    position: int = Field(primary_key=True)
    id: str = Field(sa_type=Id, unique=True)
    measure: str = Field(sa_type=Text, index=True)
    value: Decimal | None = Field(default=None, sa_type=Exact)
    lower: Decimal | None = Field(default=None, sa_type=Exact)
    upper: Decimal | None = Field(default=None, sa_type=Exact)
    value_number: float | None = Field(default=None, sa_type=Float)
    comparator: str = Field(sa_type=Text)
    unit: str = Field(sa_type=Id, index=True)
    display: str | None = Field(default=None, sa_type=Text)
    kind: str = Field(sa_type=Text)
    is_record: bool
    period: str | None = Field(default=None, sa_type=Text)
    period_earliest: date = Field(default=UNDATED, sa_type=Date)
    period_latest: date = Field(default=UNDATED, sa_type=Date)
    condition: str | None = Field(default=None, sa_type=Text)


class FigureAbout(Part, table=True):
    """Whom or what the figure measures."""

    __tablename__ = "figure_about"
    __table_args__ = (ForeignKeyConstraint(["claim_id", "figure"], ["figures.claim_id", "figures.position"]),)
    owner: ClassVar[str] = "claim_id"

    claim_id: str = Field(primary_key=True, sa_type=Id)
    figure: int = Field(primary_key=True)
    position: int = Field(primary_key=True)
    entity_id: str = Field(sa_type=Id, foreign_key="entities.id", index=True)


class Claim(Record, table=True):
    """One assertion by one or more speakers on one occasion, with its standing."""

    __tablename__ = "claims"
    __table_args__ = (
        one_of("mode", get_args(Mode)),
        one_of("kind", get_args(ClaimKind)),
        one_of("status", get_args(Status)),
        one_of("verdict", get_args(Verdict)),
        one_of("attribution", get_args(Attribution)),
        one_of("agreement", get_args(Agreement)),
        CheckConstraint("repeats_id <> id", name="repeats_another"),
        Index(None, "said_latest", "id"),
        Index(None, "status", "said_latest", "id"),
    )
    noun: ClassVar[str] = "claim"
    parts: ClassVar[Mapping[str, type[Part]]] = {
        "speakers": ClaimSpeaker,
        "about": ClaimAbout,
        "topics": ClaimTopic,
        "appearances": Appearance,
        "anchors": Anchor,
        "figures": Figure,
        "figure_about": FigureAbout,
    }

    text: str = Field(sa_type=Text)
    mode: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    language: str | None = Field(default=None, sa_type=Text)
    original_text: str | None = Field(default=None, sa_type=Text)
    original_language: str | None = Field(default=None, sa_type=Text)
    relayed_by_id: str | None = Field(default=None, sa_type=Id, foreign_key="entities.id")
    said: str | None = Field(default=None, sa_type=Text)
    said_earliest: date = Field(default=UNDATED, sa_type=Date)
    said_latest: date = Field(default=UNDATED, sa_type=Date)
    occasion: str | None = Field(default=None, sa_type=Text)
    place: str | None = Field(default=None, sa_type=Text)
    context: str | None = Field(default=None, sa_type=Text)
    repeats_id: str | None = Field(default=None, sa_type=Id, foreign_key="claims.id", index=True)
    due: date | None = Field(default=None, sa_type=Date, index=True)

    status: str = Field(default="unverified", sa_type=Text)
    verdict: str | None = Field(default=None, sa_type=Text)
    attribution: str = Field(default="unconfirmed", sa_type=Text)
    agreement: str | None = Field(default=None, sa_type=Text)
    assignee_id: str | None = Field(default=None, sa_type=Id, foreign_key="keys.id", index=True)
    lease_expires_at: datetime | None = Field(default=None, sa_type=Instant)
    reviewed_at: datetime | None = Field(default=None, sa_type=Instant)
    public_note: str | None = Field(default=None, sa_type=Text)


STANDING = ("status", "verdict", "agreement", "assignee_id", "lease_expires_at", "reviewed_at",
            "public_note")  # fmt: skip
"""What a claim that repeats another carries of that one's verification. Whether its own speaker said
it (`attribution`) stays its own.
"""


# --- in ----------------------------------------------------------------------------------------


class SpeakerIn(Shape):
    """Who says it (an id or slug), with the title held at the time."""

    entity: Ref
    title: Line | None = None


def _bare_ref(value: Any) -> Any:
    return {"entity": value} if isinstance(value, str) else value


class AnchorIn(Shape):
    """One segment of a quote. `prefix`, `suffix` and `start` tell it from the same words elsewhere."""

    exact: Prose
    prefix: Annotated[str | None, StringConstraints(max_length=500)] = None
    suffix: Annotated[str | None, StringConstraints(max_length=500)] = None
    start: Annotated[int | None, Describe(strict=True, ge=0, le=MAX_INT)] = None
    end: Annotated[int | None, Describe(strict=True, ge=0, le=MAX_INT)] = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.end is not None and self.start is not None and self.end <= self.start:
            raise ValueError("ends before it starts")
        return self


class AppearanceIn(Shape):
    """A source that prints the claim, with the segments of the quote in it."""

    source: SourceRef
    snapshot: Annotated[str | None, Describe(description="A snapshot's id; else the newest with a text.")] = (
        None
    )
    anchors: Annotated[list[AnchorIn], Describe(max_length=100)] = []


class FigureIn(Shape):
    """A number in the claim. `scale` (thousand to trillion) is resolved into the value."""

    id: Annotated[str | None, Describe(description="To keep a figure's id when revising.")] = None
    measure: Line
    about: Annotated[list[Ref], Describe(max_length=50)] = []
    value: Number | None = None
    lower: Number | None = None
    upper: Number | None = None
    comparator: Comparator = "eq"
    unit: Annotated[Line, Describe(description="UCUM, ISO 4217, or a word such as bcm.")]
    scale: Line | None = None
    display: Line | None = None
    kind: FigureKind = "reported"
    is_record: Flag = False
    period: Edtf | None = None
    condition: Line | None = None

    @model_validator(mode="after")
    def _is_a_number(self) -> Self:
        if self.comparator == "range":
            if self.lower is None or self.upper is None:
                raise ValueError("a range needs lower and upper")
        elif self.value is None:
            raise ValueError("a value is needed")
        bounds = [n for n in (self.lower, self.value, self.upper) if n is not None]
        if bounds != sorted(bounds):
            raise ValueError("lower, value and upper are not in that order")
        factor, _ = units.resolve(self.unit, self.scale)
        for number in bounds:
            exact(units.scaled(number, factor))
        return self


class ClaimIn(Shape):
    """A claim. A direct quote without anchors is looked for in its source by its own text."""

    text: Annotated[Prose, Describe(examples=["The parameters have been finalized."])]
    mode: Mode
    kind: ClaimKind = "fact"
    language: Language | None = None
    speakers: Annotated[
        list[Annotated[SpeakerIn, BeforeValidator(_bare_ref, json_schema_input_type=str | SpeakerIn)]],
        Describe(min_length=1, max_length=50),
    ]
    relayed_by: Ref | None = None
    about: Annotated[list[Ref], Describe(max_length=100)] = []
    topics: Annotated[list[Slug], Describe(max_length=50)] = []
    said: Edtf | None = None
    occasion: Line | None = None
    place: Line | None = None
    context: Prose | None = None
    original_text: Prose | None = None
    original_language: Language | None = None
    repeats: Annotated[str | None, Describe(description="The id of an earlier claim.")] = None
    due: Annotated[Day | None, Describe(description="When to look again.")] = None
    appearances: Annotated[list[AppearanceIn], Describe(max_length=100)] = []
    figures: Annotated[list[FigureIn], Describe(max_length=100)] = []

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if (self.original_text is None) != (self.original_language is None):
            raise ValueError("original_text and original_language go together")
        refs = [speaker.entity for speaker in self.speakers]
        for name, listed in (("speakers", refs), ("about", self.about), ("topics", self.topics)):
            if len(set(listed)) < len(listed):
                raise ValueError(f"{name} has the same one twice")
        if self.mode == "own_voice" and len(self.speakers) != 1:
            raise ValueError("a publisher's own voice has one speaker: the publisher")
        return self


class ClaimQuestion(Question):
    """Filters of the list of claims; a repeated one means any of its values."""

    speaker: Annotated[list[Ref], Describe(description="Who says it: ids or slugs.")] = []
    about: Annotated[list[Ref], Describe(description="Whom or what it is about.")] = []
    source: Annotated[list[SourceRef], Describe(description="What prints it.")] = []
    publisher: Annotated[list[Ref], Describe(description="Who publishes what prints it.")] = []
    topic: list[Slug] = []
    status: list[Status] = []
    verdict: list[Verdict] = []
    attribution: list[Attribution] = []
    mode: list[Mode] = []
    kind: list[ClaimKind] = []
    said_from: Annotated[Edtf | None, Describe(description="EDTF; dates that reach into it count.")] = None
    said_to: Edtf | None = None
    has_figure: QueryFlag | None = None
    repeats: Annotated[list[str], Describe(description="The claims they repeat: ids.")] = []
    assignee: Annotated[list[str], Describe(description="The key that has taken it: its id.")] = []
    due_before: Day | None = None
    sort: Literal["said", "created", "reviewed"] = "said"


class AnchorQuestion(Question):
    """Filters of a source's quotes."""

    state: list[AnchorState] = []


# --- out ---------------------------------------------------------------------------------------


class SpeakerOut(EntityBrief):
    """Who says it, with the title held at the time."""

    title: str | None


class AnchorOut(BaseModel):
    """One segment of the quote and how it sits in the source: `exact`; `normalised` (quotes, dashes or
    spaces differ); `fuzzy`, with a score below 1; `orphaned`; `unchecked` (no text at hand).
    """

    exact: str
    prefix: str | None
    suffix: str | None
    start: int | None
    end: int | None
    state: AnchorState
    score: float | None


class QuotedOut(AnchorOut):
    """One segment that a claim quotes from a source, and the snapshot that it was looked for in."""

    claim: str
    snapshot: str | None


class AppearanceOut(BaseModel):
    """Where the claim is printed."""

    source: SourceBrief
    snapshot: str | None
    anchors: list[AnchorOut]


class FigureOut(BaseModel):
    """A number in a claim. `value` is exact, `value_number` the nearest double."""

    id: str
    measure: str
    about: list[EntityBrief]
    value: str | None
    lower: str | None
    upper: str | None
    value_number: float | None
    comparator: Comparator
    unit: str
    display: str
    kind: FigureKind
    is_record: bool
    period: str | None
    condition: str | None


class AssigneeOut(BaseModel):
    """The key that has taken the claim."""

    id: str
    name: str


class VerificationOut(BaseModel):
    """The claim's standing: `attribution`, did they say it; `verdict`, is it true. `note` is the public
    note of the last correction or withdrawal.
    """

    status: Status
    verdict: Verdict | None
    attribution: Attribution
    agreement: Agreement | None
    assignee: AssigneeOut | None
    lease_expires_at: datetime | None
    reviewed_at: datetime | None
    note: str | None


class ClaimOut(BaseModel):
    """One claim, as every route shows it."""

    id: str
    text: str
    mode: Mode
    kind: ClaimKind
    language: str | None
    original_text: str | None
    original_language: str | None
    speakers: list[SpeakerOut]
    relayed_by: EntityBrief | None
    about: list[EntityBrief]
    topics: list[str]
    said: str | None
    occasion: str | None
    place: str | None
    context: str | None
    repeats: str | None
    due: date | None
    appearances: list[AppearanceOut]
    figures: list[FigureOut]
    verification: VerificationOut
    version: int
    created_at: datetime
    updated_at: datetime
