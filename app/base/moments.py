"""Moments that may not be in the future."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator

from app.base.times import is_ahead
from app.base.types import Moment


def _past(at: datetime) -> datetime:
    if is_ahead(at):
        raise ValueError("is in the future")
    return at


def _past_or_today(at: datetime) -> datetime:
    if is_ahead(at, day_alone=True):
        raise ValueError("is in the future")
    return at


PastMoment = Annotated[Moment, AfterValidator(_past)]
PublishedMoment = Annotated[Moment, AfterValidator(_past_or_today)]
"""As others publish it, who often give a day alone."""
