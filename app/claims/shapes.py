"""Claims as they are sent, asked for and shown."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, StringConstraints, model_validator
from pydantic import Field as Describe

from app.base import units
from app.base.page import Words
from app.base.types import (
    EACH_ONCE,
    MAX_INT,
    Day,
    Edtf,
    Flag,
    Language,
    Line,
    Moment,
    Number,
    Prose,
    QueryFlag,
    Shape,
    Slug,
    Sort,
    exact,
    example,
)
from app.changes.hidden import ShownVisibility
from app.claims.anchors import AnchorState
from app.claims.model import (
    Attribution,
    ClaimKind,
    Comparator,
    FigureKind,
    Mode,
    Status,
    Verdict,
)
from app.claims.standing import RankOut, StatusFilters, VerificationOut
from app.entities.model import EntityBrief, Ref
from app.sources.model import SourceBrief, SourceRef
from app.words.explain import MatchOut

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
    display: Annotated[
        Line | None, Describe(description="The number in words of your own, such as `a record $190 billion`.")
    ] = None
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

    model_config = example(
        {
            "text": "The parameters of the pipeline to China have been finalized.",
            "mode": "paraphrase",
            "kind": "fact",
            "language": "en",
            "speakers": [{"entity": "vladimir-putin", "title": "President of Russia"}],
            "about": ["power-of-siberia-2"],
            "topics": ["energy"],
            "said": "2023-03-21",
            "place": "Moscow",
            "figures": [
                {
                    "measure": "natural gas supply",
                    "value": "98",
                    "unit": "bcm",
                    "comparator": "ge",
                    "kind": "promised",
                    "period": "2030",
                }
            ],
        }
    )

    text: Prose
    mode: Mode
    kind: ClaimKind = "fact"
    language: Language | None = None
    speakers: Annotated[
        list[Annotated[SpeakerIn, BeforeValidator(_bare_ref, json_schema_input_type=Ref | SpeakerIn)]],
        Describe(min_length=1, max_length=50),
    ]
    relayed_by: Ref | None = None
    about: Annotated[list[Ref], Describe(max_length=100, json_schema_extra=EACH_ONCE)] = []
    topics: Annotated[list[Slug], Describe(max_length=50, json_schema_extra=EACH_ONCE)] = []
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


Dimension = Literal["status", "verdict", "attribution", "speaker", "publisher", "topic", "month"]
DIMENSIONS: Sequence[Dimension] = get_args(Dimension)
"""What claims are counted by, in the order in which a pair of them is kept."""


def _split(value: Any) -> Any:
    return [part for each in value for part in each.split(",")] if isinstance(value, list) else value


def _once(dimensions: list[Dimension]) -> list[Dimension]:
    if len(set(dimensions)) < len(dimensions):
        raise ValueError("has the same dimension twice")
    return dimensions


Dimensions = Annotated[list[Dimension], BeforeValidator(_split), AfterValidator(_once)]


class ClaimFilters(StatusFilters):
    """Filters of claims; a repeated one means any of its values."""

    q: Words = None
    speaker: Annotated[list[Ref], Describe(description="The speakers: ids or slugs.")] = []
    about: Annotated[list[Ref], Describe(description="The entities that it is about: ids or slugs.")] = []
    source: Annotated[list[SourceRef], Describe(description="The sources that print it: ids or URLs.")] = []
    publisher: Annotated[list[Ref], Describe(description="Publishers of what prints it: ids or slugs.")] = []
    topic: Annotated[list[Slug], Describe(description="A topic's slug, such as `energy`.")] = []
    verdict: Annotated[list[Verdict], Describe(description="The verdict that they have.")] = []
    attribution: Annotated[list[Attribution], Describe(description="The attribution that they have.")] = []
    mode: Annotated[list[Mode], Describe(description="The relation of the text to the words spoken.")] = []
    kind: Annotated[list[ClaimKind], Describe(description="The kind of assertion.")] = []
    said_from: Annotated[Edtf | None, Describe(description="EDTF; dates that reach into it count.")] = None
    said_to: Annotated[Edtf | None, Describe(description="EDTF; dates that begin by its end count.")] = None
    has_figure: Annotated[QueryFlag | None, Describe(description="`true`: only with a figure.")] = None
    repeats: Annotated[
        list[str],
        Describe(description="The claims they repeat: ids, of the first or of any that repeats it."),
    ] = []
    repeated_after_review: Annotated[
        QueryFlag | None,
        Describe(description="`true` for repeats that were said after the day of the last ruling."),
    ] = None
    assignee: Annotated[list[str], Describe(description="The person who has taken it: their id.")] = []
    due_before: Annotated[Day | None, Describe(description="Due before this day: `2030-12-31`.")] = None
    is_repeat: Annotated[
        QueryFlag | None, Describe(description="`true` for claims that carry another's verification.")
    ] = None
    not_proposed_by: Annotated[
        str | None,
        Describe(description="A person's id: waiting rulings that they may be the one to approve."),
    ] = None
    lease_expires_before: Annotated[
        Moment | None, Describe(description="Taken, until before this moment.")
    ] = None
    come_due: Annotated[
        Day | None,
        Describe(description="Predictions and promises due by this day, and not ruled on or taken since."),
    ] = None


class ClaimQuestion(ClaimFilters):
    """The list of claims, and its order."""

    sort: Annotated[
        Literal["said", "created", "reviewed", "repeats", "reads"],
        Describe(description="The order; without it, the best match of `q`, or what was said last."),
    ] = "said"
    facets: Annotated[
        Dimensions,
        Describe(
            description="Counts beside the list, under its filters: `facets=status,verdict`. Of `status` "
            "withdrawn claims are counted too.",
            json_schema_extra=EACH_ONCE,
        ),
    ] = []

    @property
    def by_relevance(self) -> bool:
        """Whether the list is in the order of how well its claims match."""
        return self.q is not None and "sort" not in self.model_fields_set


class StatsQuestion(ClaimFilters):
    """Counts of claims by up to two dimensions."""

    by: Annotated[
        Dimensions,
        Describe(
            max_length=2,
            description="One or two of them: `by=speaker,verdict`.",
            json_schema_extra=EACH_ONCE,
        ),
    ] = ["status"]
    limit: Annotated[int, Describe(ge=1, le=1000, description="The most records in one answer.")] = 100
    order: Annotated[Sort, Describe(description="Most first (`desc`) or last; by month, latest.")] = "desc"


# --- out ---------------------------------------------------------------------------------------


class SpeakerOut(EntityBrief):
    """Who says it, with the title held at the time."""

    title: str | None


class AnchorOut(BaseModel):
    """One segment of the quote and how it sits in the source: `exact`; `normalised` (quotes, dashes or
    spaces differ); `fuzzy`, with a score below 1; `orphaned`; `unchecked` (no text at hand). If an orphaned
    one is in an earlier snapshot, `last_found_in` is that one, and the place is the one there.
    """

    exact: str
    prefix: str | None
    suffix: str | None
    start: int | None
    end: int | None
    state: AnchorState
    score: float | None
    last_found_in: str | None


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
    display: Annotated[
        str, Describe(description="The number as a person writes it: as it was sent, or `€340 million`.")
    ]
    kind: FigureKind
    is_record: bool
    period: str | None
    condition: str | None


class CountOut(BaseModel):
    """How many claims have these values: a member for each dimension asked for, null where a claim has none.
    `speaker` and `publisher` are ids, with `…_slug` and `…_name` beside them; `month` is such as `2023-03`,
    null for a claim that is not dated to the month.
    """

    status: Status | None = None
    verdict: Verdict | None = None
    attribution: Attribution | None = None
    speaker: str | None = None
    speaker_slug: str | None = None
    speaker_name: str | None = None
    publisher: str | None = None
    publisher_slug: str | None = None
    publisher_name: str | None = None
    topic: str | None = None
    month: str | None = None
    claims: int


class FacetOut(BaseModel):
    """A value of a dimension, null for none, and how many claims have it; a speaker or publisher is named."""

    value: str | None
    slug: str | None = None
    name: str | None = None
    claims: int


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
    visibility: ShownVisibility = None
    embargoed_until: datetime | None = None
    version: int
    created_at: datetime
    updated_at: datetime


class ClaimFound(ClaimOut):
    """A claim in a list; `match` if the list was searched and is in the order of relevance, `rank` if it is
    in the order of repeats or reads.
    """

    match: MatchOut | None = None
    rank: RankOut | None = None
