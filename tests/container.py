"""The Dockerfile and docker-compose.yml, read and carried out without a container engine.

The image's directories (`/opt`, `/srv`, …) are directories below one of ours; its commands, variables and
files are those of the Dockerfile, word for word but for these. What makes users is left out; the commands run
under the user's number where the tests run as root, and that user may run Python. What pip installs, uv does
with the same options, in a tenth of pip's processor time, and only what the application imports is compiled.
"""

import fnmatch
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psycopg
import yaml
from sqlalchemy.engine import make_url

from app.base import schema
from tests.postgres import has_clients, installations

_OURS = re.compile(r"(?<![\w.])/(opt|srv|build|data)(?=[/\s:\"']|$)")
_PIP = re.compile(r"(\S+/pip) (install|uninstall) ([^&]+)")
_VARIABLE = re.compile(r"\$\{(\w+)(?::?([-?])([^}]*))?\}")


def instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    """What a Dockerfile says, one instruction after another."""
    lines = (line for line in dockerfile.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name.upper(), rest.strip()


def sent(path: str) -> bool:
    """Whether .dockerignore lets a file or directory of the project into the build."""
    kept = False
    for line in (schema.ROOT / ".dockerignore").read_text().split():
        if fnmatch.fnmatch(path, line.removeprefix("!")):
            kept = line.startswith("!")
    return kept


@dataclass
class Image:
    """An image that is made below a directory, as far as a directory can be one."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    directory: Path = Path()
    user: int | None = None
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def placed(self, text: str) -> str:
        """A text with the image's directories where they are here."""
        return _OURS.sub(lambda found: f"{self.root}/{found[1]}", text)

    def build(self) -> None:
        """Carries the Dockerfile out, stage after stage."""
        self.environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        for name, rest in instructions((schema.ROOT / "Dockerfile").read_text()):
            getattr(self, f"_{name.lower()}")(rest)
        writing = {**self.environment, "PYTHONDONTWRITEBYTECODE": ""}
        subprocess.run(["python", "-c", "import app.cli"], cwd=self.directory, env=writing, check=True)

    def _from(self, _image: str) -> None:
        self.directory = self.root

    def _workdir(self, path: str) -> None:
        self.directory = Path(self.placed(path))
        self.directory.mkdir(parents=True, exist_ok=True)

    def _copy(self, rest: str) -> None:
        *sources, target = rest.split()
        if sources[0].startswith("--from="):
            assert sources[1:] == [target], "the stages have their directories in common here"
            return
        for source in sources:
            assert sent(source), f"{source} is not sent to the build"
            there = schema.ROOT / source
            if there.is_dir():
                shutil.copytree(
                    there, self.directory / target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
                )
            else:
                shutil.copy(there, self.directory / target)

    def _run(self, command: str) -> None:
        if "useradd" in command:  # of what it does, only its directories can be made here
            for mode, path in re.findall(r"install -d .*?-m (\d+) (\S+)", command):
                Path(self.placed(path)).mkdir(mode=int(mode, 8))
            return
        command = command.replace("-m venv ", "-m venv --without-pip ")
        done = subprocess.run(
            ["sh", "-c", self.placed(_PIP.sub(_by_uv, command))],
            cwd=self.directory,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    def _env(self, rest: str) -> None:
        for each in shlex.split(rest):
            name, _, value = each.partition("=")
            self.environment[name] = self.placed(value).replace("$PATH", self.environment["PATH"])

    def _user(self, rest: str) -> None:
        number = int(rest.partition(":")[0])
        if os.geteuid() == 0 and self._may_run(number):
            self.user = number
            shutil.chown(self.root / "data", number, number)

    def _may_run(self, user: int) -> bool:
        """Whether that user may run Python, which may be in the home of another."""
        python = [shutil.which("python", path=self.environment["PATH"]) or sys.executable, "-V"]
        try:
            return subprocess.run(python, user=user, capture_output=True, check=False).returncode == 0
        except PermissionError:
            return False

    def _expose(self, _port: str) -> None:
        """Says nothing to a process."""

    def _healthcheck(self, rest: str) -> None:
        self.health = yaml.safe_load(rest.partition(" CMD ")[2])

    def _cmd(self, rest: str) -> None:
        self.command = yaml.safe_load(rest)

    def start(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Any:
        """A process of the image: with its variables and these, and no others."""
        with log.open("ab") as file:
            return subprocess.Popen(
                command,
                cwd=self.directory,
                env={**self.environment, **environment},
                stdout=file,
                stderr=file,
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
            )


def _by_uv(found: re.Match[str]) -> str:
    """Return what does for uv what a command does for the image's pip; where uv cannot, the tests' pip."""
    pip, what, rest = found.groups()
    if what == "uninstall":
        assert rest.split()[-1] == "pip", "the environment has none of it to begin with"
        return "true "
    python, ours = f"--python {pip.removesuffix('pip')}python", shlex.quote(sys.executable)
    by_uv = f"{ours} -m uv --quiet pip install {python} {rest}"
    return f"{{ {by_uv} || {ours} -m pip --quiet {python} install {rest}; }} "


GIVEN = {
    "RECORD_SECRET": secrets.token_hex(32),
    **{f"{name}_PASSWORD": secrets.token_hex(24) for name in ("POSTGRES", "OWNER", "API")},
}
"""An .env, filled in."""


class StackDatabase:
    """The database of docker-compose.yml on the tests' server, made as the image of PostgreSQL makes it. It
    and its roles are gone afterwards.
    """

    def __init__(self, server: str, directory: Path) -> None:
        self.server, self.directory = make_url(server), directory
        self.services = compose(GIVEN)["services"]
        self.programs = next(each.bin for each in installations() if has_clients(each))

    def __enter__(self) -> Self:
        service = self.services["db"]
        environment = service["environment"]
        user, name = environment["POSTGRES_USER"], environment["POSTGRES_DB"]
        password = environment["POSTGRES_PASSWORD"]
        self._do(
            f"CREATE ROLE {user} SUPERUSER LOGIN PASSWORD '{password}'",
            f"CREATE DATABASE {name} OWNER {user}",
        )
        [script] = [
            volume.split(":")[0] for volume in service["volumes"] if "/docker-entrypoint-initdb.d/" in volume
        ]
        psql = ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={schema.ROOT / script}"]
        as_image = {**environment, "PGUSER": user, "PGPASSWORD": password, "PGDATABASE": name}
        done = self._run(psql, as_image)
        assert done.returncode == 0, done.stderr
        return self

    def __exit__(self, *_fault: object) -> None:
        self._do(
            "DROP DATABASE record WITH (FORCE)",
            "DROP ROLE record",
            "DROP ROLE record_owner",
            "DROP ROLE record_api",
        )

    def variables(self, service: Mapping[str, Any]) -> dict[str, str]:
        """The environment of a service, with the address of the database here."""
        here = f"@{self.server.host}:{self.server.port}/"
        given = {name: str(value) for name, value in service["environment"].items()}
        return {name: value.replace("@db:5432/", here) for name, value in given.items()}

    def url(self, service: str) -> str:
        """The database as a service of the application has it."""
        return self.variables(self.services[service])["RECORD_DATABASE_URL"]

    def run(self, name: str, **files: Any) -> subprocess.CompletedProcess[bytes]:
        """Run a service of PostgreSQL's client programs, with its files where they are here."""
        service = self.services[name]
        mounted = dict(reversed(volume.split(":")[:2]) for volume in service.get("volumes", ()))
        command = [
            str(schema.ROOT / mounted[word]) if word in mounted else word for word in service["command"]
        ]
        empty = {"EMPTY": str(schema.ROOT / mounted["/empty.sql"])} if mounted else {}
        return self._run(command, {**service["environment"], **empty}, **files)

    def _run(
        self, command: Sequence[str], environment: Mapping[str, str], **files: Any
    ) -> subprocess.CompletedProcess[bytes]:
        here = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "PGHOST": str(self.server.host),
            "PGPORT": str(self.server.port),
        }
        return subprocess.run(
            command,
            env={**environment, **here},
            cwd=self.directory,
            stderr=subprocess.PIPE,
            check=False,
            **files,
        )

    def _do(self, *statements: str) -> None:
        address = self.server.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


def compose(given: Mapping[str, str]) -> dict[str, Any]:
    """docker-compose.yml under the variables of an .env. Raises KeyError for one that must be given."""
    text = (schema.ROOT / "docker-compose.yml").read_text()

    def value(found: re.Match[str]) -> str:
        return given[found[1]] if found[1] in given or found[2] != "-" else found[3]

    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    made: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(value, "\n".join(lines)))
    return made


def in_order(services: Mapping[str, Any]) -> list[str]:
    """The services, each after those that it depends on."""
    found: list[str] = []
    while len(found) < len(services):
        ready = [
            name
            for name, service in services.items()
            if name not in found and set(service.get("depends_on", ())) <= set(found)
        ]
        assert ready, "they wait for each other"
        found += ready
    return found
