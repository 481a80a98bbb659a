"""All quotes of a source and what becomes of them in a text: the shapes of input and output."""

from typing import Annotated

from pydantic import BaseModel
from pydantic import Field as Describe

from app.base.page import Question
from app.claims.anchors import AnchorState
from app.claims.shapes import AnchorOut
from app.claims.typography import Kind
from app.sources.model import SnapshotOut


class AnchorQuestion(Question):
    """Filters of a source's quotes."""

    state: Annotated[list[AnchorState], Describe(description="The state of the quote in the text.")] = []


class WordsOut(BaseModel):
    """Words of a quote, and those that the text has instead of them; either may be empty."""

    quote: str
    text: str


class DifferenceOut(BaseModel):
    """What differs between a quote and the text: kinds of typography, or else words."""

    typography: list[Kind]
    words: list[WordsOut]


class QuotedOut(AnchorOut):
    """One segment that a claim, or a piece of evidence on it, quotes from a source, and the snapshot that it
    was looked for in. `found` is the passage as it is printed there; it and `differs` are null if there is
    none, or no text at hand.
    """

    claim: str
    evidence: str | None
    snapshot: str | None
    found: str | None
    differs: DifferenceOut | None


class OrphanOut(BaseModel):
    """A quote that the text does not have, of the claim itself or of a piece of evidence on it."""

    claim: str
    evidence: str | None
    exact: str


class ArchivedOut(SnapshotOut):
    """A snapshot that was just archived. If its text came to hand by that, `quotes` counts by state the
    quotes that were looked up in it, and `orphans` has the first 200 that are not there.
    """

    quotes: dict[AnchorState, int]
    orphans: list[OrphanOut]
