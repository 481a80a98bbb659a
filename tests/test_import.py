"""Files of records brought in: what they may say, what becomes of each row, and what is refused."""

import io
import json
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event, text

from app.base.body import MAX_LINE
from app.base.db import ReadSession, WriteSession
from app.base.errors import Invalid, Problem, TooLarge
from app.changes import store
from app.changes.store import Saved
from app.claims.model import Claim
from app.exchange import importer, records, routes
from app.exchange.lines import of_file
from app.exchange.records import Form, bringing_in
from app.exchange.rows import Result
from app.exchange.shapes import ImportQuestion
from tests.commands import forked
from tests.newsroom import TESTS, Json, Newsroom, SqliteBases, ok, problem
from tests.served import environment, served

XI = {"entity": {"name": "Xi Jinping", "kind": "person", "aliases": [{"name": "习近平", "language": "zh"}]}}
CLAIM: Json = {
    "text": "There are changes.",
    "mode": "paraphrase",
    "speakers": ["Xi Jinping"],
    "said": "2023-03-21",
}
PRINTED: Json = {"source": "https://example.org/a", "title": "A report", "publisher": "The Desk"}
FIGURE: Json = {"measure": "gas", "value": "98.5", "unit": "bcm", "about": ["xi-jinping"], "period": "2030"}


def lines(*records: Any) -> bytes:
    return b"\n".join(json.dumps(record, ensure_ascii=False).encode() for record in records)


def bring(room: Newsroom, content: bytes, form: Form = "ndjson", **ask: Any) -> list[Result]:
    question = ImportQuestion(**ask)
    with bringing_in(room.db, io.BytesIO(content), form, question, by=TESTS) as results:
        return list(results)


def outcomes(results: Sequence[Result]) -> list[str]:
    return [result.outcome for result in results]


def faults(results: Sequence[Result]) -> dict[tuple[int, str], str]:
    return {(r.line, fault["pointer"]): fault["detail"] for r in results for fault in r.errors}


# --- what a file may say -----------------------------------------------------------------------


def test_names_are_found_and_what_is_named_is_added_once(room: Newsroom) -> None:
    claim = {**CLAIM, "about": ["习近平"], "appearances": [PRINTED], "figures": [FIGURE]}
    other = {
        **CLAIM,
        "text": "Another.",
        "speakers": [{"entity": "Ann", "kind": "person"}],
        "appearances": [PRINTED],
    }
    content = lines(XI, {"claim": claim}, {"type": "claim", **other}, {"claim": other})
    first, second, third, twin = bring(room, content)
    assert outcomes([first, second, third, twin]) == ["created", "created", "created", "unchanged"]
    assert [(made.type, made.name) for made in second.made] == [
        ("entity", "The Desk"),
        ("source", "A report"),
    ]
    assert [made.name for made in third.made] == ["Ann"]
    assert twin.id == third.id
    shown = room.get(f"/v1/claims/{second.id}")
    assert [shown["speakers"][0]["id"], shown["about"][0]["id"]] == [first.id, first.id]
    assert shown["appearances"][0]["source"]["publisher"]["slug"] == "the-desk"
    assert shown["figures"][0]["value"] == "98500000000"
    with room.unchanged():
        assert set(outcomes(bring(room, content))) == {"unchanged"}


def test_a_claim_is_the_same_whichever_way_it_comes(room: Newsroom) -> None:
    """Rows and entries are alike but for ids, times, and who asked."""
    room.entity("Xi Jinping")
    source = room.source("https://example.org/a")
    bodies = [
        {**CLAIM, "speakers": ["xi-jinping"], "about": ["xi-jinping"], "topics": ["a", "b"], "text": word,
         "appearances": [{"source": source["id"], "anchors": [{"exact": word, "start": 3, "end": 9}]}],
         "figures": [FIGURE, {**FIGURE, "value": "0.1"}], "due": "2024-01-01", "place": "Moscow"}
        for word in ("first", "second")
    ]  # fmt: skip
    sent = room.claim(**bodies[0])
    [brought] = bring(room, lines({"claim": bodies[1]}))
    one, other = (room.get(f"/v1/claims/{claim_id}") for claim_id in (sent["id"], brought.id))
    assert _plain(one, "first") == _plain(other, "second")
    histories = [room.get(f"/v1/claims/{claim_id}/history")["data"] for claim_id in (sent["id"], brought.id)]
    assert _plain(histories[0][0], "first") == _plain(histories[1][0], "second")
    with room.db.read() as session:
        rows = {table: _rows(session, table) for table in ("claims", "claim_speakers", "figures", "anchors")}
    assert all(len(found) % 2 == 0 for found in rows.values())


UNALIKE = {"id", "seq", "at", "hash", "previous_hash", "created_at", "updated_at", "actor", "actor_name",
           "request_id", "resource_id", "salt", "salts", "commitments"}  # fmt: skip


def _plain(value: Any, word: str) -> Any:
    if isinstance(value, dict):
        kept = {name: _plain(item, word) for name, item in value.items() if name not in UNALIKE}
        return {name: item for name, item in kept.items() if not str(item).startswith("fig_")}
    if isinstance(value, list):
        return [_plain(item, word) for item in value]
    return value.replace(word, "*") if isinstance(value, str) else value


def _rows(session: ReadSession, table: str) -> list[Any]:
    return list(session.execute(text(f"SELECT * FROM {table}")).all())


def test_a_text_comes_with_its_source_or_after_it(room: Newsroom) -> None:
    source = {"url": "https://example.org/b", "title": "B", "snapshot": {"text": "He said: it holds."}}
    quote = {**CLAIM, "mode": "direct_quote", "appearances": [{"source": source["url"]}]}
    content = lines(XI, {"source": source}, {"claim": {**quote, "text": "it holds"}},
                    {"claim": {**quote, "text": "it does not"}})  # fmt: skip
    results = bring(room, content, mode="good")
    assert outcomes(results) == ["created", "created", "created", "refused"]
    assert "is not in the source's text" in faults(results)[4, "/text"]
    later = lines({"snapshot": {"source": source["url"], "text": "It holds, he said."}})
    assert outcomes(bring(room, later)) == ["created"]
    with room.unchanged():
        assert outcomes(bring(room, later)) == ["unchanged"]


def test_a_revised_claim_is_known_by_what_it_says_now(room: Newsroom) -> None:
    [_, first] = bring(room, lines(XI, {"claim": CLAIM}))
    path = f"/v1/claims/{first.id}"
    ok(room.reporter.patch(path, headers={"If-Match": "*"}, json={"text": "It has changed."}))
    said = [{"claim": CLAIM}, {"claim": {**CLAIM, "text": "It has changed."}}]
    again, now = bring(room, lines(*said))
    assert (again.outcome, now.outcome, now.id) == ("created", "unchanged", first.id)


def test_what_follows_a_kind_is_told_of_many_at_once(room: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []

    def count(_session: WriteSession, saved: Sequence[Saved]) -> None:
        told.append(len(saved))

    counting = store.Projection("counting", {Claim: count})
    monkeypatch.setattr(store, "_projections", [*store._projections, counting])
    bring(room, lines(XI, *({"claim": {**CLAIM, "text": f"{n}"}} for n in range(300))))
    assert told == [300]


# --- one bad row -------------------------------------------------------------------------------

BAD: Mapping[str, tuple[Any, str]] = {
    "/mode": ({"claim": {**CLAIM, "mode": "shout"}}, "is not one of"),
    "/speakers/0": ({"claim": {**CLAIM, "speakers": ["Nobody"]}}, "There is no entity Nobody"),
    "/appearances/0/source": (
        {"claim": {**CLAIM, "appearances": [{"source": "https://example.org/x"}]}},
        "title",
    ),
    "/speakrs": ({"claim": {**CLAIM, "speakrs": []}}, "did you mean 'speakers'?"),
    "": ([1], "one JSON object"),
    "/type": ({"type": "clam"}, "did you mean 'claim'?"),
    "/text": ({"claim": {**CLAIM, "text": "\0"}}, "is not text"),
    "/repeats": ({"claim": {**CLAIM, "repeats": "clm_none"}}, "no claim"),
}


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> int:
    """The number of rows in a batch, of which a short file has several."""
    for module in (importer, records):
        monkeypatch.setattr(module, "BATCH", 100)
    return 100


def test_a_bad_row_in_the_middle_keeps_all_out_or_itself_alone(room: Newsroom, small_batches: int) -> None:
    bad = [record for record, _ in BAD.values()]
    many = [
        {"claim": {**CLAIM, "text": f"Claim {n}.", "speakers": ["xi-jinping"]}}
        for n in range(small_batches + 20)
    ]
    half = {**CLAIM, "speakers": [{"entity": "Ghost", "kind": "person"}, "Nobody"]}
    content = lines(XI, *many[:60], *bad, {"claim": half}, *many[60:])
    with room.unchanged():
        results = bring(room, content)
    found = faults(results)
    for n, (at, (_, says)) in enumerate(BAD.items()):
        assert says in found[62 + n, at], found
    assert len(results) == 1 + len(many) + len(BAD) + 1
    with room.unchanged():
        assert outcomes(bring(room, content, mode="good", dry_run=True)).count("created") == 1 + len(many)
    results = bring(room, content, mode="good")
    assert (outcomes(results).count("created"), outcomes(results).count("refused")) == (
        1 + len(many),
        len(BAD) + 1,
    )
    assert [result.line for result in results] == sorted(result.line for result in results)
    assert room.anyone.get("/v1/entities/ghost").status_code == 404
    with room.unchanged():
        assert outcomes(bring(room, content, mode="good")).count("unchanged") == 1 + len(many)


def test_the_good_rows_that_were_told_of_stay_when_the_rest_is_cut_off(
    room: Newsroom, small_batches: int
) -> None:
    def broken_off() -> Iterator[bytes]:
        for n in range(small_batches + 1):
            yield lines({"claim": {**CLAIM, "text": f"Claim {n}.", "speakers": ["xi-jinping"]}}) + b"\n"
        raise OSError("the disk is gone")

    bring(room, lines(XI))
    told: list[Result] = []

    def listen() -> None:
        with bringing_in(room.db, broken_off(), "ndjson", ImportQuestion(mode="good"), by=TESTS) as results:
            for result in results:
                told.append(result)

    with pytest.raises(OSError, match="gone"):
        listen()
    assert outcomes(told) == ["created"] * small_batches
    with room.db.read() as session:
        kept = set(session.execute(text("SELECT id FROM claims")).scalars())
    assert kept == {result.id for result in told}


def test_an_ambiguous_name_is_refused_and_its_bearers_named(room: Newsroom) -> None:
    twins = [room.entity("John Smith", slug=slug)["id"] for slug in ("john-smith", "john-smith-jr")]
    with room.unchanged():
        [result] = bring(room, lines({"claim": {**CLAIM, "speakers": ["John Smith"]}}), new_entities="person")
    assert all(one in result.errors[0]["detail"] for one in twins)


# --- CSV ---------------------------------------------------------------------------------------

HEAD = (
    "text,mode,speaker,speaker_title,about,said,source_url,source_title,"
    "figure_measure,figure_value,figure_unit"
)
ROW = (
    '"They said: ""so"", and\nleft",paraphrase,Xi Jinping;Ann,President; ,Ann,2023-03,'
    "https://example.org/a,A,gas,98,bcm"
)


@pytest.mark.parametrize("spelling", ["plain", "bom", "crlf", "semicolons", "tabs"])
def test_csv_is_read_in_every_usual_spelling(room: Newsroom, spelling: str) -> None:
    content = f"{HEAD}\n{ROW}\n\n"
    match spelling:
        case "bom":
            content = "\ufeff" + content
        case "crlf":
            content = content.replace("\n", "\r\n")
        case "semicolons":
            content = content.replace(";", "|").replace(",", ";").replace('so""; and', 'so"", and')
        case "tabs":
            content = content.replace(",", "\t").replace('so""\t and', 'so"", and')
    [result] = bring(room, content.encode(), "csv", new_entities="person")
    assert result.outcome == "created", result
    shown = room.get(f"/v1/claims/{result.id}")
    assert shown["text"] == 'They said: "so", and\nleft'
    assert [(s["name"], s["title"]) for s in shown["speakers"]] == [
        ("Xi Jinping", "President"),
        ("Ann", None),
    ]
    assert (shown["about"][0]["name"], shown["figures"][0]["value"]) == ("Ann", "98000000000")
    with room.unchanged():
        assert outcomes(bring(room, content.encode(), "csv", new_entities="person")) == ["unchanged"]


def test_entities_and_sources_come_as_csv_too(room: Newsroom) -> None:
    people = "name,kind,aliases,external_ids\nRFE/RL,organization,Radio Liberty;RFE,wikidata:Q157413\n"
    sources = "url,title,publisher,authors\nhttps://example.org/a,A,Radio Liberty,Ann;Ben\n"
    [desk] = bring(room, people.encode(), "csv")
    [source] = bring(room, sources.encode(), "csv")
    shown = room.get(f"/v1/sources/{source.id}")
    assert (shown["publisher"]["id"], shown["authors"]) == (desk.id, ["Ann", "Ben"])


HEADERS = {
    "txt,mode,speaker": "'txt' is not a column of a claim; did you mean 'text'?",
    "text,mode,speaker,mode": "'mode' is there twice",
    "text,mode": "'speaker' is missing",
    "": "empty",
}


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_that_cannot_be_is_refused_in_a_line(room: Newsroom, header: str) -> None:
    content = f"{header}\nA,paraphrase,Ann\n".encode() if header else b""
    with room.unchanged(), pytest.raises(Invalid) as refused:
        bring(room, content, "csv")
    assert HEADERS[header] in refused.value.detail


WIDE = {
    "50,000 columns": ",".join(f"c{n}" for n in range(50_000)),
    "one name 500,000 times": ",".join(["a"] * 500_000),
    "a cell longer than a cell may be": "x" * 200_000,
    "long names": ",".join("x" * 100_000 + str(n) for n in range(9)),
}


@pytest.mark.parametrize("name", WIDE)
def test_a_header_of_any_width_is_refused_soon_and_in_short(room: Newsroom, name: str) -> None:
    began = time.process_time()
    with room.unchanged(), pytest.raises(Problem) as refused:
        bring(room, f"{WIDE[name]}\n".encode(), "csv")
    assert time.process_time() - began < 3
    assert refused.value.status in (413, 422)
    assert refused.value.detail.startswith("Line 1, the header")
    assert len(refused.value.detail) < 5_000


def test_a_file_of_lines_without_rows_ends(room: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "MAX_ROWS", 10)
    content = lines(XI) + b"\n" * 500
    with room.unchanged():
        answer = room.reporter.post("/v1/import", content=content, headers=NDJSON)
        assert "lines" in problem(answer, 413, "too-large")["detail"]


def test_a_file_is_read_before_the_writer_is_taken(room: Newsroom) -> None:
    """Others can write while a file is read, however long that lasts."""

    def slowly() -> Iterator[bytes]:
        room.entity("Someone Else")  # which waits in vain if the importer holds the writer
        yield lines(XI)

    with bringing_in(room.db, slowly(), "ndjson", ImportQuestion(), by=TESTS) as results:
        assert outcomes(list(results)) == ["created"]


ROWS = {
    "short": (b"A,paraphrase", "has 2 cells"),
    "long": (b"A,paraphrase,Ann,x", "has 4 cells"),
    "bad": (b"A,shout,Ann", "is not one of"),
    "open quote": (b'"A,paraphrase,Ann', "is not CSV"),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_csv_row_that_cannot_be_is_named_by_its_line(room: Newsroom, name: str) -> None:
    row, says = ROWS[name]
    with room.unchanged():
        results = bring(
            room, b"text,mode,speaker\nA,paraphrase,Ann\n" + row + b"\n", "csv", new_entities="person"
        )
    [refused] = [result for result in results if result.outcome == "refused"]
    assert (refused.line, says in refused.errors[0]["detail"]) == (3, True), refused


# --- bytes that are no such file ---------------------------------------------------------------


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_other_encodings_are_said_to_be_what_they_are(room: Newsroom, form: Form) -> None:
    head = "text,mode,speaker\n" if form == "csv" else ""
    utf16 = (head + json.dumps(XI)).encode("utf-16")
    latin = (head + "Café,paraphrase,Ann").encode("latin-1")
    with room.unchanged():
        with pytest.raises(Invalid, match="UTF-16"):
            bring(room, utf16, form)
        if form == "csv":
            with pytest.raises(Invalid, match="Line 2 is not UTF-8"):
                bring(room, latin, form)
        else:
            assert "UTF-8" in faults(bring(room, latin, form))[1, ""]


class Endless(io.RawIOBase):
    """A file of one line that does not end."""

    def __init__(self) -> None:
        self.given = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size > 0, "it would never come back"
        self.given += size
        return b"x" * size


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_a_line_that_does_not_end_is_given_up_soon(room: Newsroom, form: Form) -> None:
    file = Endless()
    with room.unchanged(), pytest.raises(TooLarge), bringing_in(
        room.db, of_file(file), form, ImportQuestion(), by=TESTS
    ) as results:  # fmt: skip
        list(results)
    assert file.given < 2 * MAX_LINE


def test_an_empty_file_of_lines_is_nothing_to_do(room: Newsroom) -> None:
    with room.unchanged():
        assert bring(room, b"") == bring(room, b"\n \n\r\n") == bring(room, b"\xef\xbb\xbf\n") == []


def test_a_long_file_takes_few_queries(room: Newsroom) -> None:
    content = lines(XI, *({"claim": {**CLAIM, "text": f"{n}", "appearances": [PRINTED]}} for n in range(400)))
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    event.listen(room.db.writer, "before_cursor_execute", note)
    bring(room, content)
    event.remove(room.db.writer, "before_cursor_execute", note)
    assert len(sent) < 150, sent


# --- over HTTP ---------------------------------------------------------------------------------

NDJSON = {"Content-Type": "application/x-ndjson"}


def test_a_file_is_sent_and_every_row_answered(room: Newsroom) -> None:
    content = lines(XI, {"claim": {**CLAIM, "appearances": [PRINTED]}})
    done = ok(room.reporter.post("/v1/import", content=content, headers=NDJSON))
    assert (done["created"], done["unchanged"], done["refused"]) == (2, 0, 0)
    assert [(row["line"], row["type"], row["outcome"]) for row in done["results"]] == [
        (1, "entity", "created"),
        (2, "claim", "created"),
    ]
    assert {made["type"] for made in done["results"][1]["made"]} == {"entity", "source"}
    with room.unchanged():
        assert ok(room.reporter.post("/v1/import", content=content, headers=NDJSON))["unchanged"] == 2
    csv = f"{HEAD}\n{ROW}\n".encode()
    query = {"new_entities": "person"}
    headers = {"Content-Type": "text/csv; charset=utf-8"}
    assert ok(room.reporter.post("/v1/import", content=csv, headers=headers, params=query))["created"] == 1


def test_a_refused_row_refuses_the_file_unless_the_good_ones_are_asked_for(room: Newsroom) -> None:
    content = lines(XI, {"claim": CLAIM}, {"claim": {**CLAIM, "mode": "shout"}})
    assert room.reporter
    with room.unchanged():
        refused = problem(room.reporter.post("/v1/import", content=content, headers=NDJSON), 422, "invalid")
        assert refused["errors"][0]["pointer"] == "/mode"
        assert refused["errors"][0]["detail"].startswith("line 3: ")
        assert [row["line"] for row in refused["results"]] == [3]
        for mode in ("all", "good"):
            query = {"dry_run": "true", "mode": mode}
            dry = ok(room.reporter.post("/v1/import", content=content, headers=NDJSON, params=query))
            assert (dry["created"], dry["refused"]) == (2, 1)
    done = ok(room.reporter.post("/v1/import?mode=good", content=content, headers=NDJSON))
    assert (done["created"], done["refused"]) == (2, 1)


def test_a_file_that_is_sent_again_with_its_key_acts_once(room: Newsroom) -> None:
    content, headers = lines(XI), {**NDJSON, "Idempotency-Key": "one"}
    first = ok(room.reporter.post("/v1/import", content=content, headers=headers))
    again = room.reporter.post("/v1/import", content=content, headers=headers)
    assert (ok(again), again.headers["idempotency-replayed"]) == (first, "true")
    problem(room.reporter.post("/v1/import", content=lines(XI, XI), headers=headers), 422, "invalid")


def test_what_is_no_such_file_is_refused(room: Newsroom) -> None:
    def send(content: Any, kind: str = "application/x-ndjson") -> Any:
        return room.reporter.post("/v1/import", content=content, headers={"Content-Type": kind})

    with room.unchanged():
        problem(send(b"x" * (MAX_LINE + 1)), 413, "too-large")
        problem(send(b"{}", "application/json"), 415, "unsupported-media-type")
        problem(send(b"{}", ""), 415, "unsupported-media-type")
        problem(send(b"x,y\n", "text/csv"), 422, "invalid")
        problem(send(b"{}\n" * 50_001), 413, "too-large")
        assert ok(send(b""))["results"] == []
    with room.with_settings(max_import_bytes=2000) as small, small.unchanged():
        long = lines(*({"claim": {**CLAIM, "text": f"{n}"}} for n in range(50)))
        problem(small.reporter.post("/v1/import", content=long, headers=NDJSON), 413, "too-large")
    assert ok(send(lines(XI)))["created"] == 1


def test_an_endless_line_costs_a_served_process_no_memory(sqlite_bases: SqliteBases, tmp_path: Path) -> None:
    with sqlite_bases.fresh() as url:
        env = environment(url, RECORD_MAX_IMPORT_BYTES=str(10**12))
        token = forked(["key", "create", "Ann", "--role", "reporter"], env).out.strip()
        with served(env, tmp_path / "log") as server, server.client(token) as client:
            client.get("/v1/claims")
            before = _memory(server.process.pid)
            given = _send_without_end(server.url, token)
            assert given < 10**8
            assert _memory(server.process.pid) - before < 30_000
            assert client.get("/healthz").status_code == 200


def _send_without_end(url: str, token: str) -> int:
    """How many bytes of one line a server takes before it hangs up."""
    address = httpx.URL(url)
    given = 0
    with socket.create_connection((address.host, address.port or 80), timeout=60) as connection:
        head = "POST /v1/import HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
        head += f"Authorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        with suppress(ConnectionError):
            while given < 10**10:
                connection.sendall(b"f4240\r\n" + b"x" * 1_000_000 + b"\r\n")
                given += 1_000_000
    return given


def _memory(pid: int) -> int:
    """Kilobytes in memory now."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
