"""How much one client may ask for: requests a minute, wrong keys a minute, and requests at once.

All of it is in this process's memory and used from its event loop.
"""

import ipaddress
import logging
import re
from asyncio import CancelledError, Future, get_running_loop
from collections import OrderedDict, deque
from collections.abc import Mapping
from time import monotonic_ns

from starlette.types import Scope

from app.base.caches import remembered
from app.base.errors import TooManyRequests
from app.base.fields import Header

log = logging.getLogger("on-the-record")

_SECOND = 1_000_000_000
_KEPT = 50_000
"""How many clients a meter remembers, those seen last: some 10 MB."""
_LONGEST_NAME = 100
"""Characters of an address that count."""
_WAITING = 200
"""How many requests of one client wait for their turn; further ones are refused."""
WATCHED = frozenset({"/healthz", "/readyz", "/metrics"})
"""Addresses that a supervisor asks every few seconds. They count apart from all others, or it would take the
server for dead because somebody else at its address asks a lot.
"""
_THIS_MACHINE = re.compile(
    rb"(([\w.-]+\.)?localhost|127(\.\d{1,3}){3}|0\.0\.0\.0|\[::1\])?(:\d*)?", re.IGNORECASE
)
"""Hosts that only a program on this machine itself asks for."""


def network(host: str) -> str | None:
    """Whom an address stands for: an IPv4 address, the /64 of an IPv6 address (one subscriber has as many
    addresses as it likes in it), or None for this machine itself.
    """
    return _network(host[:_LONGEST_NAME]) or None


@remembered
def _network(host: str) -> str:
    """The same; empty for None."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host  # a name that a trusted proxy has given
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return "" if address.is_loopback else str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
        address = address.ipv4_mapped
    return "" if address.is_loopback else str(address)


_OF_PROXIES = frozenset(
    (b"via", b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip")
)


def client_of(scope: Scope, host: bytes | None) -> str | None:
    """Return the client that a request counts for, or None for this machine itself.

    A request that comes over loopback for another name than this machine's, or with a header that proxies
    add, was passed on by a proxy that does not say for whom, so all of them count for the proxy.
    """
    peer = scope.get("client")
    if not peer:
        return None
    own = _THIS_MACHINE.fullmatch(host or b"") and not any(
        name in _OF_PROXIES for name, _ in scope["headers"]
    )
    return network(peer[0]) or (None if own else str(peer[0]))


class Meter:
    """So many requests in so many seconds for each client, at once or evenly: the generic cell rate algorithm
    (GCRA, ITU-T I.371), which needs one number for a client, the time at which its quota is whole again.
    """

    def __init__(self, name: str, most: int, seconds: int = 60) -> None:
        self.name = name
        self._step = seconds * _SECOND // most if most else 0
        self._span = self._step * most
        self._policy = f'"{name}";q={most};w={seconds}'.encode()
        self._whole_at: OrderedDict[str | int, int] = OrderedDict()

    def __contains__(self, client: str | int) -> bool:
        return client in self._whole_at

    def forget(self, client: str | int) -> None:
        """As if the client had never been here."""
        self._whole_at.pop(client, None)

    def take(self, client: str | int) -> int:
        """Takes one of the client's quota. The nanoseconds' worth of it that is left, or, negative, how long
        it lacks; then nothing was taken.
        """
        now = monotonic_ns()
        whole_at = max(self._whole_at.get(client, 0), now) + self._step
        left = self._span - (whole_at - now)
        if left >= 0:
            self._whole_at[client] = whole_at
            self._whole_at.move_to_end(client)
            if len(self._whole_at) > _KEPT:
                self._whole_at.popitem(last=False)
        return left

    def lacks(self, client: str | int) -> int:
        """The nanoseconds until the client has one of its quota; 0 or less if it has one now."""
        now = monotonic_ns()
        return max(self._whole_at.get(client, 0) - now, 0) + self._step - self._span

    def headers(self, left: int) -> list[Header]:
        """What is left, in words (draft-ietf-httpapi-ratelimit-headers-11): `r` requests, and `t` seconds
        until there is one more.
        """
        if not self._step:
            return []
        rest, more = (left // self._step, self._step - left % self._step) if left >= 0 else (0, -left)
        now = f'"{self.name}";r={rest};t={_seconds(more)}'.encode()
        return [(b"ratelimit-policy", self._policy), (b"ratelimit", now)]

    def refusal(self, lacking: int, detail: str) -> TooManyRequests:
        """The refusal of a client that lacks so many nanoseconds' worth."""
        headers = {name.decode(): value.decode() for name, value in self.headers(-lacking)}
        return TooManyRequests(detail, _seconds(lacking), [self.name], headers)


def _seconds(nanoseconds: int) -> int:
    return -(-nanoseconds // _SECOND)


class Turns:
    """Each client has so many requests under way; the others of it wait in their order, so that a client that
    sends a thousand at once does not take every thread and every database connection.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._under_way: dict[str | int, int] = {}
        self._waiting: dict[str | int, deque[Future[None]]] = {}

    async def take(self, client: str | int) -> None:
        """Waits for the client's turn. Raises TooManyRequests if too many of its requests wait already."""
        under_way = self._under_way.get(client, 0)
        if under_way < self.most:
            self._under_way[client] = under_way + 1
            return
        queue = self._waiting.setdefault(client, deque())
        if len(queue) >= _WAITING:
            raise TooManyRequests(f"{_WAITING} requests of yours wait already.", 1, ["at-once"], {})
        turn = get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(client)
            elif turn in queue:  # or it would count among those that wait
                queue.remove(turn)
            raise

    def give(self, client: str | int) -> None:
        """Gives a turn back, to the next of the client's requests that waits.

        That happens in the next round of the event loop: a request that is answered without waiting would
        otherwise hand its turn on within the round, and a client with a hundred connections have a hundred
        requests answered before anyone else's.
        """
        get_running_loop().call_soon(self._give, client)

    def _give(self, client: str | int) -> None:
        queue = self._waiting.get(client)
        while queue:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._waiting.pop(client, None)
        under_way = self._under_way[client] - 1
        if under_way:
            self._under_way[client] = under_way
        else:
            del self._under_way[client]


VISIT = "visit"
"""Where a request's state has its visit."""
WITHIN = "within"
"""Where the state of a request that came within another one says so: it is answered in the other's turn."""


class Visit:
    """A request that was let in. `headers` go with its answer."""

    __slots__ = ("_authorization", "_client", "_limits", "_place", "headers")

    def __init__(
        self,
        limits: "Limits",
        place: str,
        authorization: int | None,
        client: str | int | None,
        headers: list[Header],
    ) -> None:
        self._limits, self._place, self._authorization = limits, place, authorization
        self._client = client
        self.headers = headers

    def answered(self, status: int, *, known: bool) -> None:
        """That its answer begins; `known` says whether its key was recognised."""
        if self._authorization is None:
            return
        if status == 401:
            self._limits.by_key.forget(self._authorization)
            self._limits.wrong_keys.take(self._place)
        elif known and self._authorization not in self._limits.by_key:
            self._limits.by_key.take(self._authorization)

    def try_key(self, token: bytes) -> None:
        """Notes that it has this key. Raises TooManyRequests if that is not known to be good, and too many
        wrong ones came from its address.
        """
        self._authorization = hash(token)
        lacking = self._limits.wrong_keys.lacks(self._place)
        if lacking > 0 and self._authorization not in self._limits.by_key:
            raise self._limits.wrong_keys.refusal(lacking, "Too many wrong keys came from your address.")

    def end(self) -> None:
        """Gives its turn back, once."""
        if self._client is not None:
            self._limits.turns.give(self._client)
            self._client = None


def visit_of(scope: Scope) -> Visit | None:
    """Return the visit of a request, if a limit holds for it."""
    found: Visit | None = scope.get("state", {}).get(VISIT)
    return found


def let_go(scope: Scope) -> None:
    """Gives a request's turn back before its answer ends, as a stream would keep it for hours."""
    if (visit := visit_of(scope)) is not None:
        visit.end()


class Limits:
    """The limits of one server. A key that was recognised has a quota of its own, wherever it is used; all
    else counts for its address, wrong keys twice. Keys are remembered by a hash that is good for this process
    only. 0 is no limit.
    """

    def __init__(self, *, per_address: int, per_key: int, wrong_keys: int, at_once: int) -> None:
        self.by_address = Meter("address", per_address)
        self.by_key = Meter("key", per_key)
        self.wrong_keys = Meter("wrong-keys", wrong_keys)
        self.turns = Turns(at_once)
        self._warned = False

    async def admit(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Visit | None:
        """Lets a request in at its turn; None if no limit holds for it. Raises TooManyRequests."""
        place = client_of(scope, headers.get(b"host"))
        if place is None:
            return None
        self._warn_of_proxy(scope)
        sent = headers.get(b"authorization")
        authorization = None if sent is None else hash(sent.partition(b" ")[2].strip())
        meter: Meter = self.by_address
        client: str | int = f"{place} (probes)" if scope["path"] in WATCHED else place
        if authorization is not None and authorization in self.by_key:
            meter, client = self.by_key, authorization
        left = meter.take(client)
        if left < 0:
            raise meter.refusal(-left, f"This {meter.name} has asked for more than it may in a minute.")
        state = scope.setdefault("state", {})
        within = WITHIN in state
        if not within:
            await self.turns.take(client)
        visit = state[VISIT] = Visit(
            self, place, authorization, None if within else client, meter.headers(left)
        )
        return visit

    def _warn_of_proxy(self, scope: Scope) -> None:
        """Says once that a proxy on this machine hides its clients."""
        if not self._warned and network(scope["client"][0]) is None:
            self._warned = True
            log.warning(
                "Requests for a public name come over loopback without X-Forwarded-For: all of them count as "
                "one client. Have the proxy send the addresses of its clients (docs/security.md)."
            )
