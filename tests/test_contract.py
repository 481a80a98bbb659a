"""What every route keeps to, whatever it is about: the tests find the routes themselves."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from app.base.http import Negotiated, Route
from tests.contract import CALLERS, OTHERS, Operation, asking, operations, places, whole
from tests.newsroom import Json, Newsroom, ok, problem

ENCODINGS = ("identity", "gzip", "br", "zstd")
JSON = {"Content-Type": "application/json"}


# --- what a route says of itself ---------------------------------------------------------------


def test_every_route_has_one_gate_and_says_what_it_does(room: Newsroom) -> None:
    all_of_them = [route for route in room.app.state.routes if isinstance(route, Route)]
    routes = [route for route in all_of_them if not isinstance(route, Negotiated)]  # as another's address
    assert [route.path for route in all_of_them if len(route.gates) != 1] == []
    documented = operations(room)
    told = [route for route in routes if route.include_in_schema]
    beside = {route.path for route in routes if route not in told}
    assert {path for path in beside if not path.startswith(OTHERS)} == {"/metrics"}, "for machines of ours"
    assert len(documented) == sum(len(route.methods or ()) for route in told) > 30
    for operation in documented:
        for what in ("operationId", "tags", "summary", "description"):
            assert operation.document[what], f"{operation} has no {what}"


# --- who may -----------------------------------------------------------------------------------


def test_a_role_that_is_too_low_is_refused_before_the_body_is_looked_at(room: Newsroom) -> None:
    """What a role may, `test_roles.py` has."""
    with room.unchanged():
        for role in CALLERS:
            client: httpx.Client = getattr(room, role or "anyone")
            for operation in operations(room):
                if operation.reads:
                    continue
                answer = client.request(operation.method, operation.nowhere, content=b"{", headers=JSON)
                expected = 415 if operation.takes_files else 400 if operation.schema else 404
                if not operation.allows(role):
                    expected = 403 if role else 401
                assert answer.status_code == expected, f"{operation} as {role}: {answer.text}"
                problem(answer, expected)


def test_a_key_that_has_ended_opens_nothing_at_all(furnished: Newsroom) -> None:
    revoked, token = furnished.key("admin", "Revoked")
    ok(furnished.admin.delete(f"/v1/keys/{revoked}"))
    _, expired = furnished.key("admin", "Expired", expires_at="2020-01-01T00:00:00Z")
    ended = (f"Bearer {token}", f"Bearer {expired}")
    none = ("Bearer otr_unknown", "Bearer", "Basic YTpi", "Bearer é")
    with furnished.unchanged():
        for number, operation in enumerate(operations(furnished)):
            for header in (*ended, none[number % 4]):
                sent = [(b"Authorization", header.encode())]
                answer = furnished.anyone.request(operation.method, operation.nowhere, headers=sent)
                refused = problem(answer, 401, "unauthorized")
                assert answer.headers["www-authenticate"].startswith("Bearer "), f"{operation} with {header}"
                assert token not in str(refused)


# --- lists -------------------------------------------------------------------------------------


def listing(room: Newsroom) -> Iterator[tuple[Operation, str]]:
    """Every list, at an address at which it has some rows."""
    first: dict[str, list[str]] = {}
    for operation in operations(room):
        if operation.lists:
            found = chain(places(room, operation.path, first), places(room, operation.path))
            at = next((at for at in found if len(ok(room.admin.get(asking(at, limit=2)))["data"]) > 1), None)
            assert at is not None, f"{operation} has nothing to page through: see furnish()"
            yield operation, at


def orders(operation: Operation) -> list[dict[str, str]]:
    sorts = operation.query.get("sort", {}).get("enum", [None])
    named = [{"sort": sort} if sort else {} for sort in sorts]
    return [{**sort, "order": order} for sort in named for order in ("asc", "desc")]


def walk(room: Newsroom, at: str, **query: Any) -> list[Json]:
    """A list's rows, page by page, as its answers lead on."""
    rows: list[Json] = []
    following: str | None = asking(at, **query)
    while following:
        answer = room.admin.get(following)
        page = ok(answer)
        assert len(page["data"]) <= query["limit"], following
        rows += page["data"]
        led = answer.links.get("next", {}).get("url")
        cursor = dict(parse_qsl(urlsplit(led or "").query)).get("cursor")
        assert cursor == page["next_cursor"], f"Link and next_cursor differ: {following}"
        following = led
    return rows


def names(rows: list[Json]) -> list[str]:
    """What tells the rows of a list apart."""
    return [str(row.get("id") or row.get("seq") or sorted(row.items(), key=str)) for row in rows]


def test_a_walk_meets_every_row_once_however_long_its_steps(furnished: Newsroom) -> None:
    """In one step, and in three or more: of two rows down and three up, where there are few."""
    for operation, at in listing(furnished):
        whole_lists = []
        for order in orders(operation):
            every = walk(furnished, at, limit=200, **order)
            assert Counter(names(every)).most_common(1)[0][1] == 1, f"{operation} {order} doubles a row"
            step = max(2 if order["order"] == "desc" else 3, len(every) // 3)
            assert walk(furnished, at, limit=step, **order) == every, f"{operation} {order}"
            whole_lists.append(every)
        for up, down in zip(whole_lists[::2], whole_lists[1::2], strict=True):
            assert down == up[::-1], f"{operation} up is not {operation} down reversed"


def test_a_walk_loses_and_doubles_nothing_while_others_write(furnished: Newsroom) -> None:
    # Counts are no records: they change with what is written. So does what a word tells, and with it a rank.
    lists = [(o, at) for o, at in listing(furnished) if {"id", "seq"} & whole(furnished, at)[0].keys()]
    lists = [(o, at) for o, at in lists if o.path != "/v1/search"]
    rounds = [(o, at, order, names(walk(furnished, at, limit=200, **order))) for o, at in lists
              for order in orders(o)]  # fmt: skip
    rounds = [each for each in rounds if len(each[-1]) > 5]  # the others are on one page
    stop: list[bool] = []
    written: list[int] = []

    def write() -> None:
        while not stop:
            written.append(number := len(written))
            furnished.claim(f"Written meanwhile {number}.", about=[furnished.entity(f"New {number}")["id"]])
            source = furnished.source(f"https://example.org/meanwhile/{number}")
            ok(furnished.admin.post(f"/v1/sources/{source['id']}/snapshots", json={"text": f"{number}"}))

    with ThreadPoolExecutor(1) as writer:
        writing = writer.submit(write)
        try:
            while len(written) < 3 and not writing.done():
                time.sleep(0.01)
            for operation, at, order, before in rounds:
                met = names(walk(furnished, at, limit=max(5, len(before) // 2), **order))
                assert Counter(met).most_common(1)[0][1] == 1, f"{operation} {order} doubles a row"
                assert set(before) <= set(met), f"{operation} {order} loses a row"
                assert [name for name in met if name in set(before)] == before, f"{operation} {order}"
        finally:
            stop.append(True)
        writing.result()
    assert len(written) > 3


def test_a_cursor_is_good_for_its_own_question_only(furnished: Newsroom) -> None:
    """One function reads the cursors of all lists: each order of one is sent two that are wrong, in turn."""
    cursors: dict[str, str] = {}
    lists = list(listing(furnished))
    for operation, at in lists:
        for order in orders(operation):
            answer = furnished.admin.get(asking(at, limit=1, **order))
            cursors[asking(at, **order)] = ok(answer)["next_cursor"]
    given = list(cursors.values())
    assert len(set(given)) == len(given)
    for n, (question, own) in enumerate(cursors.items()):
        middle = len(own) // 2
        changed = own[:middle] + ("A" if own[middle] != "A" else "B") + own[middle + 1 :]
        none = (own[:-4], f"{own}AAAA", "x", "", "é")[n // 2 % 5]
        for wrong in (changed, given[n - 1]) if n % 2 else (none, given[n - (2, 7)[n // 2 % 2]]):
            answer = furnished.admin.get(httpx.URL(question).copy_merge_params({"cursor": wrong}))
            assert answer.status_code == 400, f"{question} with {wrong}: {answer.text}"
            problem(answer, 400, "malformed")


def test_a_page_has_from_one_to_as_many_rows_as_is_documented(furnished: Newsroom) -> None:
    malformed = ("-1", "abc", "1e400", "", "9" * 60, "NaN", "1.5", "0x1", "1,2")
    for number, (operation, at) in enumerate(listing(furnished)):
        most = operation.query["limit"]["maximum"]
        assert most == (1000 if at == "/v1/stats" else 200), operation
        for wrong in ("0", str(most + 1), malformed[number % len(malformed)]):
            refused = problem(furnished.admin.get(asking(at, limit=wrong)), 422, "invalid")
            assert refused["errors"][0]["pointer"] == "limit", f"{operation} with limit {wrong}"


def test_a_page_takes_the_same_few_queries_however_long_it_is(furnished: Newsroom) -> None:
    for operation, at in listing(furnished):
        counts = []
        whole(furnished, at)  # what is kept in memory is there
        for limit in (1, 2, 200):
            with furnished.queries() as sent:
                ok(furnished.admin.get(asking(at, limit=limit)))
            counts.append(len(sent))
        if at.startswith("/v1/search"):  # reads what it has found, kind by kind
            assert max(counts) <= 20, f"{operation}: {counts}"
        elif at == "/v1/webhooks":  # looks for how far each is behind, of 100 at most
            assert max(counts) <= 12, f"{operation}: {counts}"
        else:
            # What no row of a page has is not looked for: a single row may have less than two.
            assert counts[2] <= counts[1] <= counts[0] + 1 <= 12, f"{operation}: {counts}"
