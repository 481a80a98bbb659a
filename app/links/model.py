"""Links between claims, and suggestions of some: the table and the shapes of input and output."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel
from pydantic import Field as Describe
from sqlalchemy import CheckConstraint, Text, UniqueConstraint
from sqlmodel import Field

from app.base.page import Question
from app.base.types import Id, Json, Prose, Shape, example, one_of
from app.changes.model import Record
from app.claims.standing import VerificationOut, Withdrawn
from app.figures.model import FigureClaim

Relation = Literal["contradicts", "supports", "repeats"]
Judgement = Literal["positive", "negative", "unsure"]

DIRECTED: Relation = "supports"
"""The one relation that is another the other way round."""


# --- tables ------------------------------------------------------------------------------------


class Link(Record, table=True):
    """Whether one claim is something to another, as a checker has judged it. A pair is kept once for each
    relation: the older claim first, unless the relation has a direction.
    """

    __tablename__ = "links"
    __table_args__ = (
        one_of("relation", get_args(Relation)),
        one_of("judgement", get_args(Judgement)),
        CheckConstraint("claim_id <> other_id", name="of_two_claims"),
        UniqueConstraint("claim_id", "other_id", "relation"),
    )
    noun: ClassVar[str] = "link"

    claim_id: str = Field(sa_type=Id, foreign_key="claims.id")
    other_id: str = Field(sa_type=Id, foreign_key="claims.id", index=True)
    relation: str = Field(sa_type=Text)
    judgement: str = Field(sa_type=Text)
    note: str | None = Field(default=None, sa_type=Text)
    judged_by: str = Field(sa_type=Id)
    judged_by_name: str = Field(sa_type=Text)
    erased: dict[str, Any] | None = Field(default=None, sa_type=Json)


# --- in ----------------------------------------------------------------------------------------


class JudgementIn(Shape):
    """Whether it is so, and why."""

    judgement: Judgement
    note: Prose | None = None


class LinkIn(JudgementIn):
    """What this claim is to another. That it `repeats` the other is said on the claim itself; as a link it is
    only remembered that it does not, or that this is not sure.
    """

    model_config = example(
        {
            "other": "clm_01m87gne0veherp8apm1m6sqm3",
            "relation": "contradicts",
            "judgement": "positive",
            "note": "Mongolia has agreed by the one, and has not been asked by the other.",
        }
    )

    other: Annotated[str, Describe(description="The other claim's id.")]
    relation: Relation


class LinkQuestion(Question):
    """Filters of a claim's links; a repeated one means any of its values."""

    relation: Annotated[list[Relation], Describe(description="The relation that was judged.")] = []
    judgement: Annotated[list[Judgement], Describe(description="The judgement of it.")] = []


class LinkFilters(LinkQuestion):
    """Filters of links across claims."""

    claim: Annotated[list[str], Describe(description="The claims on either side: ids.")] = []
    withdrawn: Withdrawn = None


class SuggestionQuestion(Question):
    """Which suggestions are wanted: best first, or the other way round (`order=asc`)."""

    relation: Annotated[list[Relation], Describe(description="The relation that is suggested.")] = []
    include: Annotated[
        list[Literal["unsure"]], Describe(description="`unsure` adds those of which a checker was not sure.")
    ] = []


# --- out ---------------------------------------------------------------------------------------


class LinkedClaim(FigureClaim):
    """A claim at one end of a link."""

    verification: VerificationOut


class JudgeOut(BaseModel):
    """The person who judged. The public is told the byline that they chose, without the id."""

    id: str | None
    name: str


class LinkOut(BaseModel):
    """A link: `claim` is that to `other` (`positive`), is not (`negative`), or nobody can be sure."""

    id: str
    claim: LinkedClaim
    relation: Relation
    other: LinkedClaim
    judgement: Judgement
    note: str | None
    judged_by: JudgeOut | None
    judged_at: datetime
    version: int
    created_at: datetime


class GroundOut(BaseModel):
    """A reason for a suggestion, and what it adds to the score. `figures` are the ids of the two figures that
    agree or not, this claim's first.
    """

    kind: Literal["words", "figure", "speaker", "subject"]
    points: int
    detail: str
    figures: list[str]


class SuggestionOut(BaseModel):
    """A claim that may be something to this one. `link` is where a checker was not sure of just that."""

    claim: LinkedClaim
    relation: Relation
    score: int
    reasons: list[GroundOut]
    link: str | None
