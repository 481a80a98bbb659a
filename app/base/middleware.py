"""Layers around the application: compression, and the headers by which pages of other sites may read."""

from collections.abc import Collection, Sequence

from fastapi import Response
from fastapi.middleware.cors import CORSMiddleware
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette_compress import CompressMiddleware

from app.base.boundary import NOTHING, SECURITY
from app.base.errors import Malformed
from app.base.fields import COMPRESSED_FROM, chosen_coding, coded
from app.base.problems import problem_response


class Cors(CORSMiddleware):
    """Lets pages of other sites read, with `forms` at some addresses: there, a POST reads. What it answers
    itself, before the boundary, has the same headers.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        allow_origins: Sequence[str],
        allow_headers: Sequence[str],
        expose_headers: Sequence[str],
        forms: Sequence[str] = (),
        allow_methods: Sequence[str] = ("GET", "HEAD"),
    ) -> None:
        super().__init__(app, allow_origins, allow_methods, allow_headers, expose_headers=expose_headers)
        self.forms = forms
        if forms:
            self.of_forms = Cors(
                app,
                allow_origins=allow_origins,
                allow_headers=allow_headers,
                expose_headers=expose_headers,
                allow_methods=(*allow_methods, "POST"),
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as pages of other sites may have it."""
        answer = self.of_forms if scope.get("path") in self.forms else super().__call__
        await answer(scope, receive, send)

    def preflight_response(self, request_headers: Headers) -> Response:
        """Return whether a page may send what it is about to send."""
        found = super().preflight_response(request_headers)
        response = Response(status_code=204)
        if found.status_code >= 400:
            response = problem_response(Malformed("A page of another site may not send that here."))
        told = [each for each in found.raw_headers if each[0].startswith((b"access-control-", b"vary"))]
        response.raw_headers += [*told, NOTHING, *SECURITY]
        return response


class Compress(CompressMiddleware):
    """Compresses answers, `but` not those at some addresses. What is compressed has an ETag of its own; one
    of the `files`, whose conditions a library looks at, has a weak one.
    """

    def __init__(self, app: ASGIApp, *, but: Collection[str], files: str) -> None:
        super().__init__(app, minimum_size=COMPRESSED_FROM)
        self.but, self.files = but, files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer in the coding that the client likes best."""
        if scope["type"] != "http" or scope["path"] in self.but:
            await self.app(scope, receive, send)
            return
        chosen = chosen_coding(Headers(scope=scope).get("accept-encoding", ""))
        # The library has an order of its own: it is left with one to choose.
        rest = [each for each in scope["headers"] if each[0] != b"accept-encoding"]
        scope["headers"] = [*rest, (b"accept-encoding", chosen.encode())] if chosen else rest

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if "content-encoding" in headers and "etag" in headers:
                    tag, coding = headers["etag"], headers["content-encoding"]
                    is_file = scope["path"].startswith(self.files)
                    headers["etag"] = f"W/{tag}" if is_file else coded(tag, coding)
            await send(message)

        await super().__call__(scope, receive, marked)
