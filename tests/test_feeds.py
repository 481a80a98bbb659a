"""The feeds: what the lists hold, as flat rows, whole, in four formats."""

import asyncio
import base64
import csv
import gzip
import hashlib
import io
import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from time import sleep
from typing import Any
from unittest.mock import patch

import httpx
import pyarrow.parquet
import pytest

from app.base.db import ReadSession
from app.base.jobs import Job
from app.base.shelf import Kept, Shelf, filled, kept
from app.exchange import flat, parquet
from app.exchange.flat import FEEDS, Feed
from app.exchange.formats import CSV, FORMATS, JSON_FORM, NDJSON, PARQUET, Format
from app.exchange.parquet import TYPES
from tests.contract import whole
from tests.newsroom import Json, Newsroom, problem

pytestmark = pytest.mark.usefixtures("parquet_in_its_process")

PLAIN = {"Accept-Encoding": "identity"}
EACH = [(feed, form) for feed in FEEDS for form in FORMATS]


def ask(room: Newsroom, feed: str, form: Format, **query: Any) -> httpx.Response:
    answer = room.anyone.get(f"/v1/{feed}.{form.suffix}", params=query, headers=PLAIN)
    assert answer.status_code == 200, answer.text
    return answer


def rows(room: Newsroom, feed: str, **query: Any) -> list[Json]:
    found: list[Json] = ask(room, feed, JSON_FORM, **query).json()
    return found


def read(feed: Feed, form: Format, body: bytes) -> list[Json]:
    """The rows of an answer, as JSON has them."""
    if form is JSON_FORM:
        return list(json.loads(body))
    if form is NDJSON:
        return [json.loads(line) for line in body.splitlines()]
    if form is CSV:
        return list(_from_csv(feed, body))
    return list(_from_parquet(feed, body))


def _from_csv(feed: Feed, body: bytes) -> Iterator[Json]:
    kinds = {column.name: column.kind for column in feed.columns}
    readers: dict[str, Any] = {"number": float, "count": int, "flag": {"true": True, "false": False}.get}
    for row in csv.DictReader(io.StringIO(body.decode(), newline=""), strict=True):
        yield {
            name: readers.get(kinds[name], lambda text: text.removeprefix("'"))(cell) if cell else None
            for name, cell in row.items()
        }


def _from_parquet(feed: Feed, body: bytes) -> Iterator[Json]:
    kinds = {column.name: column.kind for column in feed.columns}
    for row in pyarrow.parquet.read_table(io.BytesIO(body)).to_pylist():
        yield {name: _wire(kinds[name], value) for name, value in row.items()}


def _wire(kind: str, value: Any) -> Any:
    if value is None or kind not in ("day", "instant"):
        return value
    return value.isoformat() if kind == "day" else value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# --- what is in them ---------------------------------------------------------------------------


def test_all_formats_have_the_same_rows_and_every_column_in_every_row(furnished: Newsroom) -> None:
    for feed in FEEDS:
        every = rows(furnished, feed.name)
        assert len(every) > 1
        for form in FORMATS:
            answer = ask(furnished, feed.name, form)
            assert answer.headers["content-type"] == form.content_type
            found = read(feed, form, answer.content)
            assert found == every, f"{feed.name}.{form.suffix}"
            assert {tuple(row) for row in found} == {tuple(column.name for column in feed.columns)}
            assert int(answer.headers["record-count"]) == len(every)


def test_a_feed_has_every_record_of_its_list(furnished: Newsroom) -> None:
    for noun in ("claims", "entities", "figures"):
        for query in ({}, {"order": "asc"}):
            listed = {row["id"] for row in whole(furnished, f"/v1/{noun}", **query)}
            ids = [row["id"] for row in rows(furnished, noun, **query)]
            assert set(ids) == listed
            assert ids == sorted(ids, reverse="order" not in query)
    claims = [claim["id"] for claim in whole(furnished, "/v1/claims")]
    reviews = {r["id"] for claim in claims for r in furnished.get(f"/v1/claims/{claim}/reviews")["data"]}
    assert {row["id"] for row in rows(furnished, "reviews")} == reviews


def test_a_feed_has_the_filters_of_its_list(furnished: Newsroom) -> None:
    asked: list[tuple[str, dict[str, Any]]] = [
        ("claims", {"speaker": "vladimir-putin", "status": ["reviewed", "unverified"]}),
        ("claims", {"said_from": "2023-03-20", "said_to": "2023-03-21", "has_figure": "true"}),
        ("entities", {"kind": ["person", "country"]}),
        ("figures", {"unit": "m3", "speaker": "vladimir-putin"}),
    ]
    for noun, query in asked:
        listed = {row["id"] for row in whole(furnished, f"/v1/{noun}", **query)}
        assert {row["id"] for row in rows(furnished, noun, **query)} == listed
        assert 0 < len(listed) < len(whole(furnished, f"/v1/{noun}")), (noun, query)
    [ruled] = {row["claim"] for row in rows(furnished, "reviews", verdict="half_true")}
    found = rows(furnished, "reviews", claim=ruled)
    assert {row["state"] for row in found} == {"corrected", "published"}
    for feed in FEEDS:
        assert feed.question.model_fields.keys() == feed.filters.model_fields.keys() - {"limit", "cursor"}


def test_a_row_is_flat_and_typed(room: Newsroom) -> None:
    room.entity("Xi Jinping")
    figure = {"measure": "trade", "value": "-190.271", "unit": "USD", "scale": "billion", "period": "2022"}
    room.claim(
        "Trade grew.", speakers=[{"entity": "vladimir-putin", "title": "President"}, "xi-jinping"],
        topics=["trade", "energy"], said="2023-03", figures=[figure],
    )  # fmt: skip
    room.claim("Undated.", speakers=["xi-jinping"])
    room.claim("Until then.", said="../2023-03-19")
    open_, undated, dated = rows(room, "claims")
    assert dated["speakers"] == "Vladimir Putin; Xi Jinping"
    assert (dated["speaker_slug"], dated["speaker_title"]) == ("vladimir-putin", "President")
    assert dated["topics"] == "trade; energy"
    assert (dated["said"], dated["said_earliest"], dated["said_latest"]) == (
        "2023-03",
        "2023-03-01",
        "2023-03-31",
    )
    assert (undated["said"], undated["said_earliest"], undated["said_latest"]) == (None, None, None)
    assert (open_["said_earliest"], open_["said_latest"]) == (None, "2023-03-19")
    assert dated["figures"] == 1
    assert dated["created_at"].endswith("Z")
    [number] = rows(room, "figures")
    assert (number["value"], number["value_number"]) == ("-190271000000", -190271000000.0)
    assert number["is_record"] is False
    assert number["period_latest"] == "2022-12-31"
    [line] = csv.DictReader(io.StringIO(ask(room, "figures", CSV).text))
    assert (line["value"], line["is_record"]) == ("-190271000000", "false")


def test_parquet_is_made_of_a_whole_file_that_others_read_meanwhile(tmp_path: Path) -> None:
    """A render that nobody waits for any more moved the place at which the next one read."""
    lines = tmp_path / "lines"
    lines.write_text("".join(f'{{"id": "{n}"}}\n' for n in range(1000)))
    made = io.BytesIO()
    with lines.open("rb") as file:
        file.seek(0, io.SEEK_END)
        parquet.main(["id:text"], file.fileno(), made)
    assert pyarrow.parquet.read_table(io.BytesIO(made.getvalue()))["id"].to_pylist() == [
        *map(str, range(1000))
    ]


def test_parquet_has_the_types_that_are_declared(seeded: Newsroom) -> None:
    for feed in FEEDS:
        schema = pyarrow.parquet.read_schema(io.BytesIO(ask(seeded, feed.name, PARQUET).content))
        assert schema.names == [column.name for column in feed.columns]
        assert schema.types == [TYPES[column.kind] for column in feed.columns]


RISKY = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx"]


def test_a_text_that_a_spreadsheet_would_run_is_neutralised(room: Newsroom) -> None:
    for text in (*RISKY, 'He said "yes", twice.\nThen left.'):
        room.claim(text)
    body = ask(room, "claims", CSV).content
    assert body.count(b"\r\n") == 1 + len(RISKY) + 1
    found = [row["text"] for row in csv.DictReader(io.StringIO(body.decode(), newline=""), strict=True)]
    assert found == ['He said "yes", twice.\nThen left.', *(f"'{text}" for text in reversed(RISKY))]
    assert [row["text"] for row in rows(room, "claims")][1:] == RISKY[::-1]


def test_an_empty_feed_is_a_whole_file(room: Newsroom) -> None:
    for feed, form in EACH:
        answer = ask(room, feed.name, form)
        assert answer.headers["record-count"] == "0"
        assert read(feed, form, answer.content) == []
    assert ask(room, "claims", CSV).text.startswith("id,text,mode,")
    assert ask(room, "claims", JSON_FORM).json() == []


def test_every_batch_takes_the_same_few_queries(seeded: Newsroom) -> None:
    for feed in FEEDS:
        rows(seeded, feed.name)  # names are in memory
        most = []
        for batch in (2, 1):
            with (
                patch.object(flat, "BATCH", batch),
                seeded.db.outside.read() as session,
                seeded.queries() as sent,
            ):
                marks = [len(sent) for _ in feed.rows(session, feed.question())]
            most.append(max((after - before for before, after in pairwise(marks)), default=0))
        assert most[0] == most[1] <= 6, f"{feed.name}: {most}"


# --- how they are sent -------------------------------------------------------------------------


def test_a_feed_says_how_long_it_is_and_what_its_digest_is(seeded: Newsroom) -> None:
    for feed, form in EACH:
        for coding in ("identity", "gzip"):
            path, headers = f"/v1/{feed.name}.{form.suffix}", {"Accept-Encoding": coding}
            with seeded.anyone.stream("GET", path, headers=headers) as answer:
                body = b"".join(answer.iter_raw())
            assert int(answer.headers["content-length"]) == len(body)
            digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
            assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
            packed = coding == "gzip" and form.compresses
            assert answer.headers.get("content-encoding") == ("gzip" if packed else None)
            plain = ask(seeded, feed.name, form)
            assert (gzip.decompress(body) if packed else body) == plain.content
            assert (answer.headers["etag"] == plain.headers["etag"]) is not packed


def test_an_etag_holds_until_something_is_written(room: Newsroom) -> None:
    room.claim()
    for form in FORMATS:
        before = ask(room, "claims", form).headers["etag"]
        assert ask(room, "claims", form).headers["etag"] == before
        other = ask(room, "claims", form, mode="paraphrase").headers["etag"]
        room.claim("Another.")
        path = f"/v1/claims.{form.suffix}"
        known = {**PLAIN, "If-None-Match": before}
        assert room.anyone.get(path, headers=known).status_code == 200
        assert len({before, other, ask(room, "claims", form).headers["etag"]}) == 3


def test_what_has_not_changed_is_neither_made_nor_sent(seeded: Newsroom) -> None:
    tag = ask(seeded, "claims", CSV).headers["etag"]
    seeded.app.state.house.shelf.clear()
    with seeded.queries() as sent:
        answer = seeded.anyone.get("/v1/claims.csv", headers={**PLAIN, "If-None-Match": tag})
    assert (answer.status_code, answer.content) == (304, b"")
    assert len([statement for statement in sent if statement.startswith("SELECT")]) == 1


RANGES = [
    ("bytes=0-9", 206, 0, 10),
    ("bytes=5-", 206, 5, None),
    ("bytes=-7", 206, -7, None),
    ("bytes=0-99999999999", 206, 0, None),
    ("bytes=0-1,5-6", 200, 0, None),
    ("bytes=9-5", 200, 0, None),
    ("bytes=-", 200, 0, None),
    ("rows=0-5", 200, 0, None),
    ("bytes=x-y", 200, 0, None),
    ("bytes=99999999999-", 416, 0, 0),
    ("bytes=-0", 416, 0, 0),
]


def test_a_range_is_what_was_asked_for(seeded: Newsroom) -> None:
    bodies = {form: ask(seeded, "claims", form).content for form in FORMATS}
    for form, (asked, status, start, end) in product(FORMATS, RANGES):
        path, body = f"/v1/claims.{form.suffix}", bodies[form]
        answer = seeded.anyone.get(path, headers={"Range": asked, "Accept-Encoding": "gzip"})
        assert answer.status_code == status, (asked, answer.text)
        if status == 416:
            assert problem(answer, 416, "range-not-satisfiable")["size"] == len(body)
            assert answer.headers["content-range"] == f"bytes */{len(body)}"
            continue
        assert answer.content == body[start:end], asked
        if status == 206:
            first = start % len(body)
            assert (
                answer.headers["content-range"]
                == f"bytes {first}-{first + len(answer.content) - 1}/{len(body)}"
            )
            assert "content-encoding" not in answer.headers


def test_a_range_of_another_version_is_the_whole(room: Newsroom) -> None:
    room.claim()
    old = ask(room, "claims", CSV).headers["etag"]
    room.claim("Another.")
    answer = ask(room, "claims", CSV)
    for condition, status in (
        (old, 200),
        (answer.headers["etag"], 206),
        (f"W/{answer.headers['etag']}", 200),
    ):
        headers = {"Range": "bytes=3-", "If-Range": condition}
        part = room.anyone.get("/v1/claims.csv", headers=headers)
        assert part.status_code == status
        assert part.content == answer.content[3 if status == 206 else 0 :]


def test_head_ignores_a_range(seeded: Newsroom) -> None:
    for form in FORMATS:
        head = seeded.anyone.head(f"/v1/claims.{form.suffix}", headers={**PLAIN, "Range": "bytes=0-1"})
        assert (head.status_code, head.headers["accept-ranges"]) == (200, "bytes")
        assert int(head.headers["content-length"]) == len(ask(seeded, "claims", form).content)


def test_what_cannot_be_is_refused(seeded: Newsroom) -> None:
    problem(seeded.anyone.get("/v1/claims.xml"), 404, "not-found")
    problem(seeded.anyone.get("/v1/nothing.csv"), 404, "not-found")
    with seeded.unchanged():
        for form in FORMATS:
            path = f"/v1/claims.{form.suffix}"
            for query in (
                {"limit": "5"},
                {"cursor": "x"},
                {"speaker": "vladimir-putn"},
                {"said_from": "soon"},
            ):
                problem(seeded.anyone.get(f"{path}?{query}"), 422, "invalid")
            problem(seeded.anyone.get(path, headers={"Accept": "image/png"}), 406, "not-acceptable")


# --- files that are kept -----------------------------------------------------------------------


def test_those_who_ask_at_once_wait_for_one_file(seeded: Newsroom) -> None:
    made: list[Any] = []
    real = Feed.rows

    def counted(self: Feed, *rest: Any) -> Any:
        made.append(self.name)
        return real(self, *rest)

    assert seeded.anyone  # one client, made before eight would
    with patch.object(Feed, "rows", counted), ThreadPoolExecutor(8) as readers:
        tags = set(readers.map(lambda _: ask(seeded, "claims", PARQUET).headers["etag"], range(16)))
    assert (len(tags), made) == (1, ["claims"])


def test_a_shelf_keeps_no_more_than_it_may_and_what_is_sent_until_it_is_sent() -> None:
    async def use() -> None:
        shelf = Shelf(25)
        for name in "abc":
            await shelf.get((name,), lambda _, name=name: _file(name))  # type: ignore[misc]
        sent = await shelf.get(("b",), _never)
        await shelf.get(("d",), lambda _: _file("d"))
        assert await shelf.get(("b",), _never) is sent
        shelf.clear()
        assert b"".join(sent.pieces(0, sent.size)) == b"b" * 10
        with pytest.raises(ZeroDivisionError):
            await shelf.get(("e",), lambda _: 1 / 0)  # type: ignore[arg-type, return-value]
        await shelf.get(("e",), lambda _: _file("e"))

    asyncio.run(use())


def test_ever_new_questions_of_one_client_push_out_its_own_files_alone() -> None:
    async def use() -> None:
        shelf = Shelf(100)
        for name in "abcde":
            await shelf.get((name,), lambda _, name=name: _file(name), "honest")  # type: ignore[misc]
            await shelf.get((name,), _never, "another")  # so that it is both's
        for name in "fghijklmnopqrstuvwxyz":
            await shelf.get((name,), lambda _, name=name: _file(name), "eager")  # type: ignore[misc]
        for name in "abcde":
            await shelf.get((name,), _never, "honest")
        await shelf.get(("y",), _never, "eager")  # a quarter of the room is two files
        with pytest.raises(AssertionError):
            await shelf.get(("x",), _never, "eager")

    asyncio.run(use())


def test_a_client_has_one_file_made_at_a_time_and_leaves_the_other_place() -> None:
    at_work: Counter[str] = Counter()
    most: dict[str, int] = {}

    def make(_job: Job, client: str, name: str) -> Kept:
        at_work[client] += 1
        most[client] = max(most.get(client, 0), at_work[client])
        sleep(0.02)
        at_work[client] -= 1
        return _file(name)

    async def use() -> None:
        shelf = Shelf(1000)
        wanted = [("one", name) for name in "abcd"] + [("two", name) for name in "efg"]
        await asyncio.gather(
            *(shelf.get((name,), partial(make, client=client, name=name), client) for client, name in wanted)
        )

    asyncio.run(use())
    assert most == {"one": 1, "two": 1}


def test_a_file_that_nobody_waits_for_any_more_is_not_made_on() -> None:
    begun, ended = threading.Event(), threading.Event()

    def make(job: Job) -> Kept:
        begun.set()
        try:
            while True:
                job.check()
                sleep(0.001)
        finally:
            ended.set()

    async def use() -> None:
        shelf = Shelf(1000)
        first, second = (asyncio.ensure_future(shelf.get(("a",), make)) for _ in range(2))
        await asyncio.to_thread(begun.wait, 10)
        first.cancel()
        await asyncio.sleep(0.05)
        assert not ended.is_set()  # the second waits for it
        second.cancel()
        assert await asyncio.to_thread(ended.wait, 10)
        await shelf.get(("a",), lambda _: _file("a"))  # it is made anew for whoever comes then

    asyncio.run(use())


ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "postgresql": "SELECT pg_sleep(600)",
}


def test_a_feed_ends_in_the_database_when_its_client_goes_away(seeded: Newsroom) -> None:
    begun, ended = threading.Event(), threading.Event()

    def endless(_self: Feed, session: ReadSession, _ask: Any) -> Iterator[Any]:
        connection = session.connection()
        begun.set()
        try:
            connection.exec_driver_sql(ENDLESS[connection.dialect.name])
        finally:
            ended.set()
        yield ()

    with patch.object(Feed, "rows", endless), seeded.client() as client:
        with pytest.raises(httpx.ReadTimeout):
            client.get("/v1/claims.csv?mode=paraphrase", timeout=httpx.Timeout(30, read=1))
        assert begun.wait(10)
    assert ended.wait(5)
    assert ask(seeded, "claims", CSV, mode="paraphrase").status_code == 200  # and its connection is good


def _file(name: str) -> Kept:
    return kept((name,), filled([name.encode() * 10]), 1)


def _never(_job: Job) -> Kept:
    raise AssertionError("it is there")
