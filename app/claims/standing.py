"""A claim's standing and rank as routes show them, the filter by standing, and what a correction leaves of
the standing before.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel
from pydantic import Field as Describe

from app.base.page import Question
from app.base.times import instant, now
from app.claims.model import Agreement, Attribution, Claim, CorrectionKind, Status, Verdict

STATUSES: Sequence[Status] = get_args(Status)
PRESENT: Sequence[Status] = [status for status in STATUSES if status != "withdrawn"]
"""The statuses of claims that are listed where nothing is said of withdrawn ones."""

Withdrawn = Annotated[
    Literal["include"] | None,
    Describe(description="`include` adds claims that were withdrawn, which are left out otherwise."),
]


class StatusFilters(Question):
    """The filter by how a claim stands. Withdrawn claims are left out unless they are asked for."""

    status: Annotated[list[Status], Describe(description="The status of the claims.")] = []
    withdrawn: Withdrawn = None

    @property
    def hides_withdrawn(self) -> bool:
        """Return whether withdrawn claims are left out because nothing was said of them."""
        return not self.status and self.withdrawn is None

    @property
    def statuses(self) -> Sequence[Status]:
        """The statuses that are asked for, each once."""
        if self.hides_withdrawn:
            return PRESENT
        if not self.status:
            return STATUSES
        return list(dict.fromkeys([*self.status, *(["withdrawn"] if self.withdrawn else [])]))  # type: ignore[list-item]


class AssigneeOut(BaseModel):
    """The person who has taken the claim."""

    id: str
    name: str


class StoodOut(BaseModel):
    """How a claim stood."""

    status: Status
    verdict: Verdict | None
    attribution: Attribution


class CorrectionOut(BaseModel):
    """The latest correction, withdrawal or reinstatement of the claim: why, when, and what it was before
    (`was`). `review` is the ruling that corrects, if it is one.
    """

    kind: CorrectionKind
    note: str | None
    at: datetime
    review: str | None
    was: StoodOut


class VerificationOut(BaseModel):
    """The claim's standing: `attribution`, did they say it; `verdict`, is it true; whether desks agree on
    either. `note` is the public note of the last correction or withdrawal that holds, `correction` the last
    of all.
    """

    status: Status
    verdict: Verdict | None
    attribution: Attribution
    agreement: Agreement | None
    attribution_agreement: Agreement | None
    assignee: Annotated[AssigneeOut | None, Describe(description="Null to the public.")]
    lease_expires_at: datetime | None
    reviewed_at: datetime | None
    note: str | None
    correction: CorrectionOut | None


class RankOut(BaseModel):
    """How many claims repeat this one, and how often it was read."""

    repeats: int
    reads: int


def stood(claim: Claim) -> dict[str, Any]:
    """How a claim stands, to be kept."""
    return {"status": claim.status, "verdict": claim.verdict, "attribution": claim.attribution}


def correct(
    claim: Claim, kind: CorrectionKind, was: Mapping[str, Any], note: str | None, review: str | None = None
) -> None:
    """Notes on a claim that it stands otherwise than it `stood`, and why."""
    claim.correction = {
        "kind": kind,
        "note": note,
        "at": instant(now()),
        "review": review,
        "was": dict(was),
    }


def carry_correction(original: Claim, repeater: Claim) -> None:
    """Has a claim that repeats another show its correction, unless its own is later."""
    theirs, own = original.correction, repeater.correction
    if theirs and (own is None or own["at"] < theirs["at"]):
        was = {**theirs["was"], "attribution": repeater.attribution}
        repeater.correction = {**theirs, "was": was}
