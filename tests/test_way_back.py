"""The way back over versions, by each way of restoring: a newer version leaves nothing behind that the next
upgrade would meet, and an archive that is not whole changes nothing.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from app.base import schema
from tests.commands import Command, digests, write_one
from tests.container import StackDatabase
from tests.earlier import HERE, LAST_OF_FORM_1, content
from tests.newsroom import SECRET, PostgresBases, SqliteBases
from tests.served import environment, served

pytestmark = pytest.mark.usefixtures("client_programs")

Restored = Callable[[Path], bool]


class Way:
    """A database, by the URLs of its owner and of who serves, and how it is backed up and restored."""

    of_services = False

    def __init__(self, owner: str, api: str, backup: Callable[[Path], None], restore: Restored) -> None:
        self.owner, self.api, self.backup, self.restore = owner, api, backup, restore


def by_command(url: str, command: Command) -> Way:
    def backup(file: Path) -> None:
        done = command(url, "backup", str(file), "--force")
        assert done.code == 0, done

    return Way(url, url, backup, lambda file: command(url, "restore", str(file), "--force").code == 0)


def by_services(stack: StackDatabase) -> Way:
    def backup(file: Path) -> None:
        with file.open("wb") as out:
            done = stack.run("backup", stdout=out)
        assert done.returncode == 0, done.stderr

    def restore(file: Path) -> bool:
        with file.open("rb") as archive:
            done = stack.run("restore", stdin=archive)
        assert (done.stderr == b"") == (done.returncode == 0), done.stderr
        return done.returncode == 0

    return Way(stack.url("migrate"), stack.url("api"), backup, restore)


@pytest.fixture(params=["sqlite", "postgresql", "services"])
def way(request: pytest.FixtureRequest, command: Command, tmp_path: Path) -> Iterator[Way]:
    if request.param == "services":
        with StackDatabase(request.getfixturevalue("postgres"), tmp_path) as stack:
            made = by_services(stack)
            made.of_services = True
            assert command(made.owner, "migrate").code == 0
            fill(made.owner, command, tmp_path)
            yield made
        return
    bases: SqliteBases | PostgresBases = request.getfixturevalue(f"{request.param.removesuffix('ql')}_bases")
    if not bases.has("earlier"):
        with bases.fresh() as url:
            fill(url, command, tmp_path)
            bases.keep(url, "earlier")
    with bases.fresh(like="earlier") as url:
        yield by_command(url, command)


def fill(url: str, command: Command, directory: Path) -> None:
    """Bring in what an earlier version exported: entries of now could not be taken back over versions."""
    file = directory / "earlier.ndjson"
    file.write_bytes(content(HERE / LAST_OF_FORM_1 / "export.ndjson"))
    assert command(url, "import", str(file)).code == 0


def last_three() -> tuple[str, str, str]:
    """The revisions of the last three versions, oldest first."""
    scripts = ScriptDirectory(str(schema.ROOT / "migrations")).walk_revisions()
    newest, before, oldest = (next(scripts).revision for _ in range(3))
    return oldest, before, newest


def test_a_restored_version_goes_up_again(way: Way, command: Command, tmp_path: Path) -> None:
    """Back by one version, and by two; where whole services are restored, by two at once."""
    oldest, before, newest = last_three()
    steps = (newest, oldest) if way.of_services else (newest, before, oldest)

    def migrate(*words: str) -> dict[str, str]:
        done = command(way.owner, "migrate", *words)
        assert done.code == 0, done
        return digests(way.owner)

    kept = {newest: digests(way.owner)}
    for revision in steps:
        if revision != newest:
            kept[revision] = migrate("--down", revision)
        way.backup(tmp_path / revision)
    for start, revision in ((oldest, newest), *((newest, each) for each in steps[1:])):
        if digests(way.owner)["alembic_version"] != kept[start]["alembic_version"]:
            migrate()
        if start == newest:
            write_one(way.owner, command, tmp_path)
        assert way.restore(tmp_path / revision)
        assert digests(way.owner) == kept[revision], "as it was, and nothing of another version beside it"
    assert migrate().keys() == kept[newest].keys()
    with (
        served(environment(way.api, RECORD_SECRET=SECRET), tmp_path / "log") as server,
        server.client() as client,
    ):
        assert client.get("/v1/claims").json()["data"]
    write_one(way.api, command, tmp_path)
    assert command(way.api, "verify").code == 0


def test_a_torn_archive_changes_nothing(way: Way, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "torn"
    way.backup(file)
    whole = file.read_bytes()
    write_one(way.owner, command, tmp_path)
    before = digests(way.owner)
    for part in (0, 0.1, 0.6, 0.999):
        file.write_bytes(whole[: int(len(whole) * part)])
        assert not way.restore(file)
        assert digests(way.owner) == before
