"""What Prometheus asks for."""

from fastapi import APIRouter, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from app.access.requests import Measuring
from app.base.http import Route, produces
from app.operations.metrics import Metrics

router = APIRouter(include_in_schema=False, route_class=Route)


@router.get("/metrics")
@produces("text/plain")
async def metrics(read: Measuring) -> Response:
    """The measures of this process and its base."""
    kept: Metrics = read.request.app.state.metrics
    text = await read.house.exposition.get(lambda: kept.exposition(read.house))
    return Response(text, headers={"Cache-Control": "no-store"}, media_type=CONTENT_TYPE_PLAIN_0_0_4)
