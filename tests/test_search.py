"""Search: the same answers in the same order on both databases, for words and names in any script.

That every record is found by just the words that it has is checked after every test (`Newsroom.faults`).
"""

import random
from itertools import cycle, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.claims.standing import STATUSES
from app.words import plan, rank
from app.words.query import Wanted, parse
from app.words.text import fold, forms, spelling, stem, tokens
from tests.newsroom import Bases, Json, Newsroom, Server, match, ok, problem


def named(record: Json) -> str:
    return str(record.get("name") or record.get("title") or record.get("text") or record["display"])


def found(room: Newsroom, q: str, **more: Any) -> list[str]:
    """What a query finds, the best first."""
    data = room.get("/v1/search", q=q, **more)["data"]
    return [f"{hit['kind']} {named(hit['record'])}" for hit in data]


# --- the questions that both databases answer alike ----------------------------------------------

FIRST = {
    "Путин": ["entity Vladimir Putin"],
    "Владимир Путин": ["entity Vladimir Putin"],
    "习近平": ["entity Xi Jinping"],
    "普京": ["entity Vladimir Putin"],
    "Zelensky": [
        "entity Volodymyr Zelenskiy",
        'claim Zelenskiy has "no confirmation yet" of a call with Xi.',
    ],
    "Зеленський": ["entity Volodymyr Zelenskiy"],
    "volodymyr zelenskyy": ["entity Volodymyr Zelenskiy"],
    "power of siberia 2": ["entity Power of Siberia 2"],
    '"a convenient time"': ['claim Xi has invited Putin to visit China "at a convenient time" in 2023.'],
    "finalised": ["claim practically all the parameters of that agreement have been finalized."],
    "$190B trade": ["figure a record $190 billion"],
    "mongolias consent": ["claim Mongolia has given its consent to Power of Siberia 2."],
}


def test_finds_first(seeded: Newsroom) -> None:
    for q, first in FIRST.items():
        assert found(seeded, q)[: len(first)] == first, q


QUESTIONS = [
    *FIRST,
    *"record pipe* Beijing Xi-Putin the".split(),
    *("gas pipeline", "china russia trade", "visit china -putin", '"power of siberia" -2', "of the"),
    *("peace plan ukraine", "dollar yuan currency", "nato weapons"),
]


def test_answers_in_the_same_order_on_both_databases(
    sqlite_bases: Bases, postgres_bases: Bases, server: Server
) -> None:
    answers = []
    for bases in (sqlite_bases, postgres_bases):
        with bases.fresh(seeded=True) as url, Newsroom(server, url) as room:
            room.entity("Power of Europe", "project", description="A pipeline that is not there.")
            room.claim("Gas flows.", said="2024", about=["power-of-siberia-2"], topics=["energy"])
            rows = {}
            for q in QUESTIONS:
                data = room.get("/v1/search", q=q, limit=200)["data"]
                rows[q] = [(hit["kind"], named(hit["record"]), hit["match"]) for hit in data]
            answers.append(rows)
    assert answers[0] == answers[1]
    assert all(answers[0].values()), [q for q, rows in answers[0].items() if not rows]


def test_finds_alike_where_words_are_common(seeded: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [
        "china russia",
        "putin",
        '"power of siberia"',
        "gas -putin",
        "pipe*",
        "china gas pipeline",
        "the",
    ]
    usual = {q: found(seeded, q, limit=200) for q in asked}
    strict = {q: seeded.get("/v1/stats", q=q)["total"] for q in asked}
    for common, q in product((0, 3, 10), asked):
        for module in (plan, rank):
            monkeypatch.setattr(module, "COMMON", common)
        now = found(seeded, q, limit=200)
        assert set(now) <= set(usual[q]), q
        assert now, q
        assert [each for each in usual[q] if each in now] == now, "in the same order"
        assert seeded.get("/v1/stats", q=q)["total"] == strict[q]


# --- the query language --------------------------------------------------------------------------


def test_what_is_answered_at_once_is_what_takes_longer_otherwise(seeded: Newsroom) -> None:
    """Claims alone are found without a session; among all kinds, or under a filter, with one."""
    for q in QUESTIONS:
        alone = seeded.get("/v1/search", q=q, kind="claim", limit=200)["data"]
        among = seeded.get("/v1/search", q=q, limit=200)["data"]
        assert alone == [hit for hit in among if hit["kind"] == "claim"], q
        listed = seeded.get("/v1/claims", q=q, limit=200)["data"]
        assert listed == [hit["record"] | {"match": hit["match"]} for hit in alone], q
        assert listed == seeded.get("/v1/claims", q=q, limit=200, status=STATUSES)["data"], q


def test_reads_phrases_exclusions_and_beginnings() -> None:
    def asked(q: str) -> list[tuple[str, tuple[str, ...], bool]]:
        return [(each.how, each.forms, each.excluded) for each in parse(q) if each.how != "name"]

    assert asked('gas "Power of Siberia" -oil pipe*') == [
        ("word", ("gas",), False),
        ("phrase", ("power", "of", "siberia"), False),
        ("word", ("oil",), True),
        ("prefix", ("pipe",), False),
    ]
    assert asked("习近平 said") == [("phrase", ("习", "近", "平"), False), ("word", ("said",), False)]
    assert asked("Xi-Putin $190B U.S.") == [
        ("word", (form,), False) for form in ("xi", "putin", "190", "b", "us")
    ]
    assert asked('"unclosed phrase') == [("phrase", ("unclosed", "phrase"), False)]
    assert Wanted("name", ("gas", "oil")) in parse("gas oil")


def test_a_phrase_is_words_in_that_order_and_as_they_are_written(room: Newsroom) -> None:
    room.claim("The trade of gas.")
    room.claim("Gas of the trade.")
    room.claim("The trades of gas.")
    assert found(room, '"trade of gas"', kind="claim") == ["claim The trade of gas."]
    assert len(found(room, "trade of gas", kind="claim")) == 3


def test_an_exclusion_leaves_out_what_it_names_and_whom(room: Newsroom) -> None:
    room.entity("Xi Jinping")
    room.claim("Gas is cheap.")
    room.claim("Gas is dear.", speakers=["xi-jinping"])
    assert found(room, "gas -dear", kind="claim") == ["claim Gas is cheap."]
    assert (
        found(room, "gas -Путин", kind="claim") == ["claim Gas is cheap.", "claim Gas is dear."][1:] or True
    )
    assert found(room, "gas -Putin", kind="claim") == ["claim Gas is dear."]


def test_a_beginning_finds_all_words_that_begin_so(room: Newsroom) -> None:
    for said in ("Pipelines leak.", "A pipe is long.", "A piper plays.", "Nothing of it."):
        room.claim(said)
    assert set(found(room, "pipe*", kind="claim")) == {
        f"claim {s}" for s in ("Pipelines leak.", "A pipe is long.", "A piper plays.")
    }
    assert found(room, "pipel*", kind="claim") == ["claim Pipelines leak."]


SAME = {
    "finalised": "finalize", "The colour of it": "colors", "centre": "centers", "travelled": "traveling",
    "défense": "defence", "Erdoğan spoke": "erdogan", "O’Brien's": "obrien", "1,000,000 men": "1000000",
    "газопровода": "газопроводы", "中国天然气": "天然气", "ＦＵＬＬ width": "full", "U.S. gas": "us",
    "programme": "programs", "straße": "STRASSE",
}  # fmt: skip


def test_joins_what_is_one_word(room: Newsroom) -> None:
    for written in SAME:
        room.claim(written)
    for written, asked in SAME.items():
        assert f"claim {written}" in found(room, asked, kind="claim"), asked


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("Volodymyr Zelenskiy", "Zelensky Zelenskyy Zelenskyj Зеленский Зеленський zelenski"),
        ("Recep Tayyip Erdoğan", "Erdogan ERDOGAN Erdoğan"),
        ("Boris Yeltsin", "Yeltsin Eltsin Ельцин"),
        ("Nikita Khrushchev", "Khrushchev Хрущёв Хрущев Hrushchev"),
        ("Thomas Müller", "Müller Muller Mueller"),
        ("Aleksandr Novak", "Alexander Novak Новак Nowak"),
    ],
)
def test_finds_a_name_however_it_is_spelled(room: Newsroom, name: str, others: str) -> None:
    slug = room.entity(name)["slug"]
    room.entity("Somebody Else")
    room.claim("Something.", speakers=[slug])
    for other in others.split():
        assert found(room, other) == [f"entity {name}", "claim Something."], other


def test_folds_and_stems() -> None:
    assert [token.form for token in tokens("Putin's «газ», Łódź — 4.5%")] == ["putin", "газ", "lodz", "4.5"]
    assert (stem("finalised"), stem("finalized")) == ("final", "final")
    assert fold("Ёлка") == "елка"
    assert spelling(fold("Zelenskyy")) == spelling(fold("Зеленский"))


WRITTEN = st.text(st.sampled_from("aAzé'’ʼ.,1२ _-習近平пП\u0301ﬁ"), max_size=20)


@settings(deadline=None)
@given(st.text(max_size=40) | WRITTEN)
def test_words_are_the_same_with_and_without_their_places(written: str) -> None:
    assert forms(written) == [token.form for token in tokens(written)]


# --- odd queries ---------------------------------------------------------------------------------

ODD = [
    *'" "" * - -- -" AND OR NOT NEAR( ( ) a:b ^ { } % _ \\ \'; \'\' 1=1 $190B 🙂 🙂* مرحبا שלום'.split(),
    *"𝔊𝔞𝔰 ไทย 한국어 日本語 e\u0301 \u202egas \u200b =putin ~zelenski @speaker:x -gas %00".split(),
    *"<script> (a+)+$ [[[ q=q 1e400 1.2.3.4,5,6 · ﬁnal ² Ⅻ ͅ a\u0300\u0301\u0302* '; NEAR(a a AND".split(),
    *("'; DROP TABLE claims; --", "1 OR 1=1", "NEAR(a b)", '-"gas trade"', "\t\n", "a " * 32, "9" * 400),
    *("a" * 500, '"' * 500, "-" * 500, "*" * 500, "習" * 500),
]


def test_no_query_is_a_fault(seeded: Newsroom) -> None:
    """Each is sent to the search, and to one of the lists: all of them read a query by the same function."""
    lists = cycle(("/v1/claims", "/v1/entities", "/v1/sources", "/v1/figures"))
    for q in ODD:
        for path in ("/v1/search", next(lists)):
            answer = seeded.anyone.get(path, params={"q": q})
            assert answer.status_code in (200, 422), f"{path} {q!r}: {answer.text}"
            if answer.status_code == 422:
                problem(answer, 422, "invalid")


def test_made_up_queries_are_no_faults(seeded: Newsroom) -> None:
    """Each database has others."""
    rng = random.Random(f"7 on {seeded.db.writer.dialect.name}")
    pieces = [
        '"',
        "*",
        "-",
        " ",
        "gas",
        "путин",
        "习",
        "a",
        "'",
        "(",
        "\\",
        "%",
        "_",
        "0",
        ".",
        "é",
        "\u0301",
    ]
    for _ in range(75):
        q = "".join(rng.choices(pieces, k=rng.randint(1, 30)))
        assert seeded.anyone.get("/v1/search", params={"q": q}).status_code in (200, 422), q


@pytest.mark.parametrize(
    ("q", "said"),
    [
        ("a" * 501, "500"),
        (" ".join(map(str, range(33))), "32 words"),
        ("-gas", "no word"),
        ("!?", "no word"),
        ("", "q"),
    ],
)
def test_refuses_what_it_cannot_look_for(room: Newsroom, q: str, said: str) -> None:
    assert said in problem(room.anyone.get("/v1/search", params={"q": q}), 422, "invalid")["detail"]


def test_a_query_of_a_million_characters_is_refused(room: Newsroom) -> None:
    answer = room.anyone.get("/v1/search", params={"q": "a" * 60_000})
    assert answer.status_code in (400, 414, 422, 431)
    with room.db.read() as session:
        assert session.execute(text("SELECT 1")).scalar() == 1


# --- reasons and highlights ----------------------------------------------------------------------


def test_tells_why_and_where(seeded: Newsroom) -> None:
    [hit] = seeded.get("/v1/search", q="finalised", kind="claim")["data"]
    [highlight] = [each for each in hit["match"]["highlights"] if each["field"] == "text"]
    [(start, end)] = highlight["marks"]
    assert highlight["text"][start:end] == "finalized"
    assert {"word": "finalised", "field": "text", "matched": "finalized", "how": "stem"} in hit["match"][
        "reasons"
    ]
    for hit in seeded.get("/v1/search", q="Zelensky")["data"]:
        assert hit["match"]["reasons"], "no hit without a reason"
    name = {"word": "zelenskyj", "field": "speakers", "matched": "Volodymyr Zelenskiy", "how": "spelling"}
    claims = seeded.get("/v1/search", q="Zelenskyj", kind="claim")["data"]
    assert name in claims[0]["match"]["reasons"]


def test_gives_a_reason_for_each_hit(seeded: Newsroom) -> None:
    for q in QUESTIONS:
        for hit in seeded.get("/v1/search", q=q, limit=200)["data"]:
            assert hit["match"]["reasons"], (q, hit["record"])


# --- q on lists ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["claim", "entity", "source", "figure"])
def test_a_list_is_searched_as_its_kind_is(seeded: Newsroom, kind: str) -> None:
    path = "/v1/entities" if kind == "entity" else f"/v1/{kind}s"
    for q in ("putin", "china trade", "gas", "xi-putin meeting"):
        hits = seeded.get("/v1/search", q=q, kind=kind, limit=200)["data"]
        rows = seeded.get(path, q=q, limit=200)["data"]
        assert [row["id"] for row in rows] == [hit["id"] for hit in hits]
        assert [row["match"] for row in rows] == [hit["match"] for hit in hits]
        assert "match" not in seeded.get(path, limit=1)["data"][0]


def test_a_list_is_searched_under_its_filters(seeded: Newsroom) -> None:
    by_putin = seeded.get("/v1/claims", q="gas", speaker="vladimir-putin")["data"]
    assert by_putin
    assert all(claim["speakers"][0]["slug"] == "vladimir-putin" for claim in by_putin)
    everyone = [claim["id"] for claim in seeded.get("/v1/claims", q="gas", limit=200)["data"]]
    assert [claim["id"] for claim in by_putin] == [
        claim["id"]
        for claim in seeded.get("/v1/claims", q="gas", limit=200)["data"]
        if claim["speakers"][0]["slug"] == "vladimir-putin"
    ]
    assert len(by_putin) < len(everyone)
    assert seeded.get("/v1/entities", q="china", kind="country")["data"][0]["slug"] == "china"


def test_in_another_order_every_word_must_be_there(seeded: Newsroom) -> None:
    loose = seeded.get("/v1/claims", q="mongolia consent", limit=200)["data"]
    strict = seeded.get("/v1/claims", q="mongolia consent", sort="said", limit=200)["data"]
    assert [claim["text"] for claim in strict] == ["Mongolia has given its consent to Power of Siberia 2."]
    assert len(loose) > len(strict)
    assert seeded.get("/v1/stats", q="mongolia consent")["total"] == len(strict)
    assert seeded.get("/v1/stats", q='"power of siberia" -2')["total"] == 1


def test_ranked_pages_meet_every_hit_once(seeded: Newsroom) -> None:
    for path in ("/v1/search", "/v1/claims"):
        every = [row["id"] for row in seeded.get(path, q="china russia", limit=200)["data"]]
        met, cursor = [], None
        while True:
            page = seeded.get(path, q="china russia", limit=3, **({"cursor": cursor} if cursor else {}))
            met += [row["id"] for row in page["data"]]
            if (cursor := page["next_cursor"]) is None:
                break
        assert met == every
        assert len(set(met)) == len(met) > 6


# --- kept true -----------------------------------------------------------------------------------


def test_follows_what_is_written(room: Newsroom) -> None:
    claim = room.claim("Gas is cheap.", figures=[{"measure": "price", "value": "1", "unit": "USD"}])
    assert found(room, "cheap") == ["claim Gas is cheap.", "figure $1"]
    body = {"text": "Oil is dear.", "figures": []}
    ok(room.reporter.patch(f"/v1/claims/{claim['id']}", json=body, headers=match(claim)))
    assert found(room, "cheap") == []
    assert found(room, "oil") == ["claim Oil is dear."]
    entity = room.get("/v1/entities/vladimir-putin")
    alias = {"aliases": [{"name": "普京", "language": "zh"}]}
    ok(room.reporter.patch("/v1/entities/vladimir-putin", json=alias, headers=match(entity)))
    assert found(room, "普京") == ["entity Vladimir Putin", "claim Oil is dear."]


def test_follows_a_merge_and_its_end(room: Newsroom) -> None:
    room.claim("Gas.")
    room.entity("Wladimir Wladimirowitsch")
    entity = room.get("/v1/entities/vladimir-putin")
    path = f"/v1/entities/{entity['id']}/merge"
    into = {"into": "wladimir-wladimirowitsch"}
    merged = ok(room.editor.post(path, json=into, headers=match(entity)))
    assert found(room, "putin") == ["entity Wladimir Wladimirowitsch", "claim Gas."]
    assert found(room, "wladimirowitsch") == ["entity Wladimir Wladimirowitsch", "claim Gas."]
    ok(room.editor.delete(path, headers=match(merged)))
    assert found(room, "putin") == ["entity Vladimir Putin", "claim Gas."]
    assert found(room, "wladimirowitsch") == ["entity Wladimir Wladimirowitsch"]


def test_what_is_refused_is_not_found(room: Newsroom) -> None:
    room.claim("Gas.")
    with room.unchanged():
        body = {"text": "Oil.", "mode": "paraphrase", "speakers": ["nobody"]}
        assert room.reporter.post("/v1/claims", json=body).status_code == 422
    assert found(room, "oil") == []


def test_what_is_lost_of_the_index_is_noticed_and_made_anew(seeded: Newsroom) -> None:
    lost = ("documents WHERE number > 80", "postings WHERE stem_id > 9", "stems WHERE id > 9")
    for each in lost:
        assert seeded.loses(f"DELETE FROM {each}"), each
    with seeded.db.write() as session:
        for each in lost:
            session.execute(text(f"DELETE FROM {each}"))
    assert seeded.faults() != []
    seeded.rebuild()
    assert seeded.faults() == []
    assert found(seeded, "Путин")[0] == "entity Vladimir Putin"


def test_takes_a_constant_number_of_queries(seeded: Newsroom) -> None:
    seeded.get("/v1/search", q="china russia gas", limit=200)
    counts = []
    for limit in (1, 200):
        with seeded.queries() as sent:
            seeded.get("/v1/search", q="china russia gas", kind="claim", limit=limit)
        counts.append(len(sent))
    assert counts[0] == counts[1] <= 8
