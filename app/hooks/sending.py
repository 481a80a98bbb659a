"""One message sent to one target, within limits: so long and no longer, no redirect, next to nothing read."""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Self

import certifi
import httpx

from app.hooks.targets import Address, Networks, addresses, read

WHOLE_SECONDS, CONNECT_SECONDS = 15.0, 5.0
_REST_SECONDS, _REST_BYTES = 1.0, 16 * 1024
"""How much is read of an answer's body, and dropped, so that its connection can be used again."""
_TRIED = 3
"""How many addresses of a name are tried."""

GONE = 410


@dataclass(frozen=True)
class Outcome:
    """What became of a message: the status of the answer, or what went wrong."""

    status: int | None = None
    error: str | None = None
    retry_after: timedelta | None = None

    @property
    def delivered(self) -> bool:
        """Whether the target has taken it."""
        return self.error is None


@cache
def trust() -> ssl.SSLContext:
    """Whose certificates are believed: the system's authorities, and those that browsers know."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


class Sender:
    """Sends messages to one target, one after another over a connection that is kept. The target's name is
    looked up and judged once: what is sent goes to those very addresses. Nothing of the environment counts,
    such as a proxy, which would look the name up for itself.
    """

    def __init__(self, url: str, networks: Networks) -> None:
        self._url, self._networks = url, networks
        self._addresses: list[Address] = []
        self._client = httpx.AsyncClient(
            verify=trust(),
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(WHOLE_SECONDS, connect=CONNECT_SECONDS),
            headers={"User-Agent": "on-the-record"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_fault: object) -> None:
        await self._client.aclose()

    async def send(self, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Sends a message. Whatever the target does, there is an outcome within `WHOLE_SECONDS`."""
        try:
            async with asyncio.timeout(WHOLE_SECONDS):
                return await self._sent(headers, body)
        except TimeoutError:
            return Outcome(error=f"no answer within {WHOLE_SECONDS:g} seconds")
        except httpx.HTTPError as fault:
            return Outcome(error=_said(fault))
        except ValueError as refused:
            return Outcome(error=f"not sent: {refused}")

    async def _sent(self, headers: Mapping[str, str], body: bytes) -> Outcome:
        target = read(self._url)
        named = {**headers, "Host": target.url.netloc.decode()}
        if not self._addresses:
            self._addresses = (await addresses(target, self._networks))[:_TRIED]
        while len(self._addresses) > 1:
            with suppress(httpx.ConnectError, httpx.ConnectTimeout):
                return await _posted(self._client, target.at(self._addresses[0]), target.host, named, body)
            del self._addresses[0]  # nor is it tried for the messages that follow
        return await _posted(self._client, target.at(self._addresses[0]), target.host, named, body)


async def _posted(
    by: httpx.AsyncClient, at: httpx.URL, host: str, headers: Mapping[str, str], body: bytes
) -> Outcome:
    # The certificate is looked at for the name, though the connection is to an address.
    name = {"sni_hostname": host}
    async with by.stream("POST", at, content=body, headers=headers, extensions=name) as answer:
        with suppress(httpx.HTTPError, TimeoutError):
            async with asyncio.timeout(_REST_SECONDS):
                await _empty(answer)
        return _outcome(answer)


async def _empty(answer: httpx.Response) -> None:
    size = 0
    async for piece in answer.aiter_raw():
        size += len(piece)
        if size > _REST_BYTES:
            return


def _outcome(answer: httpx.Response) -> Outcome:
    status = answer.status_code
    if answer.is_success:
        return Outcome(status)
    if answer.is_redirect:
        return Outcome(status, f"answered {status}, and redirects are not followed")
    return Outcome(status, f"answered {status}", _asked(answer.headers.get("retry-after", "")))


def _asked(header: str) -> timedelta | None:
    """How long the target asks to be left alone (RFC 9110, section 10.2.3)."""
    try:
        if header.strip().isdecimal():
            return timedelta(seconds=int(header))
        until = parsedate_to_datetime(header)
        return (until if until.tzinfo else until.replace(tzinfo=UTC)) - datetime.now(UTC)
    except (ValueError, OverflowError):
        return None


_CERTIFICATES = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is signed by itself",
    19: "it is signed by an authority that is not known here",
    20: "it is signed by an authority that is not known here",
    21: "it is signed by an authority that is not known here",
    62: "it is for another name",
    64: "it is for another address",
}
"""What is wrong with a certificate, by OpenSSL's code (X509_V_ERR_…)."""


def _said(fault: httpx.HTTPError) -> str:
    """What went wrong, in words of ours: those of libraries may have an address in them."""
    cause: BaseException | None = fault
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = _CERTIFICATES.get(cause.verify_code, "it cannot be verified")
            return f"its certificate is not good: {why}"
        if isinstance(cause, ssl.SSLError):
            return "TLS could not be agreed on"
        cause = cause.__cause__ or cause.__context__
    match fault:
        case httpx.ConnectTimeout():
            return f"no connection within {CONNECT_SECONDS:g} seconds"
        case httpx.ConnectError():
            return "no connection"
        case httpx.TimeoutException():
            return f"no answer within {WHOLE_SECONDS:g} seconds"
        case httpx.RemoteProtocolError():
            return "no answer in HTTP"
        case _:
            return "the connection was lost"
