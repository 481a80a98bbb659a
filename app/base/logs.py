"""The server's log: one line for each event on standard error, as text or as JSON. No key is ever in it, and
no character that a terminal acts on.
"""

import logging
import re
import sys
import time
from functools import lru_cache
from typing import Any, Literal

import orjson

from app.base.ids import request_id

_requests = logging.getLogger("on-the-record.requests")

_KEY = re.compile(r"otr_[\w-]+|(?<=\b[Bb]earer )\S+", re.ASCII)
_ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What a terminal acts on: the beginnings of ANSI escapes, ends of lines, turns of writing."""


def printable(text: str) -> str:
    """The text with such characters written out, as `\\x1b`: it cannot colour, move or overwrite anything."""
    if text.isprintable():  # some microseconds less than to look for each
        return text
    return _ACTING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def redacted(text: str) -> str:
    """The text without any key in it."""
    return _KEY.sub("[key]", text) if "otr_" in text or "earer " in text else text


def note_request(level: int, **fields: Any) -> None:
    """Writes the line that every request has."""
    if _requests.isEnabledFor(level):
        # `info` would find out which line calls it, which takes longer than all the rest.
        record = logging.LogRecord(_requests.name, level, "", 0, "request", None, None)
        record.fields = fields
        _requests.handle(record)


class _Line(logging.Formatter):
    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """What is said of an event."""
        fields = {
            "time": f"{_second(int(record.created))}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
            "request_id": request_id.get(),
        }
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        return fields


@lru_cache(1)
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))


class JsonLine(_Line):
    """One JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(orjson.dumps(self.fields(record)).decode())


class TextLine(_Line):
    """Words in a line, and the trace of a fault in those below it."""

    def format(self, record: logging.LogRecord) -> str:
        fields = self.fields(record)
        trace = fields.pop("trace", None)
        line = printable(" ".join(["-" if value is None else str(value) for value in fields.values()]))
        return redacted(line.replace("\n", "\\n") + (f"\n{printable(trace)}" if trace else ""))


def log_config(level: str, form: Literal["text", "json"]) -> dict[str, Any]:
    """The configuration of `logging` for a server."""
    handler = {"class": "logging.StreamHandler", "stream": sys.stderr, "formatter": "line"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": JsonLine if form == "json" else TextLine}},
        "handlers": {"stderr": handler},
        "root": {"handlers": ["stderr"], "level": level.upper()},
        # They tell of themselves whenever the schema is looked at, and of whole addresses.
        "loggers": {name: {"level": "WARNING"} for name in ("alembic", "httpx", "httpcore")},
    }
