"""A power cut, modelled: a first start and what was acknowledged after it, cut off at every moment.

A recorder (`recorder.c`, preloaded) writes down what the server and the commands do to the database's
directory. The record is played on a disk of which a cut leaves what was synced: bytes of files that were, and
names of files if their directory was. What was not may be lost (the strict cut), or lost in parts (the torn
one: sectors of what was written, and names up to any of their changes).
"""

import fcntl
import json
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from app.access.secret import secret_of
from app.access.store import recognise
from app.base import schema
from app.base.db import Database
from app.base.errors import Unauthorized
from app.main import unfitness
from app.operations.backup import damage
from app.settings import Settings
from tests.newsroom import ok
from tests.served import APP, environment, served
from tests.torture.audit import Findings, audit
from tests.torture.writers import SOURCE, Book, Wish, Writer

SECTOR = 512
SOURCE_FILE = Path(__file__).with_name("recorder.c")
_HEAD = struct.Struct("@IIIIQQQ")


def why_not() -> str | None:
    """Why nothing can be recorded here, or None."""
    if not sys.platform.startswith("linux"):
        return "the recorder is preloaded, which is done on Linux alone"
    if shutil.which("cc") is None:
        return "there is no C compiler (cc) for the recorder"
    return None


# --- what was done -----------------------------------------------------------------------------


class Event(NamedTuple):
    """One thing that was done: `C`reate or truncate, `O`pen, `W`rite, `T`runcate, `S`ync, sync of the
    `D`irectory, `U`nlink, `R`ename, `L`ink; or `M`, a mark of what was acknowledged.
    """

    kind: str
    name: str
    other: str
    inode: int
    offset: int
    length: int
    data: bytes


def events(log: Path) -> list[Event]:
    """What a recorder has written down."""
    content, at, found = log.read_bytes(), 0, []
    while at < len(content):
        kind, first, second, _, inode, offset, length = _HEAD.unpack_from(content, at)
        at += _HEAD.size
        names = content[at : at + first + second].decode()
        at += first + second
        data = content[at : at + length] if chr(kind) in "WM" else b""
        at += len(data)
        found.append(Event(chr(kind), names[:first], names[first:], inode, offset, length, data))
    return found


def mark(log: Path, **what: str) -> None:
    """Writes down that something was acknowledged."""
    data = json.dumps(what).encode()
    with log.open("ab", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(_HEAD.pack(ord("M"), 0, 0, 0, 0, 0, len(data)) + data)


class MarkedBook(Book):
    """A book whose acknowledgements are in the record too."""

    log: Path

    def acknowledge(self, wish: Wish, record: str) -> None:
        super().acknowledge(wish, record)
        mark(self.log, marker=wish.marker, record=record)


# --- the disk ----------------------------------------------------------------------------------


@dataclass(eq=False)
class File:
    """A file's bytes: all of them, those that are on disk, and what was done since they were."""

    content: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    since: list[Event] = field(default_factory=list)

    def do(self, event: Event) -> None:
        _apply(self.content, event)
        self.since.append(event)

    def sync(self) -> None:
        self.synced = bytes(self.content)
        self.since.clear()

    def torn(self, chance: random.Random) -> bytes:
        """What a cut may leave: each sector that was not synced, or not."""
        left = bytearray(self.synced)
        for event in self.since:
            for part in _sectors(event):
                if chance.random() < 0.5:
                    _apply(left, part)
        return bytes(left)


def _apply(content: bytearray, event: Event) -> None:
    if event.kind == "W":
        content.extend(bytes(max(0, event.offset - len(content))))
        content[event.offset : event.offset + len(event.data)] = event.data
    else:
        size = event.length if event.kind == "T" else 0
        del content[size:]
        content.extend(bytes(size - len(content)))


def _sectors(event: Event) -> Iterator[Event]:
    if event.kind != "W":
        yield event
        return
    start, end = event.offset, event.offset + len(event.data)
    for cut in range(start // SECTOR * SECTOR, end, SECTOR):
        low, high = max(cut, start), min(cut + SECTOR, end)
        yield event._replace(offset=low, data=event.data[low - start : high - start])


Names = dict[str, File]


@dataclass
class Disk:
    """A directory. `synced` are the names that are on disk, `since` those after each change since."""

    names: Names = field(default_factory=dict)
    synced: Names = field(default_factory=dict)
    since: list[Names] = field(default_factory=list)
    inodes: dict[int, File] = field(default_factory=dict)

    def do(self, event: Event) -> None:
        match event.kind:
            case "C" | "O":
                if event.name not in self.names:
                    self._name({**self.names, event.name: File()})
                self.inodes[event.inode] = self.names[event.name]
                if event.kind == "C":
                    self.inodes[event.inode].do(event)
            case "W" | "T":
                self.inodes[event.inode].do(event)
            case "S":
                self.inodes[event.inode].sync()
            case "D":
                self.synced = self.names
                self.since.clear()
            case "U":
                self._name({name: file for name, file in self.names.items() if name != event.name})
            case "R" | "L":
                names = {**self.names, event.other: self.names[event.name]}
                if event.kind == "R":
                    del names[event.name]
                self._name(names)

    def _name(self, names: Names) -> None:
        self.names = names
        self.since.append(names)

    def left(self, chance: random.Random | None) -> dict[str, bytes]:
        """What a cut leaves: strictly, or as chance has it."""
        if chance is None:
            return {name: file.synced for name, file in self.synced.items()}
        names = chance.choice([self.synced, *self.since])
        return {name: file.torn(chance) for name, file in names.items()}


@dataclass
class Cut:
    """What is left after a cut, and what was acknowledged before it."""

    files: dict[str, bytes]
    tokens: list[str]
    acknowledged: dict[str, str]

    def write(self, directory: Path) -> None:
        for name, content in self.files.items():
            (directory / name).write_bytes(content)
            (directory / name).chmod(0o600)


def cuts(done: Sequence[Event], seed: int | None = None) -> Iterator[Cut]:
    """The disk after each cut that differs: strict ones, right before what survives changes, when the most
    was acknowledged; and with a seed a torn one before each sync.
    """
    chance = random.Random(seed)
    disk, tokens, acknowledged = Disk(), list[str](), dict[str, str]()
    for event in done:
        if event.kind in "SD":
            if seed is not None:
                yield Cut(disk.left(chance), [*tokens], {**acknowledged})
            before = disk.left(None)
            disk.do(event)
            if disk.left(None) != before:
                yield Cut(before, [*tokens], {**acknowledged})
        elif event.kind == "M":
            what = json.loads(event.data)
            if "token" in what:
                tokens.append(what["token"])
            else:
                acknowledged[what["marker"]] = what["record"]
        else:
            disk.do(event)
    yield Cut(disk.left(None), tokens, acknowledged)


def unrecorded(done: Sequence[Event], directory: Path) -> list[str]:
    """The files that are not as the record has them: something was done that the recorder does not see."""
    disk = Disk()
    for event in done:
        disk.do(event)
    made = {name: bytes(file.content) for name, file in disk.names.items()}
    there = {file.name: file.read_bytes() for file in directory.iterdir()}
    names = made.keys() | there.keys()
    # The index of the write-ahead log is shared memory, and made anew from the log.
    return [name for name in sorted(names) if not name.endswith("-shm") and made.get(name) != there.get(name)]


# --- the scenario ------------------------------------------------------------------------------


@dataclass
class PowerCut:
    """A server's first start with the default settings, and what was acknowledged by it and by commands."""

    directory: Path
    name: str = "power cut, SQLite"
    book: MarkedBook = field(default_factory=MarkedBook)
    blows: int = 0
    findings: Findings = field(default_factory=Findings)

    def __post_init__(self) -> None:
        self.base = self.directory / "base"
        self.base.mkdir()
        self.log = self.directory / "record"
        self.log.touch()
        self.book.log = self.log
        library = self.directory / "recorder.so"
        subprocess.run(
            ["cc", "-O1", "-shared", "-fPIC", "-pthread", "-o", library, SOURCE_FILE, "-ldl"], check=True
        )
        self.env = environment(
            f"sqlite:///{self.base}/record.db",
            LD_PRELOAD=str(library),
            RECORDED_DIRECTORY=str(self.base),
            RECORDED_LOG=str(self.log),
        )

    def suffer(self, starts: int, rounds: int) -> None:
        """Has a server started so often, killed each time, and keys made and claims stated meanwhile."""
        for _ in range(starts):
            with served(self.env, self.directory / "log", "--migrate", "--port", "0", forked=False) as server:
                admin = self.key("admin")
                with server.client(admin) as client:
                    made = ok(client.post("/v1/keys", json={"name": "Desk", "role": "editor"}))
                    mark(self.log, token=made["secret"])
                    client.post("/v1/sources", json={"url": SOURCE, "title": "A report"})
                    speaker = {"name": "The speaker", "kind": "person", "slug": "the-speaker"}
                    client.post("/v1/entities", json=speaker)
                writer = Writer(self.book, server.url, made["secret"], threading.Event())
                with writer.client:
                    for _ in range(rounds):
                        writer.state_and_rule()
                        writer.bring_in()
                server.process.send_signal(signal.SIGKILL)
                server.process.wait()
        self.key("reader")  # alone: the write-ahead log is taken up, written back and removed

    def key(self, role: str) -> str:
        """A key that the command line makes."""
        command = [*APP, "key", "create", f"The {role}", "--role", role]
        done = subprocess.run(
            command, cwd=schema.ROOT, env=self.env, capture_output=True, text=True, check=True
        )
        token = done.stdout.strip()
        mark(self.log, token=token)
        return token

    def check(self, done: Sequence[Event], seed: int | None = None) -> None:
        """Starts again after each cut, and compares."""
        self.findings.verify_faults += [f"not recorded: {name}" for name in unrecorded(done, self.base)]
        for cut in cuts(done, seed):
            self.blows += 1
            for name, faults in vars(survey(self.directory, cut, self.book)).items():
                getattr(self.findings, name).extend(f"cut {self.blows}: {fault}" for fault in faults)


def survey(directory: Path, cut: Cut, book: Book) -> Findings:
    """Starts on what a cut has left, as `serve --migrate` does, and compares it with the book."""
    with tempfile.TemporaryDirectory(dir=directory) as left:
        cut.write(Path(left))
        return _survey(Path(left), cut, book)


def _survey(left: Path, cut: Cut, book: Book) -> Findings:
    settings = Settings(database_url=f"sqlite:///{left}/record.db")
    db = Database(settings.database_url)
    try:
        secret = secret_of(settings, db)
        if schema.staleness(db):
            schema.upgrade(settings.database_url)
        fault = unfitness(db, secret)
        if fault:
            return Findings(verify_faults=[fault])
        with db.read() as session:
            damaged = [*damage(session)]
        lost = [f"the key {token}" for token in cut.tokens if not _counts(db, secret, token)]
    except Exception as fault:
        return Findings(verify_faults=[f"{type(fault).__name__}: {fault}"])
    finally:
        db.dispose()
    found = audit(settings.database_url, _as_of(book, cut))
    found.verify_faults += damaged
    found.lost += lost
    return found


def _counts(db: Database, secret: bytes, token: str) -> bool:
    with suppress(Unauthorized):
        recognise(db, secret, token)
        return True
    return False


def _as_of(book: Book, cut: Cut) -> Book:
    """The book as it was when only this was acknowledged."""
    wishes = {
        marker: replace(wish, acknowledged=marker in cut.acknowledged) for marker, wish in book.wishes.items()
    }
    return Book(wishes=wishes)


def power_cut(directory: Path, starts: int, rounds: int, seed: int | None = None) -> PowerCut:
    """The power is cut."""
    trial = PowerCut(directory)
    trial.suffer(starts, rounds)
    trial.check(events(trial.log), seed)
    return trial


def without_syncs_of(done: Sequence[Event], prefix: str) -> list[Event]:
    """The record of a program that does not sync the files whose names begin so."""
    names: dict[int, str] = {}
    kept = []
    for event in done:
        if event.kind in "CO":
            names[event.inode] = event.name
        if event.kind != "S" or not names[event.inode].startswith(prefix):
            kept.append(event)
    return kept
