"""What is sent to publish claims and sources."""

from typing import Annotated

from pydantic import Field as Describe

from app.base.types import EACH_ONCE, Moment, Prose, Shape, example


class PublicationIn(Shape):
    """When the record is to be public, and why."""

    model_config = example({"note": "The report is out."})

    at: Annotated[
        Moment | None, Describe(description="In the future: it is embargoed until then. By default now.")
    ] = None
    note: Annotated[Prose | None, Describe(description="Public.")] = None


class PublicationsIn(PublicationIn):
    """Some claims, published together or not at all."""

    model_config = example({"claims": ["clm_01m87gne0veherp8apm1m6sqm3"], "note": "The report is out."})

    claims: Annotated[
        list[str], Describe(min_length=1, max_length=100, json_schema_extra=EACH_ONCE, description="Ids.")
    ]
