"""PostgreSQL's client programs: found where they are, of a version that suits the server."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import IO

from psycopg.conninfo import make_conninfo
from sqlalchemy import text

from app.base.db import Database
from app.settings import environment

PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql*/bin",
    "/opt/homebrew/opt/libpq/bin",
    "/usr/local/opt/postgresql*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
"""Where distributions put them, beside those on PATH."""

NAMES = ("pg_dump", "pg_restore", "psql")


class Clients:
    """The programs for a base: those of the server's own version if they are here, else of the next newer
    one, since an older pg_dump refuses the server. Raises ValueError if there are none.
    """

    def __init__(self, db: Database) -> None:
        with db.read() as session:
            number = session.execute(text("SHOW server_version_num")).scalar_one()
        self.server = int(number) // 10000
        self.directory, self.major = _suitable(self.server)
        options = db.reader.dialect.create_connect_args(db.url)[1]
        options.pop("context", None)  # of the driver, not of its library
        password = str(options.pop("password", None) or "")
        self._target = make_conninfo(**options)
        self._environment = environment(PGPASSWORD=password) if password else environment()

    def start(
        self, name: str, *options: str, told: IO[bytes], stdin: int = DEVNULL, stdout: int = DEVNULL
    ) -> Popen[bytes]:
        """Starts a program on the base. What it complains of goes to `told`."""
        command = [str(self.directory / name), *options]
        if name != "pg_restore":  # which makes a script here, and asks no server
            command += ["--no-password", f"--dbname={self._target}"]
        return Popen(command, env=self._environment, stdin=stdin, stdout=stdout, stderr=told)

    def run(self, name: str, *options: str) -> bytes:
        """What a program says. Raises ValueError with its complaint if it fails."""
        with tempfile.TemporaryFile() as told:
            with self.start(name, *options, told=told, stdout=PIPE) as process:
                said, _ = process.communicate()
            if process.returncode:
                raise ValueError(complaint(name, told))
        return said


def complaint(name: str, told: IO[bytes]) -> str:
    """What a program said before it ended, in one line."""
    told.seek(0)
    lines = told.read().decode(errors="replace").splitlines()
    faults = [line for line in lines if "error:" in line.lower()] or lines or ["it ended without a word"]
    return f"{name} failed: {faults[0].removeprefix(f'{name}: ').removeprefix('error: ')}"


def _suitable(server: int) -> tuple[Path, int]:
    found = {directory: major for directory in _places() if (major := _major(directory))}
    suiting = sorted((major != server, major, str(d)) for d, major in found.items() if major >= server)
    if suiting:
        _, major, directory = suiting[0]
        return Path(directory), major
    wanted = f"PostgreSQL's client programs ({', '.join(NAMES)}) of version {server} or newer"
    if found:
        raise ValueError(
            f"The server is of version {server}; those found are of version {max(found.values())}: "
            f"install {wanted}"
        )
    raise ValueError(f"Neither PATH nor the usual places have {wanted}")


def _places() -> Iterator[Path]:
    on_path = shutil.which(NAMES[0])
    if on_path:
        yield Path(on_path).parent
    for pattern in PLACES:
        yield from sorted(Path("/").glob(pattern.lstrip("/")))


def _major(directory: Path) -> int | None:
    """The version of the programs in a directory that has them all."""
    if not all((directory / name).is_file() for name in NAMES):
        return None
    command = [str(directory / NAMES[0]), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    number = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    return int(number[1]) if number else None
