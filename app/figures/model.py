"""The question that figures answer, and a figure with the claim that it stands in."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic import Field as Describe

from app.base.page import Words
from app.base.types import Edtf, QueryFlag
from app.base.units import LONGEST_AMOUNT, Dimension
from app.claims.model import FigureKind, Mode
from app.claims.shapes import FigureOut, SpeakerOut
from app.claims.standing import StatusFilters, VerificationOut, Withdrawn
from app.entities.model import EntityBrief, Ref
from app.sources.model import SourceRef
from app.words.explain import MatchOut

_INTO = (
    "A UCUM or ISO 4217 code or a word, such as `m3`, `[cft_i]`, `bcm` or `billion USD`: figures of its"
    " dimension match and come `converted` into it, exactly. Currencies and things counted convert into"
    " nothing else."
)
_RANGE = (
    "A number and its unit, such as `90 bcm`, `1.5 trillion USD` or `20 %`; a number alone is in `unit`. A"
    " figure matches if a number that it allows is in the range: `at least 98` allows all from 98 on,"
    " `10 to 20` all between, `about 15` just 15 unless it has bounds. Any unit of the dimension does; both"
    " ends are included."
)
_Amount = Annotated[str, StringConstraints(max_length=LONGEST_AMOUNT)]


class FigureQuestion(StatusFilters):
    """Filters of the list of figures; a repeated one means any of its values."""

    q: Words = None
    measure: Annotated[list[str], Describe(description="As it is kept, such as `bilateral trade`.")] = []
    about: Annotated[list[Ref], Describe(description="The entities that it measures: ids or slugs.")] = []
    speaker: Annotated[list[Ref], Describe(description="The speakers: ids or slugs.")] = []
    source: Annotated[list[SourceRef], Describe(description="The sources that print it: ids or URLs.")] = []
    publisher: Annotated[list[Ref], Describe(description="Publishers of what prints it: ids or slugs.")] = []
    claim: Annotated[list[str], Describe(description="The claims that they stand in: ids, `clm_…`.")] = []
    unit: Annotated[_Amount | None, Describe(description=_INTO)] = None
    dimension: Annotated[Dimension | None, Describe(description="The dimension of its unit.")] = None
    min: Annotated[_Amount | None, Describe(description=f"{_RANGE} Not below this.")] = None
    max: Annotated[_Amount | None, Describe(description=f"{_RANGE} Not above this.")] = None
    kind: Annotated[list[FigureKind], Describe(description="The kind of number.")] = []
    is_record: Annotated[
        QueryFlag | None,
        Describe(description="`true` for numbers that are called a record, `false` for others."),
    ] = None
    period_from: Annotated[Edtf | None, Describe(description="EDTF; periods that reach into it count.")] = (
        None
    )
    period_to: Annotated[Edtf | None, Describe(description="EDTF; periods that begin by its end count.")] = (
        None
    )


class SeriesQuestion(BaseModel):
    """One measure, of one or more subjects together."""

    model_config = ConfigDict(frozen=True)

    measure: Annotated[
        str,
        StringConstraints(min_length=1, max_length=500),
        Describe(description="As it is kept, such as `bilateral trade`.", examples=["bilateral trade"]),
    ]
    about: Annotated[
        list[Ref],
        Describe(max_length=10, description="The entities that it measures, all of these: ids or slugs."),
    ] = []
    unit: Annotated[_Amount | None, Describe(description=_INTO)] = None
    period_from: Annotated[Edtf | None, Describe(description="EDTF; periods that reach into it count.")] = (
        None
    )
    period_to: Annotated[Edtf | None, Describe(description="EDTF; periods that begin by its end count.")] = (
        None
    )
    withdrawn: Withdrawn = None


class FigureClaim(BaseModel):
    """The claim that a figure stands in."""

    id: str
    text: str
    mode: Mode
    said: str | None
    speakers: list[SpeakerOut]


class ConvertedOut(BaseModel):
    """The figure in the unit that was asked for. `exact` is false if a number's decimals have no end; it then
    has 38 significant digits.
    """

    unit: str
    value: str | None
    lower: str | None
    upper: str | None
    value_number: float | None
    exact: bool


class FigureInClaim(FigureOut):
    """A figure with its claim, through which it is verified; `converted` if a `unit` was asked for."""

    converted: ConvertedOut | None
    claim: FigureClaim
    verification: VerificationOut


class FigureFound(FigureInClaim):
    """A figure in a list; `match` if the list was searched."""

    match: MatchOut | None = None


class PointOut(FigureInClaim):
    """A figure on its line, converted into the line's unit, with the figures that it disagrees with."""

    converted: ConvertedOut
    disagrees_with: list[str]


class DisagreementOut(BaseModel):
    """Figures of one period that answer one question, some of which cannot all be right: what they state has
    no number in common. `actual` is reported or estimated; the other questions are the kinds of figures.
    """

    period: str
    question: Literal["actual", "promised", "forecast", "target", "capacity"]
    figures: list[str]


class LineOut(BaseModel):
    """Figures about the same, of one dimension (one currency, one thing counted), in one unit: the one asked
    for, else the commonest. Points are in the order of their period, those without one first, then of when
    they were said.
    """

    about: list[EntityBrief]
    dimension: Dimension
    unit: str
    points: list[PointOut]
    disagreements: list[DisagreementOut]


class SeriesOut(BaseModel):
    """One measure over time. `complete` is false if there are more points than are given; `note` then says
    how to go on.
    """

    measure: str
    lines: list[LineOut]
    complete: bool
    note: str | None
