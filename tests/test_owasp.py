"""The OWASP API Security Top 10 (2023), a test each. Its docstring names the guard: without that it fails."""

import asyncio
import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from app.base.http import Route
from app.hooks import targets
from app.hooks.deliveries import Deliveries
from tests.commands import tamper
from tests.contract import CALLERS, OTHERS, operations
from tests.newsroom import Json, Newsroom, SqliteBases, match, ok, problem, ruling
from tests.served import environment, served
from tests.test_house import OPEN, app_files

ELSEWHERE = {"X-Forwarded-For": "203.0.113.7"}
ANY = {"If-Match": "*"}
OURS: Json = {
    "verification": {"verdict": "true"},
    "verdict": "true",
    "status": "reviewed",
    "id": "clm_01m87gne0veherp8apm1m6sqm3",
    "version": 7,
    "assignee_id": "key",
}
"""What the house decides of a claim."""
NOT_HERE = """/v0/claims /v2/claims /claims /admin /debug /.env /.git/config /redoc /graphql /v1/keys.json
    /static-offline-docs/../../settings.py""".split()


def test_api1_object_level_authorization(room: Newsroom) -> None:
    """Guard: `_fits` in app/reviews/rules.py. A claim that one checker has taken is not another's to rule on,
    release or take, and evidence and reviews of one claim are no part of another.
    """
    claim, other = room.claim(), room.claim("Another claim.")
    room.take(claim)
    stranger, path = room.another("checker", "Stranger"), f"/v1/claims/{claim['id']}"
    with room.unchanged():
        for method, moves in (("POST", f"{path}/assignment"), ("DELETE", f"{path}/assignment")):
            problem(stranger.request(method, moves, headers=ANY), 409, "illegal-move")
        problem(stranger.post(f"{path}/reviews", headers=ANY, json=ruling()), 409, "illegal-move")
    review = room.review(claim)
    problem(room.anyone.get(f"/v1/claims/{other['id']}/reviews/{review['id']}"), 404, "not-found")
    room.take(other)
    cites = ruling(evidence=None, cites=[review["evidence"][0]["id"]])
    problem(room.checker.post(f"/v1/claims/{other['id']}/reviews", headers=ANY, json=cites), 422, "invalid")


def test_the_last_admin_is_not_locked_out(room: Newsroom) -> None:
    """Guards: `keep_an_admin` in app/access/store.py. Whatever admins revoke, one of them can go on."""
    room.key("admin", "Ended", expires_at="2020-01-01T00:00:00Z")
    ok(room.admin.delete(f"/v1/keys/{room.key('admin', 'Another')[0]}"))
    third = room.another("admin", "A third")
    known = {key["name"]: f"/v1/keys/{key['id']}" for key in ok(room.admin.get("/v1/keys"))["data"]}
    with ThreadPoolExecutor(2) as both:
        ends = [
            both.submit(room.admin.delete, known["A third"]),
            both.submit(third.delete, known["The admin"]),
        ]
    codes = [end.result().status_code for end in ends]
    assert sorted(codes) in ([200, 401], [200, 409])
    left, own = (room.admin, "The admin") if codes[0] == 200 else (third, "A third")
    with room.unchanged():
        refused = problem(left.delete(known[own]), 409, "conflict")
        assert "python -m app key revoke" in refused["detail"]


def test_api2_authentication(room: Newsroom) -> None:
    """Guards: `recognise` in app/access/store.py and the meter of wrong keys in app/base/limits.py. A key
    that is altered, expired, revoked or sent otherwise opens nothing, and guessing is stopped.
    """
    key_id, revoked = room.key("admin", "Revoked")
    ok(room.admin.delete(f"/v1/keys/{key_id}"))
    _, expired = room.key("admin", "Expired", expires_at="2020-01-01T00:00:00Z")
    _, good = room.key("admin", "Good")
    altered = good[:-1] + ("A" if good[-1] != "A" else "B")
    for wrong in (revoked, expired, altered, good.upper(), good[:-1], good[4:], "otr_", "null", key_id):
        problem(room.anyone.get("/v1/keys", headers={"Authorization": f"Bearer {wrong}"}), 401)
    for header in (good, f"Basic {good}", f"Token {good}", f"Bearer, {good}"):
        problem(room.anyone.get("/v1/keys", headers={"Authorization": header}), 401)
    problem(room.anyone.get("/v1/keys", params={"key": good}), 401)
    problem(room.anyone.get("/v1/keys", headers={"X-Api-Key": good, "Cookie": f"key={good}"}), 401)
    with room.with_settings(wrong_keys=3) as strict:
        guesses = [{"Authorization": f"Bearer otr_{n}", **ELSEWHERE} for n in range(5)]
        found = [strict.anyone.get("/v1/keys", headers=guess).status_code for guess in guesses]
    assert found == [401, 401, 401, 429, 429]


def test_api3_property_level_authorization(room: Newsroom) -> None:
    """Guards: `extra="forbid"` of Shape in app/base/types.py, and the columns named in app/access/store.py.
    What the house decides cannot be sent along, and what is secret is not sent back.
    """
    sent = room.claim()
    with room.unchanged():
        for name, value in OURS.items():
            body: Json = {"text": "a", "mode": "paraphrase", "speakers": ["vladimir-putin"], name: value}
            problem(room.editor.post("/v1/claims", json=body), 422, "invalid")
            answer = room.editor.patch(f"/v1/claims/{sent['id']}", headers=ANY, json={name: value})
            problem(answer, 422, "invalid")
    key: Json = {"name": "Desk", "role": "reader", "token_hash": "0" * 64}
    problem(room.admin.post("/v1/keys", json=key), 422, "invalid")
    made = ok(room.admin.post("/v1/keys", json={"name": "Desk", "role": "reader"}))
    shown = room.admin.get("/v1/keys").text + room.admin.get("/v1/changes", params={"limit": 200}).text
    with room.db.read() as session:
        hashes = session.connection().exec_driver_sql("SELECT token_hash FROM keys").scalars().all()
    for secret in (made["secret"], "token_hash", "secret", *hashes):
        assert secret not in shown


def test_api4_resource_consumption(room: Newsroom) -> None:
    """Guards: `admit` in app/base/limits.py, `receive` in app/base/boundary.py, the bounds of
    app/base/page.py and app/base/http.py. Requests, bodies, pages and questions have limits.
    """
    with room.with_settings(requests_per_address=3, max_body_bytes=2000) as strict:
        large = strict.anyone.post("/v1/claims", content=b"x" * 3000)
        problem(large, 413, "too-large")
        found = [strict.anyone.get("/v1/claims", headers=ELSEWHERE) for _ in range(4)]
        assert [answer.status_code for answer in found] == [200] * 3 + [429]
        problem(found[3], 429, "too-many-requests")
        assert int(found[3].headers["retry-after"]) > 0
    words = " ".join(f"word{n}" for n in range(33))
    for asked in ({"limit": 201}, {"q": words}, {"q": "x" * 501}, {"mode": ["paraphrase"] * 101}):
        problem(room.anyone.get("/v1/claims", params=asked), 422, "invalid")


def test_api5_function_level_authorization(furnished: Newsroom) -> None:
    """Guard: `admit` of May in app/access/requests.py. No operation is open to a role below its own, whatever
    is sent and however the method is spelled.
    """
    with furnished.unchanged():
        for operation in operations(furnished):
            for role in CALLERS:
                if operation.allows(role):
                    continue
                client: httpx.Client = getattr(furnished, role or "anyone")
                answer = client.request(operation.method, operation.nowhere, content=b"{}", headers=ANY)
                problem(answer, 403 if role else 401)
                if role not in (None, "reader"):
                    continue
                override = {"X-HTTP-Method-Override": operation.method, "X-Method-Override": operation.method}
                assert client.get(operation.nowhere, headers=override).status_code in (
                    200,
                    401,
                    403,
                    404,
                    405,
                )


def test_api6_sensitive_business_flows(room: Newsroom) -> None:
    """Guard: `second_pair_of_eyes` in app/reviews/rules.py. Nobody publishes a verdict alone where two are
    wanted, an admin neither.
    """
    claim = room.claim()
    path = f"/v1/claims/{claim['id']}"
    with room.with_settings(four_eyes=True) as strict:
        strict.take(claim, by=strict.admin)
        strict.review(claim, by=strict.admin)
        with strict.unchanged():
            for move in ("approval", "return"):
                problem(strict.admin.post(f"{path}/{move}", headers=ANY), 409, "illegal-move")
            problem(strict.admin.post(f"{path}/assignment", headers=ANY), 409, "illegal-move")
        assert strict.fresh(claim)["verification"]["verdict"] is None
        ok(strict.editor.post(f"{path}/approval", headers=match(strict.fresh(claim))))
        assert strict.fresh(claim)["verification"]["verdict"] == "false"


REACHING_OUT = re.compile(
    r"^\s*(?:from|import)\s+(?:httpx|requests|aiohttp|urllib3|urllib\.request|http\.client|ftplib|smtplib)\b"
    r"|\b(?:create_connection|open_connection|urlopen|urlretrieve|getaddrinfo)\(",
    re.MULTILINE,
)


def test_api7_server_side_request_forgery(room: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard: `addresses` in app/hooks/targets.py. Webhooks alone are sent to, and never inward: neither where
    the address says so, nor where its name does by the time of sending. Any other address that is sent is
    kept, never fetched; and no other file of the code has what it would take.
    """
    reaching = {source.path for source in app_files() if REACHING_OUT.search(source.text)}
    hooks = {"app/hooks/sending.py", "app/hooks/targets.py"}
    assert reaching == {"app/client.py", *hooks}, "the client is for those who ask the server"
    assert not any("app.client" in source.text for source in app_files() if source.path not in reaching)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        here = f"http://127.0.0.1:{listener.getsockname()[1]}"
        source = room.source(f"{here}/article", "A report", language="en")
        ok(room.reporter.post(f"/v1/sources/{source['id']}/snapshots", json={"text": "A text."}))
        claim = room.claim(appearances=[{"source": f"{here}/article"}])
        room.take(claim)
        room.review(claim, evidence=[{"url": f"{here}/proof", "stance": "refutes"}], url=f"{here}/review")
        row = json.dumps({"url": f"{here}/imported", "title": "Imported"})
        headers = {"Content-Type": "application/x-ndjson"}
        ok(room.reporter.post("/v1/import?type=source", content=row, headers=headers))
        _try_inward(room, here, monkeypatch)
        with pytest.raises(BlockingIOError):
            listener.accept()


def _try_inward(room: Newsroom, here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has webhooks lead to an address on this machine, in every way that there is."""
    port = here.rpartition(":")[2]
    for inward in (here, f"https://127.0.0.1:{port}", f"https://[::ffff:7f00:1]:{port}"):
        problem(room.admin.post("/v1/webhooks", json={"url": inward}), 422, "invalid")
    hook = ok(room.admin.post("/v1/webhooks", json={"url": f"https://desk.invalid:{port}"}))
    monkeypatch.setattr(targets, "looked_up", _here)
    room.entity("Told of")
    asyncio.run(Deliveries(room.app.state.house, lambda _taken: None).once())
    ping = ok(room.admin.post(f"/v1/webhooks/{hook['id']}/test"))
    shown = ok(room.admin.get(f"/v1/webhooks/{hook['id']}"))["deliveries"]
    assert {ping["error"], shown["last_error"]} == {"not sent: leads to an address that is not public"}


async def _here(_host: str, _port: int) -> list[str]:
    """What a name leads to that was changed since."""
    return ["127.0.0.1"]


def test_api8_security_misconfiguration(sqlite_bases: SqliteBases, tmp_path: Path) -> None:
    """Guards: SECURITY, the policy and the last resort in app/base/boundary.py, the CORS of
    app/base/middleware.py, and what app/cli.py tells the server. As it is served by default, it
    tells nothing of itself and lets pages of other sites read only.
    """
    with ExitStack() as stack:
        url = stack.enter_context(sqlite_bases.fresh())
        server = stack.enter_context(served(environment(url), tmp_path / "log"))
        client = stack.enter_context(server.client())
        found = client.get("/v1/claims", headers={"Origin": "https://x.example", "Cookie": "a=b"})
        for name in ("server", "x-powered-by", "set-cookie", "access-control-allow-credentials"):
            assert name not in found.headers
        assert found.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in found.headers["content-security-policy"]
        for method in ("POST", "PATCH", "DELETE", "PUT"):
            asked = {"Origin": "https://x.example", "Access-Control-Request-Method": method}
            assert client.options("/v1/claims", headers=asked).status_code == 400
        for method in ("TRACE", "PUT", "DELETE", "PROPFIND"):
            problem(client.request(method, "/v1/claims"), 405)
        tamper(url, "ALTER TABLE entities RENAME TO gone")
        failed = client.get("/v1/entities")
        assert failed.status_code >= 500
        assert not re.search(
            r"Traceback|File \"|sqlite|SELECT|/app/|" + re.escape(str(tmp_path)), failed.text
        )


def test_api9_inventory(room: Newsroom) -> None:
    """Guard: `include_in_schema` of every route under /v1. What is served is documented but for the measures
    and other people's interfaces, nothing else is, and there is one version of it.
    """
    documented = {(operation.method, operation.path) for operation in operations(room)}
    routes = [route for route in room.app.state.routes if isinstance(route, Route)]
    served = {(method, route.path) for route in routes for method in route.methods or ()}
    beside = {(method, path) for method, path in served - documented if not path.startswith(OTHERS)}
    assert beside == {("GET", "/metrics")}
    assert documented <= served
    assert {path.split("/")[1] for _, path in documented} == {"v1"}
    assert {route.path for route in room.app.state.routes} - {path for _, path in served} == OPEN
    for path in NOT_HERE:
        assert room.anyone.get(path).status_code == 404, path


def test_api10_unsafe_consumption(room: Newsroom) -> None:
    """Guard: app/exchange/importer.py, which makes every row of a file a shape before it is written. What
    others send as a file is held to all that a request is held to.
    """
    rows: list[tuple[str, Json]] = [
        ("source", {"url": "javascript:alert(1)", "title": "A"}),
        ("source", {"url": "file:///etc/passwd", "title": "A"}),
        ("source", {"url": "https://example.org/x", "title": "A\x1b[2J"}),
        ("source", {"url": "https://example.org/x", "title": "A", "id": "src_01m87gne0veherp8apm1m6sqm3"}),
        ("entity", {"name": "x" * 501, "kind": "person"}),
        ("entity", {"name": "A", "kind": "god"}),
        ("claim", {"text": "a", "mode": "paraphrase", "speakers": ["A"], "status": "reviewed"}),
        ("claim", {"text": "a", "mode": "paraphrase", "speakers": []}),
    ]
    with room.unchanged():
        for noun, row in rows:
            headers = {"Content-Type": "application/x-ndjson"}
            answer = room.reporter.post(f"/v1/import?type={noun}", content=json.dumps(row), headers=headers)
            problem(answer, 422, "invalid")


def test_the_page_names_each_test_and_its_guards() -> None:
    page = (Path(__file__).parents[1] / "docs" / "security.md").read_text(encoding="utf-8")
    tests = {name for name in globals() if name.startswith("test_api")}
    assert len(tests) == 10
    assert set(re.findall(r"`(test_api\w+)`", page)) == tests
    for name in tests:
        for file in re.findall(r"app/[\w/]+\.py", globals()[name].__doc__):
            assert (Path(__file__).parents[1] / file).exists(), f"{name}: {file}"
