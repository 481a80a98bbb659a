"""The work that is measured, each kind with its goal."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from bench.measure import (
    Ask,
    Client,
    Contender,
    Cost,
    Pace,
    Round,
    compare,
    forget_peak,
    peak_memory,
    quietest,
)
from bench.places import House, Place

MB = 1 << 20


@dataclass(frozen=True)
class Goal:
    """What a ratio, or a figure of our own, is to reach."""

    at_least: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return "" if self.at_most is None else f"≤ {self.at_most:g}"

    def reached(self, figure: float | None) -> bool | None:
        """None if there is no goal or no figure."""
        if figure is None or (self.at_least is None and self.at_most is None):
            return None
        return figure >= self.at_least if self.at_least is not None else figure <= (self.at_most or 0)


@dataclass(frozen=True)
class Line:
    """One measurement. `ratio` is what the goal is about; `waits` is the same by waiting time."""

    work: str
    database: str
    claims: int
    ours: str
    against: str = ""
    theirs: str = ""
    ratio: float | None = None
    waits: float | None = None
    goal: Goal = Goal()
    figure: float | None = None
    """What growth is reckoned from: a cost or a size of our own."""

    @property
    def reached(self) -> bool | None:
        """Whether the goal is."""
        return self.goal.reached(self.ratio)


def shown(cost: Cost) -> str:
    """A cost in a cell of a table."""
    database = f" + {cost.database:.2f} in the database" if cost.database else ""
    waits = f"p50 {cost.p50:.2f}, p99 {cost.p99:.2f} ms; {cost.rate:.0f}/s"
    return f"{cost.cpu:.2f} ms{database}; {waits}"


@dataclass(frozen=True)
class Bout:
    """The costs of contenders that took turns at one kind of work; ours are under `ours`."""

    work: str
    place: Place
    costs: Mapping[str, Cost]
    ours: str = "ours"
    whole: bool = False
    """Whether the database's time counts too: then the rival works in the database, or in its stead."""

    def line(self, rival: str, goal: Goal = Goal()) -> Line:
        """This service's cost beside a rival's."""
        ours, theirs = self.costs[self.ours], self.costs[rival]
        ratio = theirs.total / ours.total if self.whole else theirs.cpu / ours.cpu
        return Line(
            self.work,
            self.place.database,
            self.place.claims,
            shown(ours),
            rival,
            shown(theirs),
            ratio,
            theirs.p50 / ours.p50,
            goal,
            ours.total,
        )


def not_there(work: str, place: Place, why: object = "") -> Line:
    """A line for what does not exist, or not yet."""
    return Line(work, place.database, place.claims, f"not there{f' ({why})' if str(why) else ''}")


def failed(work: str, place: Place, fault: Exception) -> Line:
    """A line for what went wrong."""
    said = " ".join(str(fault).split())[:300]
    return Line(work, place.database, place.claims, f"failed: {type(fault).__name__}: {said}")


# --- reads -------------------------------------------------------------------------------------


def one_claim(house: House, pace: Pace) -> Iterator[Line]:
    """A whole claim, its id drawn at random."""
    place, asks = house.place, house.draws.claims
    bare = [Ask(ask.path, holds=b'"id"') for ask in asks]
    costs = compare(
        {
            "ours": Contender(house.ours, asks, place.backends),
            "afternoon": Contender(house.afternoon, asks, place.backends),
            "bare FastAPI": Contender(house.fastapi, bare),
            "bare Starlette": Contender(house.starlette, bare),
        },
        pace,
    )
    bout = Bout("one claim", place, costs)
    yield bout.line("afternoon", Goal(at_least=10))
    yield bout.line("bare FastAPI", Goal(at_least=0.6))
    yield bout.line("bare Starlette")


def page(house: House, pace: Pace) -> Iterator[Line]:
    """The newest 20 claims of a speaker and status; asked again, they have not changed."""
    place, asks = house.place, house.draws.pages
    check_pages(house, asks[:20])
    bare = [Ask(ask.path, holds=b'"id"') for ask in asks]
    costs = compare(
        {
            "ours": Contender(house.ours, asks, place.backends),
            "full": Contender(house.ours, house.draws.full_pages, place.backends),
            "again": Contender(house.ours, _again(house, asks[:100]), place.backends),
            "afternoon": Contender(house.afternoon, asks, place.backends),
            "bare FastAPI": Contender(house.fastapi, bare),
            "bare Starlette": Contender(house.starlette, bare),
        },
        pace,
    )
    bout = Bout("page of 20 by speaker and status", place, costs)
    yield bout.line("afternoon", Goal(at_least=10))
    yield bout.line("bare FastAPI", Goal(at_least=0.4))
    yield bout.line("bare Starlette")
    again = Bout("the same page with its ETag (304)", place, costs, ours="again")
    yield again.line("bare FastAPI", Goal(at_least=0.75))
    full = costs["full"]
    yield Line("full page", place.database, place.claims, shown(full), figure=full.total)


def check_pages(house: House, asks: Sequence[Ask]) -> None:
    """Raises AssertionError unless the afternoon's pages have the same claims in the same order."""
    with Client(house.ours.url) as ours, Client(house.afternoon.url) as theirs:
        for ask in asks:
            mine = [claim["id"] for claim in orjson.loads(ours.get(ask).body)["data"]]
            other = [claim["id"] for claim in orjson.loads(theirs.get(ask).body)]
            assert mine == other, ask.path


def _again(house: House, asks: Sequence[Ask]) -> list[Ask]:
    with Client(house.ours.url) as client:
        tags = [client.get(ask).header("etag") for ask in asks]
    return [
        Ask(ask.path, 304, headers=(("If-None-Match", tag),)) for ask, tag in zip(asks, tags, strict=True)
    ]


def deep_pages(house: House, pace: Pace) -> Iterator[Line]:
    """Page 51 and page 1001 of a long list, beside the first."""
    place, first = house.place, "/v1/claims?status=unverified&limit=20"
    asks = {"first page": Ask(first, holds=b'"id"')}
    with Client(house.ours.url) as client:
        cursor, walked = "", 0
        while cursor is not None and walked < 20_000:
            step = f"/v1/claims?status=unverified&limit=200{f'&cursor={cursor}' if cursor else ''}"
            cursor = orjson.loads(client.get(Ask(step)).body)["next_cursor"]
            walked += 200
            if cursor and walked in (1_000, 20_000):
                asks[f"page {walked // 20 + 1}"] = Ask(f"{first}&cursor={cursor}", holds=b'"id"')
    costs = compare({name: Contender(house.ours, [ask], place.backends) for name, ask in asks.items()}, pace)
    for name in list(asks)[1:]:
        deep, start = costs[name], costs["first page"]
        ratio, waits = deep.total / start.total, deep.p50 / start.p50
        goal = Goal(at_most=1.5)
        cells = (name, place.database, place.claims, shown(deep), "first page", shown(start))
        yield Line(*cells, ratio, waits, goal)


# --- search and counts -------------------------------------------------------------------------


def search(house: House, pace: Pace) -> Iterator[Line]:
    """Two words, the first 20 claims: words that hardly any claim has, and words that many have."""
    place = house.place
    probe = "/v1/search?q=the&kind=claim&limit=20"
    with Client(house.ours.url) as client:
        answer = client.send(Ask(probe).on_wire(client.host))
    if answer.status != 200:
        yield not_there("search", place, answer.status)
        return
    if house.datasette is None:
        yield not_there("search against Datasette", place, "Datasette is not installed")
    contenders = {}
    for name, words in (("rare", house.draws.rare), ("common", house.draws.common)):
        asks = [
            Ask(f"/v1/search?q={a}+{b}&kind=claim&limit=20", holds=key.encode() or b'"id"')
            for a, b, key in words
        ]
        contenders[name] = Contender(house.ours, asks, place.backends)
        if house.datasette:
            options = "_size=20&_shape=array&_nocount=1&_nofacet=1&_nosuggest=1"
            paths = [(f"/search/claims.json?_search={a}+{b}&{options}", key) for a, b, key in words]
            theirs = [Ask(path, holds=key.encode() or b'"id"') for path, key in paths]
            contenders[f"Datasette, {name}"] = Contender(house.datasette, theirs)
    costs = compare(contenders, pace)
    for name in ("rare", "common"):
        if house.datasette:
            bout = Bout(f"search, two {name} words", place, costs, ours=name, whole=True)
            yield bout.line(f"Datasette, {name}", Goal(at_least=4))
    common, rare = costs["common"], costs["rare"]
    cells = ("search, p99 of common words", place.database, place.claims, shown(common), "rare words")
    goal = Goal(at_most=10)
    yield Line(*cells, shown(rare), common.p99 / rare.p99, common.p50 / rare.p50, goal)


COUNTS = {
    ("status",): "SELECT status, count(*) FROM claims WHERE status <> 'withdrawn' GROUP BY 1",
    (
        "status",
        "verdict",
    ): "SELECT status, verdict, count(*) FROM claims WHERE status <> 'withdrawn' GROUP BY 1, 2",
    ("status", "speaker"): """SELECT status, entity_id, count(*) FROM claims
        LEFT JOIN claim_speakers ON claim_id = claims.id WHERE status <> 'withdrawn' GROUP BY 1, 2""",
    ("verdict", "topic"): """SELECT verdict, topic, count(*) FROM claims
        LEFT JOIN claim_topics ON claim_id = claims.id WHERE status <> 'withdrawn' GROUP BY 1, 2""",
}
"""What a dashboard asks, and the plain SQL for it."""


def counts(house: House, pace: Pace) -> Iterator[Line]:
    """Counts for a dashboard, the hundred largest, beside a plain GROUP BY without HTTP. All of them are
    compared, and must be the same.
    """
    place = house.place
    for by, statement in COUNTS.items():
        ask = Ask("/v1/stats?" + urlencode([("by", name) for name in by]), holds=b'"claims"')
        work = f"counts by {' and '.join(by)}"
        with Client(house.ours.url) as client:
            answer = client.send(ask.on_wire(client.host))
            if answer.status != 200:
                yield not_there(work, place, answer.status)
                continue
            counted = dict(_all_counts(client, by))
        plain, rows = _plain(place, statement, pace)
        assert counted == {tuple(row[:-1]): row[-1] for row in rows}, f"{work} differ from GROUP BY"
        ours = compare({"ours": Contender(house.ours, [ask], place.backends)}, pace)["ours"]
        bout = Bout(work, place, {"ours": ours, "GROUP BY": plain}, whole=True)
        # Counting few claims costs less than asking over HTTP, so the goal is of large bases.
        yield bout.line("GROUP BY", Goal(at_least=10 if place.claims >= 1_000_000 else None))


def _all_counts(client: Client, by: Sequence[str]) -> Iterator[tuple[tuple[str | None, ...], int]]:
    asked, cursor = [("by", name) for name in by] + [("limit", "1000")], None
    while True:
        query = urlencode([*asked, *([("cursor", cursor)] if cursor else [])])
        page = orjson.loads(client.get(Ask(f"/v1/stats?{query}")).body)
        for row in page["data"]:
            yield tuple(row[name] for name in by), row["claims"]
        if (cursor := page["next_cursor"]) is None:
            return


def _plain(place: Place, statement: str, pace: Pace) -> tuple[Cost, list[Any]]:
    """What the hundred largest cost, and all of them."""
    connection, done = place.connect(), []
    largest = f"{statement} ORDER BY count(*) DESC LIMIT 100"
    for _ in range(pace.rounds):
        waits: list[float] = []
        cpu, database = time.process_time(), place.backends()
        while len(waits) < 3 or sum(waits) < pace.seconds:
            now = time.perf_counter()
            connection.execute(largest).fetchall()
            waits.append(time.perf_counter() - now)
        done.append(Round(waits, time.process_time() - cpu, place.backends() - database))
    rows = connection.execute(statement).fetchall()
    connection.close()
    return quietest(done), rows


# --- memory and growth -------------------------------------------------------------------------


def memory(house: House, _pace: Pace) -> Iterator[Line]:
    """What the server has had in memory at most, under all that went before."""
    peak = peak_memory(house.ours.process.pid) / MB
    cells = ("memory of the server under load", house.place.database, house.place.claims, f"{peak:.0f} MB")
    yield Line(*cells, ratio=peak, goal=Goal(at_most=200), figure=peak)
    forget_peak(house.ours.process.pid)


GROWTH = {"one claim": 1.5, "full page": 1.5, "export by the command: memory": 1.3}
"""What must not grow with the base by more than this."""


def growth(lines: Sequence[Line]) -> Iterator[Line]:
    """The cost in the largest base beside that in the smallest."""
    for work, most in GROWTH.items():
        for database in dict.fromkeys(line.database for line in lines):
            found = {
                line.claims: line
                for line in reversed(lines)
                if (line.work, line.database) == (work, database) and line.figure
            }
            if len(found) > 1:
                small, large = found[min(found)], found[max(found)]
                ratio = (large.figure or 0) / (small.figure or 1)
                cells = (f"{work}, grown", database, large.claims, large.ours, f"{small.claims} claims")
                yield Line(*cells, small.ours, ratio, goal=Goal(at_most=most))
