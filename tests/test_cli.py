"""The command line, as whoever runs a base uses it.

`run`, `forked` and `served` start real processes; `command` runs the same `main()` in this one, where
a process of its own would add nothing but time.
"""

import json
import os
import re
import shlex
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from app.base.db import Database
from app.base.pools import engine_url
from app.changes.entry import entry_hash
from app.changes.ledger import document, entries
from tests.commands import Command, forked, run, tamper
from tests.newsroom import SECRET, Bases, Json, Newsroom, PostgresBases, SqliteBases, ok
from tests.served import Served, environment, served

NO_SERVER = "serve --host 192.0.2.1"
"""Cannot listen at that address (RFC 5737), so that it ends even where it should have been refused before."""


# --- real processes ----------------------------------------------------------------------------


def test_makes_serves_and_checks_a_base(bases: Bases, command: Command, tmp_path: Path) -> None:
    with bases.fresh(migrated=False) as url:
        env = environment(url) if url.startswith("sqlite") else environment(url, RECORD_SECRET=SECRET)
        with ThreadPoolExecutor() as pool:
            both = [*pool.map(lambda _: forked(["migrate"], env), range(2))]
        assert [done.code for done in both] == [0, 0], "two that migrate at once wait for each other"
        # From its start on with one of them: what is before the first import knows of neither.
        forks = not url.startswith("sqlite")
        with served(env, tmp_path / "log", "--migrate", "--seed", forked=forks) as server:
            assert "Running the migrations\nLoading the sample data\n" in server.log.read_text()
            look(server)
            use_a_key(server, env, command, forks=forks)
            with server.client() as idle:
                idle.get("/healthz")  # its connection stays open
                server.process.send_signal(signal.SIGTERM)
                assert server.process.wait(timeout=10) == 0
        assert "Traceback" not in server.log.read_text()
        assert command(url, "verify").code == 0


def test_the_start_message_names_no_example_that_is_not_there(bases: Bases, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with bases.fresh() as url:
        env = environment(url, RECORD_SECRET=SECRET, PATH=path)
        with served(env, tmp_path / "log") as server:
            assert "curl" not in server.said
            assert "  A key to write python -m app key create" in server.said, "as the shell finds it"


def test_the_start_message_is_an_event_of_a_log_in_json(bases: Bases, tmp_path: Path) -> None:
    with bases.fresh(seeded=True) as url:
        env = environment(url, RECORD_SECRET=SECRET, RECORD_LOG_FORMAT="json")
        with served(env, tmp_path / "log") as server:
            server.process.terminate()
            assert server.process.wait(10) == 0
            assert server.process.stdout is not None
            assert server.process.stdout.read() == ""
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    [start] = [
        line for line in lines if line["message"].startswith("On the Record answers at http://127.0.0.1:")
    ]
    assert start["listens"].startswith("127.0.0.1:")


def look(server: Served) -> None:
    """What is printed at the start is true."""
    [docs] = re.findall(r"Documentation +(\S+)", server.said)
    [guide] = re.findall(r"Guide +(\S+)", server.said)
    [curl] = re.findall(r"curl '(\S+)'", server.said)
    with server.client() as client:
        assert "swagger" in client.get(docs).text.lower()
        assert "<h1" in client.get(guide).text
        claims = ok(client.get(curl))["data"]
    assert len(claims) >= 3
    assert all(any(s["slug"] == "vladimir-putin" for s in claim["speakers"]) for claim in claims)


def use_a_key(server: Served, env: dict[str, str], command: Command, *, forks: bool) -> None:
    """A key made by the command that is printed at the start writes until it is revoked."""
    [line] = re.findall(r"A key to write (.*)", server.said)
    words = shlex.split(line)
    assert words[1:3] == ["-m", "app"]
    made = forked(words[3:], env) if forks else run(words, env)
    assert re.fullmatch(r"otr_[\w-]{43}\n", made.out), made
    [key_id] = re.findall(r"^(key_\w+) \(editor\)", made.err)
    with server.client(made.out.strip()) as writer:
        ok(writer.post("/v1/entities", json={"name": "A desk", "kind": "organization"}))
        assert command(env["RECORD_DATABASE_URL"], "key", "revoke", key_id).code == 0
        refused = writer.post("/v1/entities", json={"name": "Another desk", "kind": "organization"})
        assert refused.status_code == 401
        assert "revoked" in refused.json()["detail"]


def test_ends_cleanly_at_an_interrupt(sqlite_bases: SqliteBases, tmp_path: Path) -> None:
    with sqlite_bases.fresh() as url, served(environment(url), tmp_path / "log") as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=10) == 0
        assert "Traceback" not in server.log.read_text()


def test_says_so_when_the_port_is_taken(sqlite_bases: SqliteBases) -> None:
    with sqlite_bases.fresh() as url, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = forked(["serve", "--port", str(port)], environment(url))
    assert refused.code == 1
    assert f"127.0.0.1, port {port}" in refused.err
    assert "in use" in refused.err
    assert "Traceback" not in refused.err
    assert refused.out == ""


# --- the schema --------------------------------------------------------------------------------


def tables(url: str) -> int:
    counts = "sqlite_master WHERE type = 'table'", "pg_tables WHERE schemaname = 'public'"
    db = Database(url)
    with db.read() as session:
        query = f"SELECT count(*) FROM {counts[0] if db.sqlite else counts[1]}"
        found = int(session.connection().exec_driver_sql(query).scalar_one())
    db.dispose()
    return found


def test_migrates_up_down_and_up_again(bases: Bases, command: Command) -> None:
    with bases.fresh(migrated=False) as url:
        assert command(url, "migrate").code == 0
        whole = tables(url)
        assert whole > 20
        assert command(url, "migrate").code == 0
        assert command(url, "migrate", "--down", "base").code == 0
        assert tables(url) == 1
        assert command(url, "migrate").code == 0
        assert tables(url) == whole


def test_goes_down_only_if_told_how_far(bases: Bases, command: Command) -> None:
    with bases.fresh() as url:
        whole = tables(url)
        assert command(url, "migrate", "--down").code == 2
        unknown = command(url, "migrate", "7777")
        assert (unknown.code, "7777" in unknown.last_line) == (1, True)
        assert tables(url) == whole


def test_a_stale_schema_is_refused_with_what_to_do(bases: Bases, command: Command) -> None:
    commands = [NO_SERVER, "seed", "verify", "key list", "key create A --role admin"]
    with bases.fresh(migrated=False) as url:
        for words in commands:
            refused = command(url, *words.split())
            assert refused.code == 1
            assert refused.last_line.endswith("is needed: python -m app migrate")
            assert refused.out == ""


# --- the seed ----------------------------------------------------------------------------------


def test_seeding_again_changes_nothing(bases: Bases, command: Command) -> None:
    with bases.fresh(seeded=True) as url:
        before = command(url, "verify").out
        assert re.fullmatch(r"\d+ changes, unbroken up to [0-9a-f]{64}\n", before)
        again = command(url, "seed")
        assert again.code == 0
        assert re.findall(r"(\d+) new, (\d+) here", again.out) == [("0", "46"), ("0", "1"), ("0", "33")]
        assert command(url, "verify").out == before


def test_a_seed_with_a_fault_is_brought_in_not_at_all(bases: Bases, command: Command, tmp_path: Path) -> None:
    good, bad = '{"slug": "a", "name": "A", "kind": "person"}', '{"slug": "b", "name": "B", "kind": "ghost"}'
    (tmp_path / "entities.ndjson").write_text(f"{good}\n{bad}\n")
    with bases.fresh() as url:
        refused = command(url, "seed", str(tmp_path))
        assert refused.code == 1
        assert "entities.ndjson, line 2" in refused.last_line
        assert command(url, "verify").out.startswith("0 changes")
        missing = command(url, "seed", str(tmp_path / "nowhere"))
        assert (missing.code, "nowhere" in missing.last_line) == (1, True)


# --- files -------------------------------------------------------------------------------------


def test_a_file_is_brought_in_and_refused_rows_are_said(
    bases: Bases, command: Command, tmp_path: Path
) -> None:
    good = '{"claim": {"text": "A", "mode": "paraphrase", "speakers": ["Ann"]}}'
    bad = '{"claim": {"text": "B", "mode": "shout", "speakers": ["Ann"]}}'
    file = tmp_path / "claims.ndjson"
    file.write_text(f"{good}\n{bad}\n")
    with bases.fresh() as url:
        add = ["import", str(file), "--new-entities", "person"]
        refused = command(url, *add)
        assert (refused.code, refused.out) == (1, "1 created, 0 here already, 1 refused; nothing was kept\n")
        assert refused.last_line.startswith("line 2: /mode: ")
        assert command(url, "verify").out.startswith("0 changes")
        assert command(url, *add, "--mode", "good").out == "1 created, 0 here already, 1 refused\n"
        assert command(url, "verify").out.startswith("2 changes")
        file.write_text(good)
        assert command(url, *add, "--dry-run").out.startswith("0 created, 1 here already, 0 refused")
        missing = command(url, "import", str(tmp_path / "none"))
        assert (missing.code, "none" in missing.last_line) == (1, True)


def test_a_base_is_written_to_a_file_and_made_of_it_again(
    bases: Bases, sqlite_bases: SqliteBases, command: Command, tmp_path: Path
) -> None:
    file, again = tmp_path / "record.ndjson", tmp_path / "again.ndjson"
    with bases.fresh(seeded=True) as url, sqlite_bases.fresh() as other:
        assert command(url, "export", str(file)).code == 0
        assert command(other, "import", str(file), "--dry-run").out.endswith("nothing was kept\n")
        assert re.fullmatch(r"(\d+) of \1 changes added\n", command(other, "import", str(file)).out)
        assert command(other, "import", str(file)).out.startswith("0 of ")
        assert command(other, "verify").out == command(url, "verify").out
        assert command(other, "export", str(again)).code == 0
        assert again.read_bytes() == file.read_bytes()
        file.write_bytes(file.read_bytes()[:-100])
        refused = command(other, "import", str(file))
        assert (refused.code, "cut off" in refused.last_line) == (1, True)
        assert [path.name for path in tmp_path.glob("*.part")] == []


# --- keys --------------------------------------------------------------------------------------


def test_a_key_counts_until_it_is_revoked(room: Newsroom, command: Command) -> None:
    url = room.settings.database_url
    made = command(url, "key", "create", "Ann Example", "--role", "reporter")
    token, [key_id] = made.out.strip(), re.findall(r"key_\w+", made.err)
    with room.client(token) as ann:
        assert ann.post("/v1/entities", json={"name": "A", "kind": "person"}).status_code == 201
        assert f"{key_id}  reporter  active     Ann Example" in command(url, "key", "list").out
        assert command(url, "key", "revoke", key_id).out == f"{key_id} is revoked\n"
        assert ann.post("/v1/entities", json={"name": "B", "kind": "person"}).status_code == 401
    listed = command(url, "key", "list").out
    assert f"{key_id}  reporter  revoked    Ann Example" in listed
    assert token not in listed


def test_keys_are_listed_newest_first(bases: Bases, command: Command) -> None:
    with bases.fresh() as url:
        for name in ("First", "Second", "Third"):
            command(url, "key", "create", name, "--role", "reader", "--expires", "2020-01-01T00:00:00Z")
        lines = command(url, "key", "list").out.splitlines()
        assert [line.split()[-1] for line in lines] == ["Third", "Second", "First"]
        assert {line.split()[2] for line in lines} == {"expired"}


NO_KEYS = [
    (2, "key create Ann --role king", "king"),
    (2, "key create Ann", "--role"),
    (1, "key create '' --role admin", "/name"),
    (1, "key create Ann --role admin --expires tomorrow", "/expires_at"),
    (1, "key revoke key_none", "key_none"),
]


def test_refuses_keys_that_cannot_be(bases: Bases, command: Command) -> None:
    with bases.fresh() as url:
        for code, words, named in NO_KEYS:
            refused = command(url, *shlex.split(words))
            assert (refused.code, refused.out) == (code, ""), words
            assert named in refused.err
        assert command(url, "key", "list").out == ""


# --- texts -------------------------------------------------------------------------------------

TEXT = "“We are ready,” said Ann.\n\nThe bridge is “the longest — by far,” she told Café Ольга. It is not.\n"
PRINTED = TEXT.rstrip("\n")
QUOTES = ["We are ready,", "the longest — by far,", "told Café Ольга"]
ADDRESS = "https://example.org/bridge"


@pytest.fixture
def recorded(room: Newsroom) -> Json:
    """A source of whose text only hash and length are kept, and the claims that quote it."""
    source = room.source(ADDRESS)
    kept = {"sha256": sha256(PRINTED.encode()).hexdigest(), "length": len(PRINTED), "text_withheld": True}
    ok(room.reporter.post(f"/v1/sources/{source['id']}/snapshots", json=kept))
    modes = ["direct_quote", "partial_quote", "paraphrase"]
    for quote, mode in zip(QUOTES, modes, strict=True):
        printed = [{"source": ADDRESS, "anchors": [{"exact": quote}]}]
        room.claim(quote, mode=mode, appearances=printed)
    return source


def states(room: Newsroom, source: Json) -> dict[str, str]:
    anchors = room.get(f"/v1/sources/{source['id']}/anchors")["data"]
    return {anchor["exact"]: anchor["state"] for anchor in anchors}


WRITTEN = [(PRINTED, "id"), (TEXT, "url"), (TEXT.replace("\n", "\r\n"), "id"), ("\ufeff" + TEXT, "url")]


@pytest.mark.parametrize(("written", "by"), WRITTEN, ids=["as it was", "newline", "CRLF", "byte order mark"])
def test_a_text_that_was_recorded_settles_every_quote(
    room: Newsroom, recorded: Json, command: Command, tmp_path: Path, written: str, by: str
) -> None:
    file = tmp_path / "bridge.txt"
    file.write_bytes(written.encode())
    assert set(states(room, recorded).values()) == {"unchecked"}
    done = command(room.settings.database_url, "source", "archive", recorded[by], "--text", str(file))
    assert done.code == 0, done
    assert sha256(PRINTED.encode()).hexdigest() in done.out
    assert "Quotes looked up: 3 exact" in done.out
    assert states(room, recorded) == dict.fromkeys(QUOTES, "exact")
    [snapshot] = room.get(f"/v1/sources/{recorded['id']}/snapshots")["data"]
    assert (snapshot["has_text"], snapshot["text_withheld"]) == (True, True)
    again = command(room.settings.database_url, "source", "archive", recorded[by], "--text", str(file))
    assert "none, the text was at hand already" in again.out


def test_another_text_is_refused_and_the_hashes_named(
    room: Newsroom, recorded: Json, command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "bridge.txt"
    file.write_text(PRINTED.replace("longest", "shortest"))
    with room.unchanged():
        refused = command(room.settings.database_url, "source", "archive", ADDRESS, "--text", str(file))
    assert (refused.code, refused.out) == (1, "")
    assert sha256(PRINTED.encode()).hexdigest() in refused.last_line
    assert sha256(file.read_bytes()).hexdigest() in refused.last_line
    assert set(states(room, recorded).values()) == {"unchecked"}


def test_another_text_is_kept_as_a_new_one_when_told_so(
    room: Newsroom, recorded: Json, command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "bridge.txt"
    file.write_text("A later edition. " + PRINTED)
    archive = ["source", "archive", ADDRESS, "--text", str(file), "--new", "--publish"]
    done = command(room.settings.database_url, *archive)
    assert done.code == 0, done
    newest, oldest = room.get(f"/v1/sources/{recorded['id']}/snapshots")["data"]
    assert (newest["has_text"], oldest["has_text"]) == (True, False)
    shown = room.get(f"/v1/sources/{recorded['id']}/snapshots/{newest['id']}")
    assert shown["text"] == file.read_text()


NO_TEXTS = [
    (1, ["https://example.org/none", "--text", "{file}"], "example.org/none"),
    (2, [ADDRESS, "--text", "{file}.none"], "none"),
    (1, [ADDRESS, "--text", "{file}.latin"], "utf-8"),
    (1, [ADDRESS, "--text", "{file}.empty"], "/text"),
]


@pytest.mark.usefixtures("recorded")
def test_refuses_texts_that_cannot_be(room: Newsroom, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "text"
    for suffix, content in (("", PRINTED.encode()), (".latin", "Café".encode("latin-1")), (".empty", b"")):
        Path(f"{file}{suffix}").write_bytes(content)
    for code, arguments, named in NO_TEXTS:
        with room.unchanged():
            words = [word.format(file=file) for word in arguments]
            refused = command(room.settings.database_url, "source", "archive", *words)
        assert (refused.code, refused.out) == (code, ""), arguments
        assert named in refused.err


# --- verify ------------------------------------------------------------------------------------


ONE = "(SELECT min(id) FROM claims)"
TAMPERINGS: dict[str, tuple[list[str], str]] = {
    "a claim's text": (
        [f"UPDATE claims SET text = 'Forged.' WHERE id = {ONE}"],
        r"claim clm_\w+: text is not what its history says",
    ),
    "a ledger entry": (["UPDATE changes SET actor_name = 'Ann' WHERE seq = 5"], "change 5: was altered"),
    "a difference that is no JSON": (
        ["UPDATE changes SET difference = '{' WHERE seq = 5"],
        "change 5: was altered",
    ),
    "a removed ledger entry": (["DELETE FROM changes WHERE seq = 5"], "change 6: 5 was expected"),
    "the last ledger entry": (
        ["DELETE FROM changes WHERE seq = (SELECT max(seq) FROM changes)"],
        r"(\w+: 1 rows have no history|is not what its history says)",
    ),
    "the ledger's first entry": (["DELETE FROM changes WHERE seq = 1"], "change 2: does not follow"),
    "the whole ledger": (["DELETE FROM changes"], "claim: 33 rows have no history"),
    "a figure's value": (
        ["UPDATE figures SET value = 1 WHERE unit = 'USD'"],
        r"claim clm_\w+: figures is not what its history says",
    ),
    "a removed speaker": (
        [f"DELETE FROM claim_speakers WHERE claim_id = {ONE}"],
        r"claim clm_\w+: speakers is not what its history says",
    ),
    "a text without a record": (
        ["UPDATE snapshots SET text = 'x'"],
        r"snapshot snp_\w+: its text .* has come without a record",
    ),
    "a hash on record": (["UPDATE snapshots SET sha256 = 'x'"], "snapshot snp_.*: sha256 is not what"),
    "two entries in another order": (
        [
            "UPDATE changes SET seq = 9999 WHERE seq = 5",
            "UPDATE changes SET seq = 5 WHERE seq = 6",
            "UPDATE changes SET seq = 6 WHERE seq = 9999",
        ],
        "change 5: does not follow",
    ),
    "a forged hash": ([f"UPDATE changes SET hash = '{'0' * 64}' WHERE seq = 5"], "change 5: was altered"),
    "a removed claim": ([f"DELETE FROM claims WHERE id = {ONE}"], r"claim clm_\w+: its rows are gone"),
    "an entity from nowhere": (
        [
            "INSERT INTO entities (id, version, created_at, updated_at, slug, kind, name, canonical_id)"
            " SELECT 'ent_x', 1, created_at, updated_at, 'x', kind, name, 'ent_x'"
            " FROM entities WHERE slug = 'china'"
        ],
        "entity: 1 rows have no history",
    ),
    "a version": ([f"UPDATE claims SET version = 7 WHERE id = {ONE}"], r"claim clm_\w+: version is not what"),
}  # fmt: skip


APART = (
    ("a claim's text", "an entity from nowhere", "a hash on record", "a ledger entry"),
    ("a figure's value", "a removed speaker", "a text without a record", "a difference that is no JSON"),
    ("a version", "two entries in another order"),
    ("a removed claim", "a forged hash"),
)
"""What can be tampered with at once, because each is found in another place."""

ALONE = [(what,) for what in TAMPERINGS if not any(what in each for each in APART)]


@pytest.mark.parametrize("at_once", [*APART, *ALONE], ids=", ".join)
def test_verify_finds_and_names(bases: Bases, command: Command, at_once: tuple[str, ...]) -> None:
    with bases.fresh(seeded=True) as url:
        for what in at_once:
            tamper(url, *TAMPERINGS[what][0])
        found = command(url, "verify")
        assert found.code == 1
        for what in at_once:
            assert re.search(TAMPERINGS[what][1], found.out), found.out
        assert re.fullmatch(r"\d+ faults in \d+ changes", found.last_line)


def test_verify_says_by_its_status_that_a_base_was_tampered_with(sqlite_bases: SqliteBases) -> None:
    with sqlite_bases.fresh(seeded=True) as url:
        tamper(url, "UPDATE claims SET text = 'Forged.' WHERE mode = 'direct_quote'")
        found = forked(["verify"], environment(url))
        assert (found.code, found.last_line[:9]) == (1, "12 faults")
        assert found.out.count("text is not what its history says") == 4


def test_verify_finds_an_entry_that_was_forged_with_its_hash(bases: Bases, command: Command) -> None:
    """Whoever recomputes one hash would have to recompute all that follow."""
    with bases.fresh(seeded=True) as url:
        db = Database(url)
        with db.read() as session:
            entry = document(session.execute(entries().offset(4).limit(1)).one())
        db.dispose()
        forged = entry_hash({**entry, "actor_name": "Ann"})
        tamper(url, f"UPDATE changes SET actor_name = 'Ann', hash = '{forged}' WHERE seq = {entry['seq']}")
        found = command(url, "verify")
        assert found.code == 1
        assert f"change {entry['seq'] + 1}: does not follow" in found.out
        assert "was altered" not in found.out


def test_verify_finds_a_text_that_was_changed(
    bases: Bases, command: Command, server: object, tmp_path: Path
) -> None:
    assert server
    (tmp_path / "text").write_text(PRINTED)
    (tmp_path / "entities.ndjson").write_text('{"slug": "ann", "name": "Ann", "kind": "person"}')
    (tmp_path / "sources.ndjson").write_text(f'{{"url": "{ADDRESS}", "title": "The bridge"}}')
    (tmp_path / "claims.ndjson").write_text(
        f'{{"text": "{QUOTES[0]}", "mode": "direct_quote", "speakers": ["ann"], "appearances":'
        f' [{{"source": "{ADDRESS}"}}]}}'
    )
    with bases.fresh() as url:
        assert command(url, "seed", str(tmp_path)).code == 0
        archive = ["source", "archive", ADDRESS, "--text", str(tmp_path / "text")]
        assert "1 exact" in command(url, *archive).out
        assert command(url, "verify").code == 0
        tamper(url, "UPDATE snapshots SET text = replace(text, 'ready', 'rusty')")
        found = command(url, "verify")
        assert found.code == 1
        assert re.search(r"snapshot snp_\w+: its text is not the one that was archived", found.out)
        assert re.search(r"claim clm_\w+: a quote is not where its anchor says", found.out)


# --- settings ----------------------------------------------------------------------------------

BAD_SETTINGS = {
    "RECORD_FOUR_EYES": ["maybe"],
    "RECORD_PUBLIC_READING": ["2"],
    "RECORD_SECRET": ["short"],
    "RECORD_LEASE_MINUTES": ["0", "soon"],
    "RECORD_POOL_SIZE": ["0"],
    "RECORD_MAX_BODY_BYTES": ["-1"],
    "RECORD_LOG_LEVEL": ["loud"],
    "RECORD_DATABASE_URL": [
        "mysql://x",
        "record.db",
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://h:port/x",
    ],
}


@pytest.mark.parametrize(("name", "value"), [(n, value) for n in BAD_SETTINGS for value in BAD_SETTINGS[n]])
def test_a_setting_that_cannot_be_is_named_in_a_line(
    sqlite_bases: SqliteBases, command: Command, name: str, value: str
) -> None:
    with sqlite_bases.fresh() as url:
        for words in ("verify", NO_SERVER):
            refused = command(url, *words.split(), **{name: value})
            assert (refused.code, refused.out) == (1, "")
            assert refused.last_line.startswith(name)


def test_a_list_that_is_not_json_is_refused_with_how_to_write_it(
    sqlite_bases: SqliteBases, command: Command
) -> None:
    with sqlite_bases.fresh() as url:
        refused = command(url, "verify", RECORD_CORS_ORIGINS="https://example.org")
        assert refused.code == 1
        assert "cors_origins" in refused.last_line
        assert '["https://example.org"]' in refused.last_line


@pytest.mark.parametrize("words", [NO_SERVER, "key create Ann --role admin"])
def test_postgresql_needs_a_secret(postgres_bases: PostgresBases, command: Command, words: str) -> None:
    with postgres_bases.fresh() as url:
        refused = command(url, *words.split(), RECORD_SECRET="")
        assert (refused.code, refused.out) == (1, "")
        assert refused.last_line.startswith("RECORD_SECRET must be set")


def test_sqlite_keeps_a_secret_of_its_own(sqlite_bases: SqliteBases, command: Command) -> None:
    with sqlite_bases.fresh() as url:
        assert command(url, "key", "create", "Ann", "--role", "admin", RECORD_SECRET="").code == 0
        kept = Path(str(engine_url(url).database) + ".secret")
        assert kept.stat().st_mode & 0o777 == 0o600
        first = kept.read_text()
        assert len(first) >= 32
        assert command(url, "key", "create", "Ben", "--role", "admin", RECORD_SECRET="").code == 0
        assert kept.read_text() == first


def test_a_database_that_is_away_is_said_in_a_line(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for words in ("verify", "migrate", "seed"):
        refused = command(f"postgresql://someone:hidden@127.0.0.1:{port}/none", words)
        assert (refused.code, refused.out) == (1, "")
        assert refused.last_line == (
            f'The database is away: The database does not answer: connection to server at "127.0.0.1", '
            f"port {port} failed: Connection refused"
        )
