"""Erasures: the shapes of input and output."""

from datetime import datetime
from typing import Annotated, Literal, get_args

from pydantic import BaseModel
from pydantic import Field as Describe

from app.base.page import Question
from app.base.types import Prose, Shape, example

ErasableType = Literal["claim", "figure", "entity", "source", "snapshot", "review", "person", "evidence"]
TYPES: tuple[ErasableType, ...] = get_args(ErasableType)


class ErasureIn(Shape):
    """The record whose words are to be erased, and why, for everyone to read."""

    model_config = example(
        {"record": "clm_01m87gne0veherp8apm1m6sqm3", "note": "By order of the court of 2 November 2026."}
    )

    record: Annotated[
        str,
        Describe(
            min_length=1,
            max_length=40,
            description="The id of a claim, figure, entity, source, snapshot, review, person or piece of "
            "evidence.",
        ),
    ]
    note: Annotated[Prose, Describe(description="Public, so without the words that are to be erased.")]


class ErasureQuestion(Question):
    """A page of erasures; `record` is any of these ids."""

    record: Annotated[
        list[str], Describe(description="The ids of the erased records, or of others that lost words.")
    ] = []


class ErasureOut(BaseModel):
    """One erasure. `seq` is its place in the ledger; `also` are the records that lost words with it, such as
    the snapshots of a source or the rulings on a claim.
    """

    seq: int
    record: str
    type: ErasableType
    note: str
    at: datetime
    also: list[str]


class NewErasure(ErasureOut):
    """An erasure just made. `covered` is how many entries of the ledger's first form, in the whole database,
    still have words that nobody is shown any more: `python -m app erase` removes them from the files.
    `quoted_in` are the claims and pieces of evidence that still have words of an erased source, or of a text
    of it, as their own: erase them as well if those must go.
    """

    covered: int
    quoted_in: list[str]
