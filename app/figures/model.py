"""The question that figures answer, and a figure with the claim that it stands in."""

from typing import Annotated

from pydantic import BaseModel
from pydantic import Field as Describe

from app.base.page import Question, Words
from app.base.types import Edtf, QueryFlag
from app.claims.model import FigureKind, Mode, Status
from app.claims.shapes import FigureOut, SpeakerOut, VerificationOut
from app.entities.model import Ref
from app.sources.model import SourceRef
from app.words.explain import MatchOut


class FigureQuestion(Question):
    """Filters of the list of figures; a repeated one means any of its values."""

    q: Words = None
    measure: Annotated[list[str], Describe(description="As it is kept, such as `bilateral trade`.")] = []
    about: Annotated[list[Ref], Describe(description="What it measures: ids or slugs.")] = []
    speaker: list[Ref] = []
    source: Annotated[list[SourceRef], Describe(description="What prints it.")] = []
    publisher: Annotated[list[Ref], Describe(description="Who publishes what prints it.")] = []
    claim: list[str] = []
    unit: Annotated[list[str], Describe(description="UCUM or ISO 4217 code.")] = []
    kind: list[FigureKind] = []
    is_record: QueryFlag | None = None
    period_from: Annotated[Edtf | None, Describe(description="EDTF; periods that reach into it count.")] = (
        None
    )
    period_to: Edtf | None = None
    status: list[Status] = []


class FigureClaim(BaseModel):
    """The claim that a figure stands in."""

    id: str
    text: str
    mode: Mode
    said: str | None
    speakers: list[SpeakerOut]


class FigureInClaim(FigureOut):
    """A figure with its claim, through which it is verified."""

    claim: FigureClaim
    verification: VerificationOut


class FigureFound(FigureInClaim):
    """A figure in a list; `match` if the list was searched."""

    match: MatchOut | None = None
