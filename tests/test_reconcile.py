"""The Reconciliation Service API 0.2, asked as OpenRefine and the client `reconciler` ask it."""

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pandas
import pytest
from reconciler import reconcile
from text_unidecode import unidecode

from app.access.requests import May, Read
from app.base.db import ReadSession
from app.base.errors import Unavailable
from app.compat.reconcile import BATCH
from tests.newsroom import Json, Newsroom, match, ok, problem
from tests.served import environment, served

AT = "/reconcile"
ROUTES = (AT, "/suggest/entity", "/suggest/type", "/suggest/property", "/preview", "/flyout", "/properties")

# --- what the specification holds its answers to ------------------------------------------------
# Written after its text (https://www.w3.org/community/reports/reconciliation/CG-FINAL-specs-0.2-20230410/)
# and as strict as its schemas.


def shape(*required: str, **members: Any) -> Json:
    return {"type": "object", "properties": members, "required": list(required)}


def listed(items: Json) -> Json:
    return {"type": "array", "items": items}


def each_of(value: Json) -> Json:
    return {"type": "object", "additionalProperties": value}


TEXT: Json = {"type": "string"}
TYPE = shape("id", "name", id={"type": "string", "minLength": 1}, name={"type": "string", "minLength": 1})
FEATURE = shape("id", "value", id=TEXT, value={"type": ["boolean", "number"]})
CANDIDATE = shape(
    "id", "name", "score", "type", "features", "match",
    id=TEXT, name=TEXT, description=TEXT, score={"type": "number"}, match={"type": "boolean"},
    type=listed(TYPE), features=listed(FEATURE),
)  # fmt: skip
RESULTS = each_of(shape("result", result=listed(CANDIDATE)))
SUGGESTIONS = shape(
    "result", result=listed(shape("id", "name", id=TEXT, name=TEXT, description=TEXT, notable=listed(TYPE)))
)
WITH_ID = {"type": "string", "pattern": r"\{\{id\}\}"}
SUGGEST = shape(
    "service_url", "service_path", service_url={"type": "string", "pattern": "^https?://[^/]+$"},
    service_path=TEXT, flyout_service_url=TEXT,
    flyout_service_path={"type": "string", "pattern": r"\$\{id\}"},
)  # fmt: skip
MANIFEST = shape(
    "versions", "name", "identifierSpace", "schemaSpace",
    versions={"type": "array", "items": TEXT, "contains": {"enum": ["0.2"]}},
    name=TEXT, identifierSpace=TEXT, schemaSpace=TEXT, documentation=TEXT, serviceVersion=TEXT,
    defaultTypes={**listed(TYPE), "uniqueItems": True}, batchSize={"type": "integer"},
    view=shape("url", url=WITH_ID),
    preview=shape(
        "url", "width", "height", url=WITH_ID, width={"type": "integer"}, height={"type": "integer"}
    ),
    suggest=shape("entity", "type", "property", entity=SUGGEST, type=SUGGEST, property=SUGGEST),
    extend=shape("propose_properties", propose_properties=shape("service_url", "service_path")),
    authentication=shape("type", "name", type={"enum": ["apiKey"]}, name=TEXT),
)  # fmt: skip
VALUE = {
    "oneOf": [
        {**shape("str", str=TEXT), "additionalProperties": False},
        {**shape("id", "name", id=TEXT, name=TEXT), "additionalProperties": False},
    ]
}
EXTENSION = shape(
    "meta", "rows", meta=listed(shape("id", "name", id=TEXT, name=TEXT, type=TYPE)),
    rows=each_of(each_of(listed(VALUE))),
)  # fmt: skip
PROPOSAL = shape("properties", properties=listed(TYPE), type=TEXT, limit={"type": "number"})


def test_the_manifest_says_what_there_is_and_its_addresses_answer(seeded: Newsroom) -> None:
    manifest = ok(seeded.anyone.get(AT))
    jsonschema.validate(manifest, MANIFEST)
    assert [each["id"] for each in manifest["defaultTypes"]][-1] == "source"
    putin = seeded.get("/v1/entities/vladimir-putin")["id"]
    for kind, some in (("entity", putin), ("type", "person"), ("property", "wikidata")):
        at = manifest["suggest"][kind]
        found = ok(seeded.anyone.get(at["service_url"] + at["service_path"], params={"prefix": some}))
        jsonschema.validate(found, SUGGESTIONS)
        assert found["result"][0]["id"] == some
        flyout = at["flyout_service_url"] + at["flyout_service_path"].replace("${id}", some)
        assert ok(seeded.anyone.get(flyout)).keys() == {"id", "html"}
    proposed = manifest["extend"]["propose_properties"]
    where = proposed["service_url"] + proposed["service_path"]
    answer = ok(seeded.anyone.get(where, params={"type": "person", "limit": 3}))
    jsonschema.validate(answer, PROPOSAL)
    assert len(answer["properties"]) == answer["limit"] == 3
    of_sources = {
        each["id"] for each in ok(seeded.anyone.get(where, params={"type": "source"}))["properties"]
    }
    assert of_sources == {"kind", "url", "publisher", "published"}


def test_a_preview_may_be_framed_and_shows_what_was_written_as_text(room: Newsroom) -> None:
    named = room.entity("<script>alert(1)</script>", "concept", description='"><img src=x>')
    template = ok(room.anyone.get(AT))["preview"]["url"]
    page = room.anyone.get(template.replace("{{id}}", named["id"]), headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "frame-ancestors *" in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    assert "<img" not in page.text
    assert f"/v1/entities/{named['id']}" in page.text
    flyout = ok(room.anyone.get(f"{AT}/flyout", params={"id": named["id"]}))
    assert "<script" not in flyout["html"]
    twin = room.entity("Its twin", "concept")
    ok(room.admin.post(f"/v1/entities/{twin['id']}/merge", headers=match(twin), json={"into": named["id"]}))
    merged = room.anyone.get(f"{AT}/preview", params={"id": twin["id"]})
    assert f"/v1/entities/{named['id']}" in merged.text, "what was reconciled before a merge leads on"


def ask(room: Newsroom, **queries: Any) -> dict[str, list[Json]]:
    """The candidates of each query, sent as a form."""
    answer = ok(room.anyone.post(AT, data={"queries": json.dumps(queries)}))
    jsonschema.validate(answer, RESULTS)
    return {key: found["result"] for key, found in answer.items()}


def one(room: Newsroom, query: str, **more: Any) -> list[Json]:
    return ask(room, q0={"query": query, **more})["q0"]


def slug(room: Newsroom, candidate: Json) -> str:
    return str(room.get(f"/v1/entities/{candidate['id']}")["slug"])


def features(candidate: Json) -> Json:
    return {each["id"]: each["value"] for each in candidate["features"]}


# --- 500 dirty names ---------------------------------------------------------------------------

TITLES = ("President", "Mr.", "Dr", "Prof.", "Foreign Minister", "Former President")
NOBODY = (
    "Vladimir Petrov", "Power of Siberia 3", "South Stream", "Xi Zhongxun", "Alexander Nowicki", "Yu Hua",
    "Jie Zhang", "Volodymyr Groysman", "M. Putina", "Lyudmila Putina", "Yang Jiechi", "New York Post",
    "Royal Institute of Technology", "East Asia Institute", "Western Europe", "Kyivstar", "Moscow Times",
    "Australian Open", "Inner Mongolia", "European Unity", "Foreign Affairs", "The Pacific", "NAFTA",
    "Annexation of Crimea, 1783", "China's 14-point position paper on Ukraine",
)  # fmt: skip


def dirty(name: str, kind: str) -> Iterator[str]:
    """A name as lists have it: in capitals, with titles, the other way round, shortened, mistyped."""
    words = name.split()
    yield from (name.upper(), f"  {name.lower()} ", f"“{name}”", name.replace(" ", "  ") + ".")
    if kind == "person" and len(words) > 1 and name.isascii():
        first, *_, last = words
        yield from (f"{title} {name}" for title in TITLES)
        yield from (
            f"{last}, {first}",
            f"{last.upper()} {first}",
            f"{first[0]}. {last}",
            f"{last} {first[0]}.",
        )
    for place, word in enumerate(words):
        if len(word) > 6 and word.isascii() and word.isalpha():
            middle = len(word) // 2
            head, letter, tail = word[:middle], word[middle], word[middle + 1 :]
            for typo in (head + tail, head + letter + "k" + tail, head + tail[:1] + letter + tail[1:]):
                yield " ".join([*words[:place], typo, *words[place + 1 :]])


def meant() -> Iterator[tuple[str, str]]:
    """Dirty names over the seed's entities, and the slug of whom each was made of."""
    seed = Path(__file__).parents[1] / "seed" / "entities.ndjson"
    rows = [json.loads(line) for line in seed.read_text(encoding="utf-8").splitlines()]
    made = []
    for row in rows:
        entity = row.get("entity", row)
        aliases = [alias["name"] for alias in entity.get("aliases", [])]
        names = [*dirty(entity["name"], entity["kind"]), *aliases]
        names += [unidecode(alias) for alias in aliases if not alias.isascii() and len(alias) > 3]
        made.append([(text, entity["slug"]) for text in names])
    every = (pair for some in itertools.zip_longest(*made) for pair in some if pair is not None)
    yield from dict.fromkeys(every)


LIST = list(meant())


def test_a_list_of_500_dirty_names_is_matched_in_one_batch(seeded: Newsroom) -> None:
    names = LIST[: 500 - len(NOBODY)]
    queries = {f"q{n}": {"query": text} for n, (text, _) in enumerate(names)}
    queries |= {f"nobody{n}": {"query": text} for n, text in enumerate(NOBODY)}
    assert len(queries) == 500
    began = time.monotonic()
    answer = ask(seeded, **queries)
    assert time.monotonic() - began < 10
    slugs = {each["id"]: each["slug"] for each in seeded.get("/v1/entities", limit=200)["data"]}
    first = matched = 0
    wrong: list[tuple[str, str | None, str]] = []
    for n, (text, whose) in enumerate(names):
        for best in answer[f"q{n}"][:1]:
            right = slugs.get(best["id"]) == whose
            first, matched = first + right, matched + (right and best["match"])
            if best["match"] and not right:
                wrong.append((text, whose, best["name"]))
    wrong += [(text, None, each["name"]) for n, text in enumerate(NOBODY) for each in answer[f"nobody{n}"]
              if each["match"]]  # fmt: skip
    assert wrong == []
    assert first / len(names) >= 0.9
    assert matched / len(names) >= 0.8


def test_a_batch_takes_a_few_statements_however_long_it_is(seeded: Newsroom) -> None:
    counts = []
    for size in (1, 10, 400):
        queries = {f"q{n}": {"query": text} for n, (text, _) in enumerate(LIST[:size])}
        with seeded.queries() as sent:
            ask(seeded, **queries)
        counts.append(len(sent))
    assert counts[-1] <= 26 + 20, f"one for each letter that unknown words begin with: {counts}"
    answer = ask(seeded, **{f"q{n}": {"query": text} for n, (text, _) in enumerate(LIST[:40])})
    for n, (text, _) in enumerate(LIST[:40:8]):
        assert answer[f"q{n * 8}"] == one(seeded, text), "a query finds the same alone"


# --- one name ----------------------------------------------------------------------------------


MATCHED = (
    ("Vladimir Putin", "vladimir-putin", "name_exact"),
    ("Путин", "vladimir-putin", "name_alias"),
    ("Putin, Vladimir", "vladimir-putin", "name_reordered"),
    ("Wladimir Putin", "vladimir-putin", "name_transliterated"),
    ("Sila Sibiri 2", "power-of-siberia-2", "name_transliterated"),
    ("V. V. Putin", "vladimir-putin", "name_initials"),
    ("В. Путин", "vladimir-putin", "name_initials"),
    ("Vladmir Putin", "vladimir-putin", "name_typo"),
    ("President Xi", "xi-jinping", "title_dropped"),
    ("Russian President Vladimir Putin", "vladimir-putin", "title_dropped"),
    ("Vladimir Putin, President", "vladimir-putin", "title_dropped"),
    ("Belt & Road Initiative", "belt-and-road-initiative", "name_transliterated"),
    ("习近平主席", "xi-jinping", "title_dropped"),
    ("President of Ukraine Zelensky", "volodymyr-zelenskiy", "title_dropped"),
    ("wikidata:Q7747", "vladimir-putin", "identifier"),
    ("Q15031", "xi-jinping", "identifier"),
    ("Power of Siberia", "power-of-siberia", "name_exact"),
    ("Power of Siberia 2", "power-of-siberia-2", "name_exact"),
)


def test_a_name_is_matched_and_the_score_says_why(seeded: Newsroom) -> None:
    answer = ask(seeded, **{query: {"query": query} for query, *_ in MATCHED})
    for query, whom, why in MATCHED:
        best, *others = answer[query]
        assert (slug(seeded, best), best["match"], features(best)[why]) == (whom, True, True), query
        assert not any(each["match"] for each in others), query
        scores = [each["score"] for each in answer[query]]
        assert scores == sorted(scores, reverse=True), query


def test_what_may_be_another_is_offered_and_not_matched(seeded: Newsroom) -> None:
    doubtful = ("Moscow", "Kremlin", "Power of Sibria", "Power of Siberia 3", "Vladimir", "Vladimir P.",
                "Putina", "Aide to President Putin", "Putin spokesman")  # fmt: skip
    for query, found in ask(seeded, **{query: {"query": query} for query in doubtful}).items():
        assert found, query
        assert [each["name"] for each in found if each["match"]] == [], query


def test_neighbours_are_told_apart(room: Newsroom) -> None:
    for name in ("North Korea", "Australia", "Nord Stream", "People's Bank of China", "Ivanovo", "Slovenia"):
        room.entity(name, "concept")
    for other in ("South Korea", "Austria", "Nord Stream 2", "Bank of China", "Ivanova", "Slovakia", "Korea"):
        assert [each["name"] for each in one(room, other) if each["match"]] == [], other
    for name in ("South Korea", "Austria", "Nord Stream 2"):
        room.entity(name, "concept")
        assert [each["name"] for each in one(room, name) if each["match"]] == [name]
    room.entity("Austria", "place")
    assert [each["match"] for each in one(room, "Austria")[:2]] == [False, False], "namesakes"
    [best, *_] = one(room, "Austria", type="place")
    assert (best["match"], best["type"]) == (True, [{"id": "place", "name": "Place"}])


def test_types_restrict_or_weigh(seeded: Newsroom) -> None:
    assert [slug(seeded, each) for each in one(seeded, "Moscow", type="place") if each["match"]] == ["moscow"]
    assert {each["type"][0]["id"] for each in one(seeded, "Moscow", type=["place", "country"])} == {
        "place",
        "country",
    }
    assert one(seeded, "Moscow", type=["place", "country"], type_strict="all") == []
    best, second, *_ = one(seeded, "Moscow", type="country", type_strict="should")
    assert (slug(seeded, best), features(best)["type"]) == ("russia", True)
    assert (slug(seeded, second), features(second)["type"]) == ("moscow", False)
    assert len(one(seeded, "Moscow", limit=1)) == 1
    assert one(seeded, "Moscow", type="person") == []


def test_properties_raise_the_score_and_contradict(seeded: Newsroom) -> None:
    def known(pid: str, value: Any, query: str = "Moscow") -> list[Json]:
        return one(seeded, query, properties=[{"pid": pid, "v": value}])

    [moscow, *others] = known("kind", "place")
    assert (slug(seeded, moscow), moscow["match"]) == ("moscow", True)
    [russia] = [each for each in others if each["name"] == "Russia"]
    assert (features(moscow)["property:kind"], features(russia)["property:kind"]) == (100, 0)
    assert [slug(seeded, each) for each in known("wikidata", "Q159") if each["match"]] == ["russia"]
    assert not any(each["match"] for each in known("wikidata", "Q15031", "Vladimir Putin"))
    assert features(known("wikidata", "Q15031", "Vladimir Putin")[0])["contradicted"]
    china = seeded.get("/v1/entities/china")["id"]
    [xi, *_] = known("affiliation", {"id": china, "name": "China"}, "Xi")
    assert (features(xi)["property:affiliation"], xi["match"]) == (100, True)
    address = "http://www.wikidata.org/entity/Q7747"
    [putin] = ask(seeded, q={"properties": [{"pid": "wikidata", "v": [address, ""]}]})["q"]
    assert (slug(seeded, putin), putin["match"]) == ("vladimir-putin", True)
    twice = [{"pid": "wikidata", "v": "Q7747"}, {"pid": "wikidata", "v": "Q0"}]
    assert ask(seeded, q={"properties": twice})["q"][0]["match"], "any of the values"
    [putin] = ask(seeded, q={"properties": [{"pid": "slug", "v": "vladimir-putin"}]})["q"]
    assert putin["match"]


def test_an_id_finds_its_record_and_a_merged_one_where_it_went(room: Newsroom) -> None:
    kept, twin = room.entity("The Hague", "place"), room.entity("Den Haag", "place")
    assert one(room, kept["id"])[0]["id"] == kept["id"]
    ok(room.admin.post(f"/v1/entities/{twin['id']}/merge", headers=match(twin), json={"into": kept["id"]}))
    assert [each["id"] for each in one(room, twin["id"])] == [kept["id"]]
    assert [(each["id"], each["match"]) for each in one(room, "Den Haag")] == [(kept["id"], True)]


def test_sources_are_found_by_title_and_address(seeded: Newsroom) -> None:
    [source] = seeded.get("/v1/sources")["data"]
    for query in (
        source["title"],
        source["title"].upper(),
        source["url"],
        f"{source['url']}#part",
        source["id"],
    ):
        best = one(seeded, query)[0]
        assert (best["id"], best["match"], best["type"][0]["id"]) == (source["id"], True, "source"), query
    assert {each["type"][0]["id"] for each in one(seeded, "Xi Putin meeting", type="source")} == {"source"}
    known = {"pid": "publisher", "v": "RFE/RL"}
    best = one(seeded, source["title"], type="source", properties=[known, {"pid": "published", "v": "2023"}])[
        0
    ]
    assert features(best)["property:publisher"] == features(best)["property:published"] == 100


# --- as OpenRefine asks ------------------------------------------------------------------------


def test_openrefine_guesses_types_reconciles_and_extends(seeded: Newsroom) -> None:
    guessing = {f"q{n}": {"query": name, "limit": 3} for n, name in enumerate(("Xi", "V. Putin", "Novak"))}
    guessed = {
        each["type"][0]["id"] for some in ask(seeded, **guessing).values() for each in some if each["match"]
    }
    assert guessed == {"person"}
    query = {
        "query": "Putin", "type": "person", "type_strict": "should", "limit": 5,
        "properties": [{"pid": "title", "v": "President of Russia"}],
    }  # fmt: skip
    [best, *_] = ask(seeded, q0=query)["q0"]
    assert best["match"]
    wanted = {
        "ids": [best["id"], "nobody"],
        "properties": [{"id": "wikidata"}, {"id": "affiliation", "settings": {"limit": 1}}, {"id": "alias"}],
    }
    answer = ok(seeded.anyone.post(AT, data={"extend": json.dumps(wanted)}))
    jsonschema.validate(answer, EXTENSION)
    assert answer["rows"][best["id"]]["wikidata"] == [{"str": "Q7747"}]
    assert answer["rows"][best["id"]]["affiliation"][0]["name"] == "Russia"
    assert {"str": "Путин"} in answer["rows"][best["id"]]["alias"]
    assert answer["rows"]["nobody"] == {"wikidata": [], "affiliation": [], "alias": []}
    same = seeded.anyone.get(AT, params={"extend": json.dumps(wanted), "callback": "jQuery1", "_": "1"})
    assert ok(same) == answer, "JSONP is not spoken: what asks for it gets JSON"
    got = ok(seeded.anyone.get(AT, params={"queries": json.dumps({"q0": query})}))
    assert got["q0"]["result"][0] == best


def test_openrefine_s_box_is_given_what_begins_as_typed(seeded: Newsroom) -> None:
    def typed(prefix: str, **more: Any) -> list[str]:
        sent = {"prefix": prefix, "spell": "always", "type_strict": "should", "callback": "jQuery1", **more}
        found = ok(seeded.anyone.get(f"{AT}/suggest/entity", params=sent))
        jsonschema.validate(found, SUGGESTIONS)
        return [each["name"] for each in found["result"]]

    assert set(typed("Power of S")) >= {"Power of Siberia", "Power of Siberia 2"}
    assert typed("Пути")[0] == "Vladimir Putin"
    assert typed("puti")[0] == "Vladimir Putin"
    assert "Moscow" not in typed("mosc", type="country")
    assert typed("What did the") == ["What Did The Xi-Putin Meeting In Moscow Achieve?"]
    assert typed("") == typed("?") == typed("zzz") == []
    every = typed("a")
    assert typed("a", cursor=2) == every[2:]


def test_pages_of_other_sites_may_ask(seeded: Newsroom) -> None:
    origin = {"Origin": "https://refine.example"}
    form = seeded.anyone.post(AT, data={"queries": '{"q0": {"query": "Xi"}}'}, headers=origin)
    assert form.headers["access-control-allow-origin"] == "*"
    for path in ROUTES:
        path = path if path == AT else AT + path
        answer = seeded.anyone.get(path, headers=origin)
        assert answer.headers["access-control-allow-origin"] == "*", path
    asked = {
        **origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    allowed = seeded.anyone.options(AT, headers=asked)
    assert allowed.status_code == 204
    assert "POST" in allowed.headers["access-control-allow-methods"]
    assert seeded.anyone.options("/v1/claims", headers=asked).status_code == 400, "where a POST writes"


def test_without_public_reading_it_takes_a_key_and_says_so(seeded: Newsroom) -> None:
    data = {"queries": '{"q0": {"query": "Xi"}}'}
    with seeded.with_settings(public_reading=False) as private:
        problem(private.anyone.post(AT, data=data), 401)
        problem(private.anyone.get(AT), 401)
        assert ok(private.reader.post(AT, data=data))["q0"]["result"]
        manifest = ok(private.reader.get(AT))
        jsonschema.validate(manifest, MANIFEST)
        assert manifest["authentication"]["in"] == "header"


def test_a_form_is_still_there_when_a_standby_fails_and_the_primary_is_asked(
    seeded: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = [True]
    enter = Read.__enter__

    def away_at_first(read: Read) -> ReadSession:
        if fails:
            fails.clear()
            raise Unavailable("The standby is away.")
        return enter(read)

    monkeypatch.setattr(Read, "__enter__", away_at_first)
    monkeypatch.setattr(May, "retreat", lambda *_: True)
    assert one(seeded, "V. Putin")[0]["match"]
    assert not fails


def test_a_name_is_matched_as_of_an_earlier_moment(room: Newsroom) -> None:
    before = room.state()
    room.entity("The Hague", "place")
    data = {"queries": json.dumps({"q0": {"query": "The Hague"}})}
    assert ok(room.anyone.post(AT, data=data))["q0"]["result"]
    assert ok(room.anyone.post(f"{AT}?as_of={before}", data=data))["q0"]["result"] == []


# --- what cannot be asked ----------------------------------------------------------------------

WRONG: Sequence[tuple[int, str, str]] = (
    (400, "queries", "{"),
    (400, "queries", '{"q0": {"query": "a"}, "q0": {"query": "b"}}'),
    (400, "queries", '{"q0": {"query": "a", "limit": NaN}}'),
    (400, "queries", "[" * 100_000),
    (422, "queries", "[]"),
    (422, "queries", "null"),
    (422, "queries", '{"q0": null}'),
    (422, "queries", '{"q0": {}}'),
    (422, "queries", '{"q0": {"query": 1}}'),
    (422, "queries", '{"q0": {"query": "a", "limit": 0}}'),
    (422, "queries", '{"q0": {"query": "a", "limit": 1.5}}'),
    (422, "queries", '{"q0": {"query": "a", "type": "persn"}}'),
    (422, "queries", '{"q0": {"query": "a", "type": ["persn", "person"]}}'),
    (422, "queries", '{"q0": {"query": "a", "type_strict": "some"}}'),
    (422, "queries", '{"q0": {"query": "a", "properties": [{"pid": "colour", "v": "red"}]}}'),
    (422, "queries", '{"q0": {"query": "a", "properties": [{"pid": "kind"}]}}'),
    (422, "queries", '{"q0": {"query": "a", "properties": [{"pid": "kind", "v": null}]}}'),
    (422, "queries", '{"q0": {"query": "a", "unknown": 1}}'),
    (422, "queries", '{"q0": {"query": "a\\u0000"}}'),
    (422, "queries", '{"q0": {"query": "\\ud800"}}'),
    (422, "queries", json.dumps({"q0": {"query": "a" * 2001}})),
    (422, "extend", "[]"),
    (422, "extend", '{"ids": ["a"]}'),
    (422, "extend", '{"ids": ["a"], "properties": [{"id": "colour"}]}'),
    (422, "nothing", "{}"),
    (413, "queries", json.dumps({str(n): {"query": "a"} for n in range(BATCH + 1)})),
    (413, "extend", json.dumps({"ids": ["a"] * (BATCH + 1), "properties": []})),
)


def test_what_is_wrong_is_refused_and_named(seeded: Newsroom) -> None:
    with seeded.unchanged():
        for status, field, sent in WRONG:
            answer = seeded.anyone.post(AT, data={field: sent})
            refused = problem(answer, status)
            assert status != 422 or refused["errors"], sent
    refused = problem(
        seeded.anyone.post(AT, data={"queries": '{"a/b": {"query": "x", "type": "persn"}}'}), 422
    )
    assert refused["errors"][0]["pointer"] == "/a~1b/type"
    assert "did you mean 'person'" in refused["detail"]


def test_a_body_that_is_no_form_and_an_address_that_is_none(seeded: Newsroom) -> None:
    client = seeded.anyone
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    problem(client.post(AT), 422)
    problem(client.post(AT, json={"queries": {}}), 415)
    problem(client.post(AT, files={"queries": b"{}"}), 415)
    problem(client.post(AT, content=b"queries=%ff", headers=form), 400)
    problem(client.post(AT, content=b"&".join(b"a%d=1" % n for n in range(99)), headers=form), 400)
    problem(client.get(AT, params={"query": "Xi"}), 422)
    problem(client.get(AT, headers={"Host": "a b"}), 400)
    problem(client.get(f"{AT}/suggest/entity"), 422)
    problem(client.get(f"{AT}/suggest/entity", params={"prefix": "a", "cursor": -1}), 422)
    problem(client.get(f"{AT}/preview", params={"id": "nobody"}), 404)
    problem(client.get(f"{AT}/flyout", params={"id": "nothing", "kind": "type"}), 404)
    problem(client.get(f"{AT}/properties", params={"type": "persn"}), 422)
    assert ok(client.post(AT, data={"queries": "{}"})) == {}


def test_any_text_is_a_name(seeded: Newsroom) -> None:
    odd = ("", " ", "?!", "ʼ", "а̀", "٣", "²", "V.", "V. V.", "U.S.", "the", "The The", "Dr.", "Mr. President",
           "🙂", "ꦗꦮ", "ไทย", "-", "a" * 2000, "x " * 900, "%", "~", "=", "'", "\n", "http://", "https://[",
           ":", "1")  # fmt: skip
    answer = ask(seeded, **{f"q{n}": {"query": text} for n, text in enumerate(odd)})
    assert [key for key, found in answer.items() if any(each["match"] for each in found)] == ["q9"], "U.S."


# --- the client of others ----------------------------------------------------------------------


# It is older than pandas 3.1, which means to take the keyword away.
@pytest.mark.filterwarnings("ignore:The inplace keyword:pandas.errors.Pandas4Warning")
def test_the_client_reconciler_works_unchanged(tmp_path: Path) -> None:
    env = environment(f"sqlite:///{tmp_path}/record.db")
    with served(env, tmp_path / "log", "--migrate", "--seed") as server:
        names = pandas.Series(
            ["V. Putin", "President Xi", "Zelensky, Volodymyr", "Power of Siberia 2", "Moscow"]
        )
        found = reconcile(names, reconciliation_endpoint=f"{server.url}{AT}")
        matched = dict(
            zip(found["input_value"], zip(found["name"], found["match"], strict=True), strict=True)
        )
        assert matched == {
            "V. Putin": ("Vladimir Putin", True),
            "President Xi": ("Xi Jinping", True),
            "Zelensky, Volodymyr": ("Volodymyr Zelenskiy", True),
            "Power of Siberia 2": ("Power of Siberia 2", True),
            "Moscow": ("Moscow", False),
        }
        kinds = pandas.Series(["country"] * 5)
        every = reconcile(
            names[4:], type_id="country", top_res="all", property_mapping={"kind": kinds[4:]},
            reconciliation_endpoint=f"{server.url}{AT}",
        )  # fmt: skip
        assert list(every["name"][:1]) == ["Russia"]
        assert set(every["type_id"]) == {"country"}
