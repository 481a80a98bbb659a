"""The message that a server starts with."""

import logging
import os
import shlex
import shutil
import sys

from app.base.db import Readable
from app.base.errors import Unavailable
from app.entities import store as entities
from app.operations.commands import say
from app.settings import Settings

log = logging.getLogger("on-the-record")

_EXAMPLE = "/v1/claims?speaker=vladimir-putin&about=power-of-siberia-2"


def announce(host: str, port: int, settings: Settings, base: Readable) -> None:
    """Say where the server answers: lines for a person, or one event of the log where that is JSON."""
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{port}"
    if settings.log_format == "json":
        log.info("On the Record answers at %s", url, extra={"fields": {"listens": f"{host}:{port}"}})
        return
    lines = [
        f"On the Record answers at {url}",
        f"  Guide          {url}/guide",
        f"  Documentation  {url}/docs",
    ]
    if _has_examples(base):
        lines.append(f"  A first look   curl '{url}{_EXAMPLE}'")
    lines.append(f"  A key to write {_python()} -m app key create 'Your name' --role editor")
    say("\n".join(lines))


def _has_examples(base: Readable) -> bool:
    """Return whether the database has the sample record that the example asks for."""
    try:
        with base.read() as session:
            return entities.known(session, "power-of-siberia-2")
    except Unavailable:
        return False


def _python() -> str:
    """Return the command that runs this Python: its name, if the shell finds it under that."""
    return (
        "python" if shutil.which("python") == sys.executable else shlex.quote(os.path.relpath(sys.executable))
    )
