"""New claims that are kept from the public for now."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field as Describe
from pydantic import model_validator

from app.base.errors import Invalid
from app.base.times import now
from app.base.types import Moment
from app.changes.hidden import INTERNAL, Visibility
from app.claims.shapes import ClaimIn


class NewClaimIn(ClaimIn):
    """A claim, with who may see it. A direct quote without anchors is looked for in its source by its own
    text.
    """

    visibility: Annotated[
        Visibility | None, Describe(description="By default what the server has set; PATCH leaves it.")
    ] = None
    embargoed_until: Annotated[
        Moment | None, Describe(description="In the future: internal until then, and public from then on.")
    ] = None

    @model_validator(mode="after")
    def _is_public_later(self) -> Self:
        if self.embargoed_until is not None and self.visibility == "public":
            raise ValueError("a claim that is embargoed is not public yet")
        return self


@dataclass(frozen=True)
class HeldBack:
    """How a new claim is kept from the public: not at all, or until a moment if there is one."""

    internal: bool = False
    until: datetime | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """The columns that say so."""
        return {"visibility": INTERNAL, "embargoed_until": self.until} if self.internal else {}


NOT_HELD = HeldBack()
"""How a public claim is kept from the public."""


def must_be_ahead(until: datetime, at: str) -> None:
    """Raise Invalid for the end of an embargo that is not in the future."""
    if until <= now():
        raise Invalid.at(at, "is not in the future")
