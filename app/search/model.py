"""The question that every noun answers, and what is found."""

from typing import Annotated

from pydantic import BaseModel
from pydantic import Field as Describe

from app.base.page import WORDS, Question
from app.base.types import Sort
from app.claims.shapes import ClaimOut
from app.claims.standing import Withdrawn
from app.entities.model import EntityOut
from app.figures.model import FigureInClaim
from app.sources.model import SourceOut
from app.words.explain import MatchOut
from app.words.index import Kind


class SearchQuestion(Question):
    """What is searched for, and among what."""

    q: Annotated[str, Describe(min_length=1, max_length=500, description=WORDS)]
    kind: Annotated[list[Kind], Describe(description="Only these.")] = []
    withdrawn: Withdrawn = None
    order: Annotated[Sort, Describe(description="The best match first (`desc`) or last.")] = "desc"


class HitOut(BaseModel):
    """What was found, of which kind, and why."""

    id: str
    kind: Kind
    record: ClaimOut | EntityOut | SourceOut | FigureInClaim
    match: MatchOut
