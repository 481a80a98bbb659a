"""Figures over HTTP."""

from typing import Annotated

from fastapi import Query, Response

from app.access.requests import Reading
from app.base.http import v1
from app.base.openapi import answers, listed
from app.figures import store
from app.figures.model import FigureFound, FigureInClaim, FigureQuestion, SeriesOut, SeriesQuestion
from app.figures.series import series

router = v1("figures")


@router.get("/figures", responses=listed(FigureFound), operation_id="list_figures")
def list_figures(ask: Annotated[FigureQuestion, Query()], read: Reading) -> Response:
    """Numbers inside claims, with who says them and how the claim stands, newest first."""
    with read as session:
        found = store.find(session, ask, read.after(ask))
        return read.page(ask, found.rows, found.last)


@router.get("/figures/series", responses=answers(SeriesOut), operation_id="get_series")
def get_series(ask: Annotated[SeriesQuestion, Query()], read: Reading) -> Response:
    """One measure over time, with its disagreements.

    Figures of one period that answer one question disagree if no number satisfies both. Reported and
    estimated figures answer one question; promises, forecasts, targets and capacities one each. What a claim
    repeats of another, a withdrawn claim and a figure without a period disagree with nothing.
    """
    with read as session:
        return read.answer(series(session, ask))


@router.get("/figures/{figure_id}", responses=answers(FigureInClaim), operation_id="get_figure")
def get_figure(figure_id: str, read: Reading) -> Response:
    """One figure."""
    with read as session:
        return read.answer(store.get(session, figure_id))
