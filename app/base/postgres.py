"""URLs of PostgreSQL, of one server or of several that stand in for each other."""

import re
from collections.abc import Iterator

from sqlalchemy.engine import URL, make_url

_SEVERAL = re.compile(
    r"(?P<user>[\w+]+://(?:[^/?]*@)?)(?P<hosts>[^/?@]*,[^/?@]*)(?P<rest>[/?].*|)", re.DOTALL
)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::(\d+))?")

TAKES_WRITES = "read-write"


def read_url(url: str) -> URL:
    """The URL, also in libpq's form for several servers: `postgresql://a:5432,b:5432/name`. Of those, the one
    that takes writes is connected to, unless the URL says another `target_session_attrs`.

    Raises ValueError or SQLAlchemy's ArgumentError.
    """
    several = _SEVERAL.fullmatch(url)
    if several is None:
        return make_url(url)
    names, ports = zip(*_addresses(several["hosts"]), strict=True)
    one = make_url(several["user"] + several["rest"])
    given = {"target_session_attrs": TAKES_WRITES, **one.query}
    return one.set(query={**given, "host": ",".join(names), "port": ",".join(ports)})


def _addresses(hosts: str) -> Iterator[tuple[str, str]]:
    for host in hosts.split(","):
        match = _HOST.fullmatch(host)
        if match is None:
            raise ValueError(f"{host!r} is not a host with its port")
        yield match[1].strip("[]"), match[2] or "5432"


def for_reading(url: URL) -> URL:
    """The same servers for connections that refuse to write. libpq takes such a connection for one to a
    standby, and would find none that takes writes.
    """
    if url.query.get("target_session_attrs") != TAKES_WRITES:
        return url
    return url.update_query_dict({"target_session_attrs": "primary"})
