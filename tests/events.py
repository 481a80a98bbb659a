"""Server-Sent Events as the HTML standard has them be read (section 9.2.6), and nothing more tolerant."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

FIELDS = ("data", "event", "id", "retry")


@dataclass(frozen=True)
class Event:
    """What is dispatched to a page; a comment is one with the name `:`."""

    name: str
    data: str
    id: str


class Reader:
    """Reads events out of the bytes of one stream."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.retry: int | None = None
        self._pieces = pieces
        self._id = ""

    def __iter__(self) -> Iterator[Event]:
        name, data = "", list[str]()
        for line in self._lines():
            field, colon, value = line.partition(":")
            value = value.removeprefix(" ")
            if not line:
                if data:
                    yield Event(name or "message", "\n".join(data), self._id)
                name, data = "", []
            elif colon and not field:
                yield Event(":", value, self._id)
            else:
                assert field in FIELDS, f"a page would ignore {line!r}"
                if field == "data":
                    data.append(value)
                elif field == "event":
                    name = value
                elif field == "id":
                    assert "\0" not in value
                    self._id = value
                else:
                    self.retry = int(value)

    def _lines(self) -> Iterator[str]:
        rest = b""
        for piece in self._pieces:
            *lines, rest = (rest + piece).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
            for line in lines:
                yield line.decode()
        assert not rest, "the stream breaks off in an event"
