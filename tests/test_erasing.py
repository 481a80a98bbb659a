"""Erasure in the files: no byte of the words is left in a database, its log, a dump or an export."""

import hashlib
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

import httpx
import orjson
import psycopg
import pytest

from app.operations.erasing import read_list
from tests.commands import Command, Done, tamper
from tests.earlier import lay
from tests.newsroom import SECRET, Bases, Newsroom, Server, ok
from tests.postgres import installations, plain
from tests.served import Served, environment, served
from tests.test_erasure import NOTE, end, erase, last, leaks, moments

pytestmark = pytest.mark.usefixtures("client_programs")


def succeed(done: Done) -> str:
    assert done.code == 0, done
    return done.out


def bytes_of(url: str) -> bytes:
    """All bytes that a database is kept in: the file, its log and what else is beside it, or the files of its
    tables, and what a dump of it says.
    """
    if url.startswith("sqlite"):
        files = Path(url.removeprefix("sqlite:///")).parent.glob("record.db*")
        return b"\n".join(file.read_bytes() for file in files)
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        found = connection.execute(
            "SELECT pg_read_binary_file(pg_relation_filepath(oid)) FROM pg_class "
            "WHERE relkind IN ('r', 'i', 't') AND relfilenode <> 0 AND pg_relation_size(oid) > 0"
        ).fetchall()
    dump = installations()[0].bin / "pg_dump"
    dumped = subprocess.run([dump, plain(url)], capture_output=True, check=True).stdout
    return b"\n".join([*(row[0] for row in found), dumped])


def in_bytes(url: str, words: list[str]) -> list[str]:
    found = bytes_of(url).lower()
    return [word for word in words if word.encode() in found]


@pytest.fixture
def earlier(bases: Bases, command: Command) -> Iterator[str]:
    """A database of an earlier version, brought up to date: its entries are of the first form."""
    with bases.fresh(migrated=False) as url:
        lay(url)
        succeed(command(url, "migrate"))
        yield url


def test_entries_of_the_first_form_are_covered_at_once_and_lose_their_words_by_command(
    earlier: str, server: Server, command: Command, tmp_path: Path
) -> None:
    with Newsroom(server, earlier) as room:
        claim = room.get("/v1/claims")["data"][-1]
        text = claim["text"].lower()
        path, seqs = f"/v1/claims/{claim['id']}", last(room)
        stated = room.get(f"{path}/history")["data"][-1]
        made = erase(room, claim["id"])
        assert made["covered"] > 0
        hidden = room.get(f"{path}/history")["data"][-1]
        assert (hidden["difference"], hidden["reason"], hidden["hash"]) == (None, None, stated["hash"])
        told = room.admin.get("/v1/changes?limit=200").text + room.anyone.get(path).text
        assert leaks(told.lower() + moments(room, path, every=seqs // 3), [text]) == []
        assert room.faults() == []
        ok(room.anyone.get(f"{path}/bundle"))
        assert f"{made['covered']} entries of the log still have" in command(earlier, "doctor").out
        room.sound = room.state()
    succeed(command(earlier, "erase"))
    out = succeed(command(earlier, "verify"))
    assert "are erased, each by an entry that names it" in out
    assert in_bytes(earlier, [text]) == []
    assert "erasures" not in command(earlier, "doctor").out
    with Newsroom(server, earlier) as room:
        assert leaks(moments(room, path, "/v1/claims", every=seqs // 3), [text]) == []
        bundle = tmp_path / "bundle.jsonld"
        bundle.write_text(room.anyone.get(f"{path}/bundle").text)
        key = room.anyone.get("/v1/log/key").text.strip()
        said = succeed(command(earlier, "verify", str(bundle), "--key", key))
        assert "erased" in said


WORDS = [f"unheard{name}" for name in ("text", "place", "topic", "name", "title", "page")]


def to_be_erased(client: httpx.Client) -> list[str]:
    """Records with those words, by their ids: the claim first."""
    entity = ok(client.post("/v1/entities", json={"name": "Unheardname One", "kind": "person"}))
    source = ok(client.post("/v1/sources", json={"url": "https://example.org/x", "title": "Unheardtitle"}))
    text = {"text": "The unheardpage is long. " * 400}
    ok(client.post(f"/v1/sources/{source['id']}/snapshots", json=text))
    said = {"text": "Unheardtext, said he. " * 40, "mode": "paraphrase", "speakers": [entity["id"]]}
    more = {"place": "Unheardplace", "topics": ["unheardtopic"], "appearances": [{"source": source["id"]}]}
    claim = ok(client.post("/v1/claims", json=said | more, headers={"Idempotency-Key": "k"}))
    return [claim["id"], entity["id"], source["id"]]


def open_files(pid: int) -> bytes:
    """What is in the files that a process has open or keeps for the time being, those without a name too."""
    found = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            if each.stat().st_mode & 0o170000 == 0o100000:
                found.append(each.read_bytes())
    return b"\n".join(found).lower()


class Readers:
    """Threads that ask a server the same again and again, with a pause that leaves it time for others, and
    note when an answer with the words began.
    """

    def __init__(self, server: Served, paths: Sequence[str]) -> None:
        self.began_with_words: list[tuple[float, str]] = []
        self.answers = 0
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(server, path)) for path in paths]

    def _ask(self, server: Served, path: str) -> None:
        with server.client() as client:
            while not self._ended.wait(0.05):
                began = time.monotonic()
                text = client.get(path).text.lower()
                self.answers += 1
                if any(word in text for word in WORDS):
                    self.began_with_words.append((began, path))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_fault: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


def test_no_byte_of_the_words_is_left(bases: Bases, command: Command, tmp_path: Path) -> None:
    """Two processes answer: one is told to erase, and the other is asked before, meanwhile and after."""
    logs = [tmp_path / "log", tmp_path / "other"]
    with bases.fresh() as url, ExitStack() as stack:
        key = succeed(command(url, "key", "create", "Admin", "--role", "admin")).strip()
        (tmp_path / "tmp").mkdir()
        env = environment(url, RECORD_SECRET=SECRET, TMPDIR=str(tmp_path / "tmp"))
        server, other = (stack.enter_context(served(env, log)) for log in logs)
        client, there = (stack.enter_context(each.client(key)) for each in (server, other))
        records = to_be_erased(client)
        before = ok(client.get("/v1/changes?limit=1&order=desc"))["data"][0]["seq"]
        assert in_bytes(url, WORDS) == WORDS
        asked = [f"/v1/claims/{records[0]}", f"/v1/claims?as_of={before}", "/v1/claims.ndjson", "/v1/claims",
                 "/v1/changes", f"/v1/changes/stream?after=0&until={before}"]  # fmt: skip
        assert all("nheardtext" in there.get(path).text for path in asked)
        with Readers(other, asked) as readers:
            for record in records:
                ok(client.post("/v1/erasures", json={"record": record, **NOTE}))
            erased_at = time.monotonic()
            told = "\n".join(each.get(path).text.lower() for path in asked for each in (client, there))
            assert leaks(told, WORDS) == []
            time.sleep(1.5)
        late = [path for began, path in readers.began_with_words if began > erased_at]
        assert late == []
        succeed(command(url, "erase"))
        assert in_bytes(url, WORDS) == []
        for each in (server, other):
            kept = open_files(each.process.pid)
            assert [word for word in WORDS if word.encode() in kept] == []
        files = b"\n".join(each.read_bytes() for each in (tmp_path / "tmp").rglob("*") if each.is_file())
        assert [word for word in WORDS if word.encode() in files.lower()] == []
        assert ok(client.get("/v1/claims"))["data"] == []
        file = tmp_path / "export.ndjson"
        succeed(command(url, "export", str(file)))
        assert leaks(file.read_text().lower(), WORDS) == []
    assert leaks("\n".join(log.read_text().lower() for log in logs), WORDS) == []


def test_an_export_brings_nothing_back(
    bases: Bases, server: Server, command: Command, tmp_path: Path
) -> None:
    old, new = tmp_path / "old.ndjson", tmp_path / "new.ndjson"
    with bases.fresh() as url, bases.fresh() as other:
        with Newsroom(server, url) as room:
            claim = room.claim("Unheard words.", place="Unheardplace")
            succeed(command(url, "export", str(old)))
            succeed(command(other, "import", str(old)))
            assert in_bytes(other, ["unheardplace"])
            erase(room, claim["id"])
        succeed(command(url, "export", str(new)))
        succeed(command(url, "import", str(old)))
        with Newsroom(server, url) as room:
            assert leaks(room.anyone.get(f"/v1/claims/{claim['id']}").text.lower(), ["unheard"]) == []
            room.sound = room.state()
        # A copy follows by the later export, and knows which values it has to lose.
        succeed(command(other, "import", str(new)))
        with Newsroom(server, other) as copy:
            told = copy.admin.get("/v1/changes?limit=200").text + moments(copy, f"/v1/claims/{claim['id']}")
            assert leaks(told.lower(), ["unheard"]) == []
            assert copy.get("/v1/search", q="unheard")["data"] == []
            assert copy.faults() == []
        succeed(command(other, "erase"))
        assert in_bytes(other, ["unheard"]) == []
        assert "2 values of 1 changes are erased" in succeed(command(other, "verify"))
        forged = tmp_path / "forged.ndjson"
        _forge(new, forged)
        assert "no entry erased them" in command("sqlite:///none/x.db", "verify", str(forged)).err


def _forge(export: Path, into: Path) -> None:
    """An export in which another value is put in the place of one that was erased."""
    lines = export.read_text().splitlines()
    altered = [line.replace('"new":"[erased]"', '"new":"Forged."') for line in lines[:-1]]
    assert altered != lines[:-1]
    written = "".join(f"{line}\n" for line in altered).encode()
    end = {"end": {"lines": len(altered), "sha256": hashlib.sha256(written).hexdigest()}}
    into.write_bytes(written + orjson.dumps(end) + b"\n")


def test_the_command_names_what_still_quotes_an_erased_source(room: Newsroom, command: Command) -> None:
    source = room.source()
    claim = room.claim(appearances=[{"source": source["id"]}])
    done = command(room.settings.database_url, "erase", source["id"], "--note", NOTE["note"])
    assert f"Words of it stay in these, as their own: {claim['id']}\n" in succeed(done)


def test_a_restore_does_not_bring_the_words_back(
    bases: Bases, server: Server, command: Command, tmp_path: Path
) -> None:
    backup, kept = tmp_path / "record.backup", tmp_path / "erasures.ndjson"
    with bases.fresh() as url, bases.fresh() as lost:
        with Newsroom(server, url) as room:
            figure = {"measure": "unheardmeasure", "value": "3", "unit": "USD", "kind": "promised"}
            claim, other = room.claim("Unheard words."), room.claim("Others.", figures=[figure])
            person = ok(room.admin.get(f"/v1/keys/{room.key('reader', 'Unheardname')[0]}"))["person"]["id"]
            room.sound = room.state()
        succeed(command(url, "backup", str(backup)))
        with Newsroom(server, url) as room:
            erase(room, claim["id"])
            erase(room, other["figures"][0]["id"])
            end(room, person)
            erase(room, person)
            room.sound = room.state()
            page = room.admin.get("/v1/erasures?order=asc").content
            entries = [each for each in ok(room.admin.get("/v1/changes?limit=200"))["data"]
                       if each["action"].endswith(".erase")]  # fmt: skip
        kept.write_text(succeed(command(url, "erase", "--list")))
        assert leaks(kept.read_text(), ["unheard"]) == []
        orders = [*read_list(kept.read_bytes().splitlines())]
        whole = tmp_path / "whole.ndjson"
        succeed(command(url, "export", str(whole)))
        messages = [orjson.dumps({"type": each["action"], "data": each}) for each in entries]
        batch = orjson.dumps({"type": "ledger.batch", "data": {"changes": entries}})
        for lines in ([page], messages, [batch], whole.read_bytes().splitlines()):
            assert [*read_list(lines)] == orders
        said = succeed(command(url, "restore", str(backup), "--force"))
        assert "3 erasures were made again" in said
        succeed(command(lost, "restore", str(backup), "--force"))  # of whose erasures nothing is known
        assert in_bytes(lost, ["unheard"])
        assert "3 erasures" in succeed(command(lost, "erase", "--again", str(kept)))
        assert "0 erasures" in succeed(command(lost, "erase", "--again", str(kept)))
        for each in (url, lost):
            assert in_bytes(each, ["unheard"]) == []
            succeed(command(each, "verify"))


def test_a_backup_that_has_to_be_migrated_is_erased_again_afterwards(
    bases: Bases, server: Server, command: Command, tmp_path: Path
) -> None:
    backup, listed = tmp_path / "older.backup", tmp_path / "older.backup.erasures"
    with bases.fresh(migrated=False) as url:
        lay(url)
        succeed(command(url, "backup", str(backup)))
        succeed(command(url, "migrate"))
        with Newsroom(server, url) as room:
            claim = room.get("/v1/claims")["data"][-1]
            made = erase(room, claim["id"])
            room.sound = room.state()
        words, before = [claim["text"].lower()], {"record": "clm_of_before", "note": "Ordered earlier."}
        listed.write_bytes(orjson.dumps(before, option=orjson.OPT_APPEND_NEWLINE))
        done = command(url, "restore", str(backup), "--force")
        assert done.code == 0, done
        assert f"erase --again {listed}" in done.err
        assert leaks(listed.read_text().lower(), words) == []
        orders = [(before["record"], before["note"]), (claim["id"], NOTE["note"])]
        assert [*read_list(listed.read_bytes().splitlines())] == orders
        assert command(url, "erase", "--again", str(listed)).code == 1, "before it is migrated"
        succeed(command(url, "migrate"))
        assert "1 erasures were made again" in succeed(command(url, "erase", "--again", str(listed)))
        assert in_bytes(url, words) == []
        with Newsroom(server, url) as room:
            [again] = room.get("/v1/erasures")["data"]
            assert (again["record"], again["note"], again["also"]) == (
                claim["id"],
                NOTE["note"],
                made["also"],
            )
            assert leaks(room.admin.get(f"/v1/claims/{claim['id']}").text.lower(), words) == []
            assert room.faults() == []
            room.sound = room.state()


FAULTS = {
    "some of its values are gone, and no entry erased them": (
        "UPDATE change_values SET salt = NULL, salts = '{}', commitments = '{}', remains = "
        '\'{"nonce": "x", "difference": {}}\' WHERE seq = (SELECT max(seq) FROM changes)'
    ),
    "what remains of its erased values was altered": (
        "UPDATE change_values SET remains = replace(remains, '[erased]', 'Forged') WHERE remains IS NOT NULL"
    ),
    "was erased, and has its values again": (
        "UPDATE change_values SET remains = NULL WHERE remains IS NOT NULL"
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_value_that_is_missing_and_was_not_erased_is_a_fault(room: Newsroom, fault: str) -> None:
    claim = room.claim("Unheard words.")
    erase(room, claim["id"])
    room.claim("Others.")
    assert room.faults() == []
    room.tampered = True
    tamper(room.settings.database_url, FAULTS[fault])
    assert fault in "\n".join(room.faults())


def test_a_person_whom_a_key_of_before_made_is_erased(earlier: str, server: Server, command: Command) -> None:
    with Newsroom(server, earlier) as room:
        seqs = last(room)
        entries = ok(room.admin.get("/v1/changes?limit=200"))["data"]
        [key, *_] = [each for each in entries if each["action"] == "review.give" and "form" not in each]
        person, name = ok(room.admin.get(f"/v1/keys/{key['actor']}"))["person"]["id"], key["actor_name"]
        end(room, person)
        erase(room, person)
        own = {key["actor"], person}
        told = ok(room.admin.get("/v1/changes?limit=200"))["data"]
        mine = [each for each in told if own & {each["actor"], each["resource_id"]}]
        assert len(mine) > 5
        assert [each for each in mine if name in str(each)] == []  # another key has the same name
        for at in ("", *(f"?as_of={seq}" for seq in range(1, seqs, seqs // 5))):
            reviews: list[Any] = [*room.get(f"/v1/reviews.json{at}")]
            assert [each for each in reviews if key["actor"] in str(each) and name in str(each)] == []
        corrections = room.get("/v1/corrections")["data"]
        assert all(each["note"] for each in corrections if each["kind"] != "reinstatement")
        assert room.faults() == []
        room.sound = room.state()
    succeed(command(earlier, "erase"))
    succeed(command(earlier, "verify"))
