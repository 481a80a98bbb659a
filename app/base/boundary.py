"""What stands around every request: its id, the limit of its body, and the last resort for faults."""

import asyncio
import logging
import re
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.base.errors import Internal, Problem, Stopping, TooLarge
from app.base.ids import new_id, request_id
from app.base.problems import problem_response

log = logging.getLogger("on-the-record")


class Boundary:
    """Pure ASGI: gives each request an id, answers HEAD as GET without the body, reads no more of a body than
    `max_body_bytes` (or what `larger` has for its path), and turns what nobody caught into a 500 problem, so
    that the connection stays good for the next request, and what there is no more time for into a 503.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, larger: Mapping[str, int]) -> None:
        self.app = app
        self.max_body_bytes = max_body_bytes
        self.larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = _request_id(scope)
        token = request_id.set(given)
        head = scope["method"] == "HEAD"
        most = self.larger.get(scope["path"], self.max_body_bytes)
        started = False
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise _too_large(most)
            return message

        async def out(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)["X-Request-Id"] = given
            elif head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        try:
            if int(Headers(scope=scope).get("content-length", "0")) > most:
                await problem_response(_too_large(most))(scope, receive, out)
                return
            await self.app({**scope, "method": "GET", "head": True} if head else scope, limited, out)
        except (Exception, asyncio.CancelledError) as fault:
            answer = _last_resort(fault, f"{scope['method']} {scope['path']}", given)
            if started:
                raise
            await problem_response(answer)(scope, receive, out)
        finally:
            request_id.reset(token)


def _request_id(scope: Scope) -> str:
    offered = str(dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1"))
    return offered if re.fullmatch(r"[\w.:-]{1,100}", offered, re.ASCII) else new_id("req")


def _last_resort(fault: BaseException, request: str, given: str) -> Problem:
    if isinstance(fault, asyncio.CancelledError):
        log.warning("%s was given up (request %s)", request, given)
        return Stopping("This server was told to stop: it is not known whether anything was written.")
    log.error("%s failed (request %s)", request, given, exc_info=fault)
    return Internal("Nothing was written. If it goes on, tell whoever runs this with the request id.")


def _too_large(most: int) -> TooLarge:
    # What is left of the body is not read, so the connection cannot be used again.
    detail = f"The body is larger than the {most} bytes that this server reads."
    return TooLarge(detail, headers={"Connection": "close"})
