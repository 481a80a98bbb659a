"""Google's Fact Check Tools API: by Google's own client on a live server, and each parameter by itself."""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson
import pytest
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from app.compat.google_factcheck import DISCOVERY
from tests.newsroom import SECRET, Bases, Json, Newsroom, Server, SqliteBases, match, ok, prepared
from tests.served import environment, served

SEARCH = "/v1alpha1/claims:search"
PAGE = "https://www.desk.example.org/checks/1"


@pytest.fixture
def checked(bases: Bases, server: Server) -> Iterator[Newsroom]:
    """A newsroom with five claims about gas that have a verdict, two of them one of another desk too."""
    with prepared(bases, server, _check) as room:
        yield room


def _check(room: Newsroom) -> None:
    room.entity(external_ids=[{"scheme": "wikidata", "value": "Q7747"}])
    desk = room.entity("Gas Desk", "organization", slug="gas-desk")
    made = [
        room.claim(f"Gas pipeline number {n} is agreed.", said=said, language="en-GB")
        for n, said in enumerate((*(f"2023-03-0{n}" for n in range(1, 5)), date.today().isoformat()), 1)
    ]
    for claim in made:
        room.take(claim)
        room.review(claim, verdict="false", summary="It is not.", reviewed_at="2024-02-03T04:05:06Z")
    for claim in made[:2]:
        room.take(claim)
        room.review(claim, publisher=desk["id"], url=PAGE, label="Half right", verdict="half_true")


CHECK = "https://check.example.org/gas"
"""A page that is written."""


def page_of(*claims: str, **more: Any) -> Json:
    """The mark-up of a page, of one claim or more."""
    markups = [
        {
            "claimReviewed": text,
            "claimDate": "2024-01-02",
            "claimLocation": "Vienna",
            "claimFirstAppearance": "https://news.example.org/a",
            "claimAppearances": ["https://news.example.org/b"],
            "claimAuthor": {"name": "Ann Example", "jobTitle": "Minister",
                            "sameAs": "https://www.wikidata.org/wiki/Q42"},
            "rating": {"ratingValue": 2, "bestRating": 5, "worstRating": 1, "textualRating": "Mostly false",
                       "ratingExplanation": "It is not."},
        }
        for text in claims or ("Gas is free.",)
    ]  # fmt: skip
    whole = {"pageUrl": CHECK, "publishDate": "2024-02-03", "claimReviewAuthor": {"name": "The Check"}}
    return {**whole, "claimReviewMarkups": markups, **more}


def search(room: Newsroom, **query: Any) -> Json:
    return ok(room.anyone.get(SEARCH, params=query))


def texts(answer: Json) -> list[str]:
    return [claim["text"] for claim in answer.get("claims", [])]


def refused(answer: httpx.Response, code: int, status: str) -> Json:
    """The error of a refusal, which must be in Google's form."""
    assert answer.status_code == code, answer.text
    assert answer.headers["content-type"] == "application/json"
    error: Json = answer.json()["error"]
    assert (error["code"], error["status"]) == (code, status)
    assert error["message"]
    return error


# --- Google's client ---------------------------------------------------------------------------


@pytest.fixture
def client(sqlite_bases: SqliteBases, server: Server, tmp_path: Path) -> Iterator[Any]:
    """Google's client, as it is, pointed at a server in a process of its own."""
    with sqlite_bases.fresh() as base:
        with Newsroom(server, base) as room:
            _check(room)
            token = room.key("editor")[1]
        env = environment(base, RECORD_SECRET=SECRET)
        with served(env, tmp_path / "log") as live:
            url = live.url.rstrip("/")
            with build(
                "factchecktools", "v1alpha1", developerKey="any", client_options={"api_endpoint": url}
            ) as own:
                own.url, own.editor = url, token
                yield own


def test_google_s_own_client_searches_and_pages(client: Any) -> None:
    claims = client.claims()
    request, met = claims.search(query="gas pipeline", pageSize=2, languageCode="en-US"), []
    while request is not None:
        answer = request.execute()
        met.append(texts(answer))
        request = claims.search_next(request, answer)
    assert [len(each) for each in met] == [2, 2, 1]
    assert len({text for each in met for text in each}) == 5
    sited = claims.search(reviewPublisherSiteFilter="desk.example.org", fields="claims/text").execute()
    assert len(sited["claims"]) == 2
    assert sited["claims"][0].keys() == {"text"}
    # What is too long for an address it sends as a POST, which is to be taken for a GET.
    assert texts(claims.search(query="газ " * 120 + "-" + "щ" * 15).execute()) == []
    with pytest.raises(HttpError) as fault:
        claims.search(query="gas", pageToken="nonsense").execute()
    assert (fault.value.status_code, "cursor" in fault.value.reason) == (400, True)
    with pytest.raises(HttpError) as fault:
        claims.imageSearch(imageUri="https://example.org/a.png").execute()
    assert fault.value.status_code == 501
    listed = client.pages().list(organization="desk.example.org").execute()["claimReviewMarkupPages"]
    assert [each["pageUrl"] for each in listed] == [PAGE]
    assert client.pages().get(name=listed[0]["name"]).execute() == listed[0]
    with pytest.raises(HttpError) as fault:
        client.pages().delete(name=listed[0]["name"]).execute()
    assert (fault.value.status_code, "Authorization" in fault.value.reason) == (401, True)
    _discovered(client)


def _discovered(client: Any) -> None:
    """A client that is made of this server's own discovery document asks this server, one request at a time
    or many, and writes with a key.
    """
    with _made_of(client.url, developerKey="k") as own:
        found = own.claims().search(query="pipeline").execute()
        assert len(texts(found)) == 5
        assert own._baseUrl == f"{client.url}/"
        _batched(own, PAGE)
    with _made_of(client.url, credentials=Credentials(token=client.editor)) as own:  # type: ignore[no-untyped-call]
        _written(own)


def _made_of(url: str, **more: Any) -> Any:
    at = f"{url}/$discovery/rest?version={{apiVersion}}"
    return build("factchecktools", "v1alpha1", discoveryServiceUrl=at, static_discovery=False, **more)


def _batched(own: Any, url: str) -> None:
    met: dict[str, Any] = {}
    batch = own.new_batch_http_request(callback=lambda name, found, fault: met.update({name: fault or found}))
    batch.add(own.claims().search(query="pipeline", pageSize=2), request_id="газ 1")
    batch.add(own.pages().list(url=url))
    batch.add(own.claims().search(query="pipeline", pageToken="nonsense"))
    batch.add(own.pages().create(body=page_of()))
    batch.execute()
    first, pages, wrong, keyless = met.values()
    assert next(iter(met)) == "газ 1"
    assert len(texts(first)) == 2
    assert [each["pageUrl"] for each in pages["claimReviewMarkupPages"]] == [url]
    assert [each.status_code for each in (wrong, keyless)] == [400, 401]


def _written(own: Any) -> None:
    pages, body = own.pages(), page_of()
    made = pages.create(body=body).execute()
    assert pages.get(name=made["name"]).execute() == made
    with pytest.raises(HttpError) as fault:
        pages.create(body=body).execute()
    assert fault.value.status_code == 409
    made["claimReviewMarkups"][0]["rating"]["textualRating"] = "Mostly true"
    changed = pages.update(name=made["name"], body=made).execute()
    assert changed["claimReviewMarkups"][0]["rating"]["textualRating"] == "Mostly true"
    with pytest.raises(HttpError) as fault:
        pages.update(name=made["name"], body=made).execute()  # of a version that was
    assert fault.value.status_code == 409
    assert pages.delete(name=made["name"]).execute() == {}
    with pytest.raises(HttpError) as fault:
        pages.get(name=made["name"]).execute()
    assert fault.value.status_code == 404


# --- what is answered --------------------------------------------------------------------------


def test_a_claim_has_the_reviews_of_all_desks(checked: Newsroom) -> None:
    [claim] = search(checked, query='"number 1"')["claims"]
    own = f"{checked.server.url}/v1/claims/"
    first, second = claim.pop("claimReview")
    assert claim == {
        "text": "Gas pipeline number 1 is agreed.",
        "claimant": "Vladimir Putin",
        "claimDate": "2023-03-01T00:00:00Z",
    }
    assert first.pop("reviewDate") > "2024"
    assert first == {
        "publisher": {"name": "Gas Desk", "site": "desk.example.org"},
        "url": PAGE,
        "title": "Not what the record shows.",
        "textualRating": "Half right",
        "languageCode": "en-GB",
    }
    assert second.pop("url").startswith(own)
    assert second == {
        "publisher": {"name": "On the Record", "site": "127.0.0.1"},
        "title": "It is not.",
        "reviewDate": "2024-02-03T04:05:06.000000Z",
        "textualRating": "False",
        "languageCode": "en-GB",
    }


def test_only_claims_with_a_verdict_that_stands_are_found(checked: Newsroom) -> None:
    unchecked = checked.claim("Gas pipeline number 6 is agreed.")
    confirmed = checked.claim("Gas pipeline number 7 is agreed.")
    checked.take(confirmed)
    checked.review(confirmed, verdict=None, attribution="misquoted", actual_words="Nearly.")
    first = checked.get("/v1/claims", q='"number 1"')["data"][0]
    checked.claim("As he said, gas pipeline number 1 is agreed.", repeats=first["id"])
    withdrawn = checked.get("/v1/claims", q='"number 2"')["data"][0]
    path = f"/v1/claims/{withdrawn['id']}/withdrawal"
    ok(checked.editor.post(path, json={"note": "No."}, headers=match(checked.fresh(withdrawn))))
    found = texts(search(checked, query="gas pipeline"))
    assert sorted(found) == [f"Gas pipeline number {n} is agreed." for n in (1, 3, 4, 5)]
    assert unchecked["text"] not in found
    assert texts(search(checked, reviewPublisherSiteFilter="desk.example.org")) == [first["text"]]
    [page] = ok(checked.anyone.get("/v1alpha1/pages", params={"url": PAGE}))["claimReviewMarkupPages"]
    assert [each["claimReviewed"] for each in page["claimReviewMarkups"]] == [first["text"]]
    with checked.with_settings(four_eyes=True) as strict:
        strict.take(unchecked)
        strict.review(unchecked, verdict="true")
    assert len(texts(search(checked, query="gas pipeline"))) == 4


def test_a_ruling_that_was_corrected_is_gone(checked: Newsroom) -> None:
    claim = checked.get("/v1/claims", q='"number 1"')["data"][0]
    [theirs] = [
        each for each in checked.get(f"/v1/claims/{claim['id']}/reviews")["data"] if each["publisher"]
    ]
    correction = {"corrects": theirs["id"], "correction_note": "Misread.", "publisher": "gas-desk"}
    checked.review(claim, by=checked.editor, verdict="true", url="https://other.example.org/", **correction)
    [shown] = search(checked, query='"number 1"')["claims"]
    assert [each["textualRating"] for each in shown["claimReview"]] == ["True", "False"]
    assert len(texts(search(checked, reviewPublisherSiteFilter="desk.example.org"))) == 1
    assert len(texts(search(checked, reviewPublisherSiteFilter="other.example.org"))) == 1


ASKED: list[tuple[Json, int | None]] = [
    ({"query": "pipeline", "languageCode": "en"}, 5),
    ({"query": "pipeline", "languageCode": "EN_us"}, 5),
    ({"query": "pipeline", "languageCode": "e"}, None),
    ({"query": "pipeline", "languageCode": "de"}, 0),
    ({"query": "pipeline", "maxAgeDays": 1}, 3),
    ({"query": "pipeline", "maxAgeDays": 36500}, 5),
    ({"query": "pipeline", "maxAgeDays": 2147483647}, 5),
    ({"query": "pipeline", "maxAgeDays": 0}, 5),
    ({"query": "pipeline", "maxAgeDays": -1}, None),
    ({"query": "pipeline", "pageSize": 3}, 3),
    ({"query": "pipeline", "pageSize": 0, "offset": 4}, 1),
    ({"query": "pipeline", "pageSize": 2147483647, "offset": 2147483647}, 0),
    ({"query": "pipeline", "pageSize": 2147483648}, None),
    ({"query": "pipeline", "pageSize": "many"}, None),
    ({"query": "pipeline", "reviewPublisherSiteFilter": "Desk.example.org"}, 2),
    ({"query": "", "reviewPublisherSiteFilter": "https://www.desk.example.org/checks"}, 2),
    ({"reviewPublisherSiteFilter": "desk.example.org", "offset": 1}, 1),
    ({"reviewPublisherSiteFilter": "example.org"}, 0),
    ({"reviewPublisherSiteFilter": "%.example.org"}, 0),
    ({"reviewPublisherSiteFilter": "127.0.0.1"}, 5),
    ({"reviewPublisherSiteFilter": "/"}, None),
    ({"query": ""}, None),
    ({}, None),
    ({"query": "-pipeline"}, None),
    ({"query": "x" * 501}, None),
    ({"query": "трубопровод"}, 0),
]
"""Questions, and how many claims each finds; None, if it is refused."""


def test_each_parameter_counts(checked: Newsroom) -> None:
    for query, count in ASKED:
        answer = checked.anyone.get(SEARCH, params=query)
        if count is None:
            refused(answer, 400, "INVALID_ARGUMENT")
        else:
            assert len(texts(ok(answer))) == count, query


def test_a_walk_meets_each_claim_once_and_a_token_is_its_own_question_s(checked: Newsroom) -> None:
    for asked in ({"query": "pipeline"}, {"reviewPublisherSiteFilter": "127.0.0.1"}):
        whole, met, token = texts(search(checked, **asked)), [], ""
        while True:
            page = search(checked, **asked, pageSize=2, pageToken=token, offset=1)
            met += texts(page)
            token = page.get("nextPageToken", "")
            if not token:
                break
            other = {**asked, "languageCode": "en", "pageToken": token}
            refused(checked.anyone.get(SEARCH, params=other), 400, "INVALID_ARGUMENT")
        assert met == whole[1:], "an offset counts where there is no token"
        counts = []
        for size in (1, 5):
            with checked.queries() as sent:
                assert len(texts(search(checked, **asked, pageSize=size))) == size
            counts.append(len(sent))
        assert counts[0] == counts[1] <= 14, counts


# --- what all methods take ---------------------------------------------------------------------


def test_parts_of_an_answer_can_be_asked_for(checked: Newsroom) -> None:
    def fields(selected: str) -> httpx.Response:
        return checked.anyone.get(SEARCH, params={"query": '"number 1"', "fields": selected})

    [claim] = search(checked, query='"number 1"')["claims"]
    first, second = claim["claimReview"]
    assert ok(fields("nextPageToken")) == {}
    assert ok(fields("*")) == {"claims": [claim]}
    assert ok(fields("claims")) == {"claims": [claim]}
    assert ok(fields("claims(text)")) == {"claims": [{"text": claim["text"]}]}
    sites = [{"publisher": {"site": each["publisher"]["site"]}} for each in (first, second)]
    assert ok(fields("claims/claimReview/publisher/site, nextPageToken")) == {
        "claims": [{"claimReview": sites}]
    }
    both = [{"url": each["url"], "title": each["title"]} for each in (first, second)]
    named_twice = ok(fields("claims(text,claimReview(url)),claims/claimReview/title"))
    assert named_twice == {"claims": [{"text": claim["text"], "claimReview": both}]}
    assert ok(fields("claims/text,claims")) == {"claims": [claim]}
    urls = [{"url": each["url"]} for each in (first, second)]
    assert ok(fields("*/*/url")) == {"claims": [{"claimReview": urls}]}
    for wrong in ("claims(", "claims)", "(text)", ",", "claims//text", "claims/verdict", "text", "a(" * 500):
        error = refused(fields(wrong), 400, "INVALID_ARGUMENT")
        assert error["details"][0]["fieldViolations"][0]["field"] == "fields"


def test_the_parameters_of_all_methods(checked: Newsroom) -> None:
    known = {
        "key": "AIza-not-ours", "alt": "json", "prettyPrint": "false", "quotaUser": "u", "access_token": "t",
        "oauth_token": "t", "uploadType": "media", "upload_protocol": "raw", "$.xgafv": "2",
    }  # fmt: skip
    plain = checked.anyone.get(SEARCH, params={"query": "pipeline", **known})
    pretty = checked.anyone.get(SEARCH, params={"query": "pipeline"})
    assert ok(plain) == ok(pretty)
    assert (plain.text.count("\n"), pretty.text.startswith('{\n  "claims"')) == (0, True)
    for wrong in (
        {"alt": "media"},
        {"alt": "proto"},
        {"$.xgafv": "3"},
        {"prettyPrint": "perhaps"},
        {"q": "x"},
    ):
        error = refused(checked.anyone.get(SEARCH, params={"query": "x", **wrong}), 400, "INVALID_ARGUMENT")
        [violation] = error["details"][0]["fieldViolations"]
        assert violation["field"] == next(iter(wrong))
    documented = {*DISCOVERY["parameters"]} - {"fields", "callback"}
    assert documented == {*known}


def test_a_callback_makes_a_script_for_other_sites(room: Newsroom) -> None:
    answer = room.anyone.get(SEARCH, params={"query": "pipeline", "callback": "page.show$1"})
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    head, body = answer.text.split("\n", 1)
    assert (head, body[:12], body[-2:]) == ("// API callback", "page.show$1(", ");")
    assert orjson.loads(body[12:-2]) == {}
    plain = room.anyone.get(SEARCH, params={"query": "pipeline"})
    assert plain.headers["cross-origin-resource-policy"] == "same-origin"
    for wrong in ("alert(1)//", "a b", "a;", "1a", "a..b", "aé"):
        refused(room.anyone.get(SEARCH, params={"query": "x", "callback": wrong}), 400, "INVALID_ARGUMENT")


def test_a_question_that_is_a_body_is_read_as_an_address(checked: Newsroom) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded", "X-HTTP-Method-Override": "GET"}
    asked = urlencode({"query": "pipeline", "pageSize": 3})
    answer = checked.anyone.post(SEARCH, content=asked, headers=form)
    assert len(texts(ok(answer))) == 3
    refused(checked.anyone.post(SEARCH, content=asked), 404, "NOT_FOUND")
    refused(
        checked.anyone.post(SEARCH, content=b"query=" + b"x" * 70_000, headers=form), 400, "INVALID_ARGUMENT"
    )
    for wrong in (b"query=%00", b"query=\xff", b"other=1", b"query=%ff", b"&&&", b"\x00"):
        refused(checked.anyone.post(SEARCH, content=wrong, headers=form), 400, "INVALID_ARGUMENT")


def test_where_reading_takes_a_key_it_is_one_of_ours(room: Newsroom) -> None:
    _, token = room.key("reader")
    with room.with_settings(public_reading=False) as private:
        for path in (f"{SEARCH}?query=pipeline", "/v1alpha1/pages?organization=x.org", "/$discovery/rest",
                     "/v1alpha1/claims:imageSearch"):  # fmt: skip
            refused(private.anyone.get(path), 401, "UNAUTHENTICATED")
        for wrong in ("AIza-not-ours", "é", ""):
            answer = private.anyone.get(SEARCH, params={"query": "pipeline", "key": wrong})
            refused(answer, 401, "UNAUTHENTICATED")
        answer = private.anyone.get(SEARCH, params={"query": "pipeline", "key": token})
        assert ok(answer) == {}
        assert answer.headers["cache-control"].startswith("private")
        assert ok(private.reader.get(SEARCH, params={"query": "pipeline", "key": "x"})) == {}
        # It opens nothing else.
        assert private.anyone.get("/v1/claims", params={"key": token}).status_code == 401


# --- pages -------------------------------------------------------------------------------------


def test_pages_have_the_mark_up_of_the_reviews_on_them(checked: Newsroom) -> None:
    [page] = ok(checked.anyone.get("/v1alpha1/pages", params={"url": PAGE}))["claimReviewMarkupPages"]
    assert (page["pageUrl"], page["claimReviewAuthor"]) == (PAGE, {"name": "Gas Desk"})
    assert [each["claimReviewed"][20] for each in page["claimReviewMarkups"]] == ["1", "2"]
    assert page["claimReviewMarkups"][0] == {
        "url": PAGE,
        "claimReviewed": "Gas pipeline number 1 is agreed.",
        "claimDate": "2023-03-01",
        "claimAuthor": {"name": "Vladimir Putin", "sameAs": "https://www.wikidata.org/wiki/Q7747"},
        "rating": {"ratingValue": 3, "bestRating": 5, "worstRating": 1, "textualRating": "Half right",
                   "ratingExplanation": "Not what the record shows."},
    }  # fmt: skip
    got = checked.anyone.get(f"/v1alpha1/{page['name']}")
    assert ok(got) == page
    assert ok(checked.anyone.get("/v1alpha1/pages", params={"url": "https://example.org/none"})) == {}
    for query in ({}, {"url": PAGE, "organization": "x.org"}, {"organization": "/"}):
        refused(checked.anyone.get("/v1alpha1/pages", params=query), 400, "INVALID_ARGUMENT")
    for wrong in ("nothing", "AA", "_w", "é"):
        refused(checked.anyone.get(f"/v1alpha1/pages/{wrong}"), 404, "NOT_FOUND")


def test_pages_of_a_site_are_a_list(checked: Newsroom) -> None:
    claim = checked.claim("Another.")
    for n in range(3):
        checked.take(claim)
        where: Json = {"url": f"http://desk.example.org:8080/checks/{n}", "publisher": "gas-desk"}
        checked.review(claim, **where, rating={"value": "1.5", "best": "2", "worst": "0"})
    asked: Json = {"organization": "desk.example.org", "pageSize": 2}
    first = ok(checked.anyone.get("/v1alpha1/pages", params=asked))
    rest = ok(checked.anyone.get("/v1alpha1/pages", params={**asked, "pageToken": first["nextPageToken"]}))
    urls = [page["pageUrl"] for each in (first, rest) for page in each["claimReviewMarkupPages"]]
    assert urls == [*(f"http://desk.example.org:8080/checks/{n}" for n in (2, 1, 0)), PAGE]
    shown = first["claimReviewMarkupPages"][0]["claimReviewMarkups"][0]["rating"]
    assert shown.keys() == {"textualRating", "ratingExplanation"}, "Google's numbers are whole"
    assert "nextPageToken" not in rest


def test_what_is_not_answered_says_so(room: Newsroom) -> None:
    image = "/v1alpha1/claims:imageSearch?imageUri=https://example.org/a.png&pageSize=3"
    refused(room.anyone.get(image), 501, "UNIMPLEMENTED")


def test_the_discovery_document_is_this_server_s(room: Newsroom) -> None:
    document = ok(room.anyone.get("/$discovery/rest", params={"version": "v1alpha1"}))
    assert (document["rootUrl"], document["servicePath"]) == (f"{room.server.url}/", "")
    assert ok(room.anyone.get("/$discovery/rest", params={"fields": "name,version"})) == {
        "name": "factchecktools", "version": "v1alpha1",
    }  # fmt: skip
    refused(room.anyone.get("/$discovery/rest?version=v2"), 400, "INVALID_ARGUMENT")
    for methods in (each["methods"] for each in document["resources"].values()):
        for method in methods.values():
            path = method["flatPath"].replace("{pagesId}", "x")
            answer = room.editor.request(method["httpMethod"], f"/{path}", params={"nonsense": "1"})
            error = refused(answer, 400, "INVALID_ARGUMENT")
            for name in method["parameters"].keys() - {"name"}:
                assert name in error["message"] or "did you mean" in error["message"], error


# --- pages that are written --------------------------------------------------------------------

PAGES = "/v1alpha1/pages"


def written(answer: httpx.Response) -> Json:
    page: Json = ok(answer)
    assert answer.headers["cache-control"] == "no-store"
    assert int(answer.headers["record-position"]) > 0
    return page


def test_a_page_becomes_claims_and_reviews_and_comes_back_as_it_was(room: Newsroom) -> None:
    sent = page_of("Gas is free.", "Gas is blue.")
    page = written(room.checker.post(PAGES, json=sent))
    assert page.pop("name").startswith("pages/")
    assert len(page.pop("versionId")) == 16
    for markup in sent["claimReviewMarkups"]:
        markup["url"] = CHECK
    assert page == sent
    claim = room.get("/v1/claims", q="blue")["data"][0]
    assert claim["verification"]["verdict"] == "mostly_false"
    [review] = room.get(f"/v1/claims/{claim['id']}/reviews")["data"]
    assert (review["publisher"]["name"], review["url"], review["label"]) == (
        "The Check",
        CHECK,
        "Mostly false",
    )
    assert texts(search(room, reviewPublisherSiteFilter="check.example.org")) == [
        "Gas is blue.",
        "Gas is free.",
    ]


def test_a_rating_that_no_verdict_here_means_is_found_in_its_own_words(room: Newsroom) -> None:
    sent = page_of("Gas is odd.")
    sent["claimReviewMarkups"][0]["rating"] = {"textualRating": "Three wet socks"}
    written(room.checker.post(PAGES, json=sent))
    assert room.get("/v1/claims")["data"][0]["verification"]["verdict"] is None
    for query in ({"query": "odd gas"}, {"reviewPublisherSiteFilter": "check.example.org"}):
        [claim] = search(room, **query)["claims"]
        assert [each["textualRating"] for each in claim["claimReview"]] == ["Three wet socks"]


def test_an_update_is_of_the_whole_page(room: Newsroom) -> None:
    page = written(room.checker.post(PAGES, json=page_of("Gas is free.", "Gas is blue.", "Gas is old.")))
    at = f"/v1alpha1/{page['name']}"
    with room.unchanged():
        assert written(room.editor.put(at, json=page)) == page
    free, blue, _ = page["claimReviewMarkups"]
    blue["rating"]["textualRating"] = "Who knows"
    new = {**free, "claimReviewed": "Gas is light.", "url": f"{CHECK}#light"}
    changed = written(room.editor.put(at, json={**page, "claimReviewMarkups": [free, blue, new]}))
    assert changed["versionId"] != page["versionId"]
    assert changed["claimReviewMarkups"] == [free, blue, new]
    got = ok(room.anyone.get(at))
    assert sorted(map(str, got["claimReviewMarkups"])) == sorted(map(str, changed["claimReviewMarkups"]))
    stale = room.editor.put(at, json=page)
    refused(stale, 409, "ABORTED")
    standing = {each["text"]: each["verification"] for each in room.get("/v1/claims")["data"]}
    assert [standing[f"Gas is {each}."]["status"] for each in ("free", "blue", "old", "light")] == [
        "reviewed", "reviewed", "unverified", "reviewed",
    ]  # fmt: skip
    assert standing["Gas is blue."]["verdict"] is None, "a wording that nobody knows is no verdict"
    assert standing["Gas is old."]["correction"]["note"] == "The desk has withdrawn its review."
    told = [each["kind"] for each in room.get("/v1/corrections")["data"]]
    assert told == ["correction", "correction"]
    atom = room.anyone.get("/v1/verdicts.atom").text
    assert "Taken back: Gas is old." in atom
    assert "Corrected to Who knows: Gas is blue." in atom


def test_what_is_deleted_is_taken_back_and_stays_in_the_history(room: Newsroom) -> None:
    page = written(room.checker.post(PAGES, json=page_of()))
    at = f"/v1alpha1/{page['name']}"
    assert written(room.editor.delete(at)) == {}
    refused(room.anyone.get(at), 404, "NOT_FOUND")
    refused(room.editor.delete(at), 404, "NOT_FOUND")
    refused(room.editor.put(at, json=page), 404, "NOT_FOUND")
    claim = room.get("/v1/claims")["data"][0]
    after, before = room.get(f"/v1/claims/{claim['id']}/reviews")["data"]
    assert (before["state"], after["corrects"], after["verdict"]) == ("corrected", before["id"], None)
    assert claim["verification"]["status"] == "unverified"
    assert written(room.checker.post(PAGES, json=page_of()))["name"] == page["name"]


def test_only_who_may_review_writes_pages_and_never_by_a_key_in_the_address(room: Newsroom) -> None:
    body, token = page_of(), room.key("editor")[1]
    with room.unchanged():
        refused(room.anyone.post(PAGES, json=body), 401, "UNAUTHENTICATED")
        refused(room.anyone.post(PAGES, json=body, params={"key": token}), 401, "UNAUTHENTICATED")
        refused(room.reporter.post(PAGES, json=body), 403, "PERMISSION_DENIED")
    with room.with_settings(public_reading=False) as private:
        refused(private.anyone.post(PAGES, json=body, params={"key": token}), 401, "UNAUTHENTICATED")
    page = written(room.checker.post(PAGES, json=body))
    for method in ("PUT", "DELETE"):
        refused(
            room.checker.request(method, f"/v1alpha1/{page['name']}", json=body), 403, "PERMISSION_DENIED"
        )


def test_this_desk_s_own_rulings_are_not_changed_by_a_page(room: Newsroom) -> None:
    claim = room.claim()
    room.take(claim)
    room.review(claim, url=CHECK)
    [page] = ok(room.anyone.get(PAGES, params={"url": CHECK}))["claimReviewMarkupPages"]
    with room.unchanged():
        for method in ("PUT", "DELETE"):
            answer = room.editor.request(method, f"/v1alpha1/{page['name']}", json=page)
            refused(answer, 400, "FAILED_PRECONDITION")
        refused(room.checker.post(PAGES, json=page_of()), 409, "ALREADY_EXISTS")


def test_under_four_eyes_a_page_waits(room: Newsroom) -> None:
    with room.with_settings(four_eyes=True) as strict:
        page = written(strict.checker.post(PAGES, json=page_of()))
        refused(strict.anyone.get(f"/v1alpha1/{page['name']}"), 404, "NOT_FOUND")
        refused(strict.checker.post(PAGES, json=page_of()), 409, "ALREADY_EXISTS")
        claim = strict.get("/v1/claims")["data"][0]
        assert claim["verification"]["status"] == "pending_approval"
        ok(strict.editor.post(f"/v1/claims/{claim['id']}/approval", headers=match(claim)))
        assert ok(strict.anyone.get(f"/v1alpha1/{page['name']}"))["claimReviewMarkups"]


WRONG_PAGES: list[tuple[Json, str]] = [
    ({"pageUrl": "nowhere"}, "/pageUrl"),
    ({"pageUrl": None}, "pageUrl"),
    ({"claimReviewMarkups": []}, "/claimReviewMarkups"),
    ({"claimReviewMarkups": "x"}, "/claimReviewMarkups"),
    ({"claimReviewAuthor": {"name": " "}}, "claimReviewAuthor.name"),
    ({"claimReviewAuthor": {"nome": "x"}}, "/claimReviewAuthor/nome"),
    ({"publishDate": "soon"}, "claimReviewMarkups[0].publishDate"),
    ({"markup": {"claimReviewed": ""}}, "claimReviewMarkups[0].claimReviewed"),
    ({"markup": {"claimAuthor": {}}}, "claimReviewMarkups[0].claimAuthor.name"),
    ({"markup": {"claimDate": "once"}}, "claimReviewMarkups[0].claimDate"),
    ({"markup": {"rating": {"ratingValue": 3}}}, ""),
    ({"markup": {"rating": {"ratingValue": 3, "worstRating": 0}}}, "claimReviewMarkups[0]"),
    ({"markup": {"rating": {"ratingValue": 2**70}}}, "/claimReviewMarkups/0/rating/ratingValue"),
    ({"markup": {"rating": {"ratingValue": 1.5}}}, "/claimReviewMarkups/0/rating/ratingValue"),
    ({"markup": {"url": "https://elsewhere.example.org/"}}, "claimReviewMarkups[0].url"),
]


def test_mark_up_that_is_wrong_is_refused_with_its_place(room: Newsroom) -> None:
    for members, place in WRONG_PAGES:
        body = page_of()
        body["claimReviewMarkups"][0] |= members.get("markup", {})
        body |= {name: value for name, value in members.items() if name != "markup"}
        answer = room.checker.post(PAGES, json=body)
        if not place:
            page = written(answer)
            assert page["claimReviewMarkups"][0]["rating"]["textualRating"] == "Half true"
            ok(room.editor.delete(f"/v1alpha1/{page['name']}"))
            continue
        error = refused(answer, 400, "INVALID_ARGUMENT")
        assert place in str(error.get("details", error["message"])), (members, error)


# --- many requests in one ----------------------------------------------------------------------

BATCH = "/batch/factchecktools/v1alpha1"
MIXED = "multipart/mixed; boundary=b"


def batch(room: Newsroom, *parts: str, by: httpx.Client | None = None, **headers: str) -> httpx.Response:
    whole = "".join(f"--b\r\nContent-Type: application/http\r\nContent-ID: <x + {n}>\r\n\r\n{each}\r\n"
                    for n, each in enumerate(parts)) + "--b--\r\n"  # fmt: skip
    sent = {"Content-Type": MIXED, **headers}
    return (by or room.anyone).post(BATCH, content=whole.encode(), headers=sent)


def answered(answer: httpx.Response) -> list[int]:
    """The statuses of the answers within one."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("multipart/mixed; boundary=batch_")
    return [int(each) for each in re.findall(r"^HTTP/1\.1 (\d{3}) ", answer.text, re.MULTILINE)]


def test_each_request_in_a_batch_is_one_of_its_own(checked: Newsroom) -> None:
    asked = "GET /v1alpha1/claims:search?query=pipeline&fields=claims/text HTTP/1.1\r\n"
    token = checked.key("reporter")[1]
    body = orjson.dumps(page_of()).decode()
    post = "POST /v1alpha1/pages HTTP/1.1\r\nContent-Type: application/json\r\n{}\r\n"
    answer = batch(
        checked, f"{asked}\r\n", f"{asked}If-None-Match: *\r\n\r\n", "GET /v1/keys HTTP/1.1\r\n\r\n",
        f"POST {BATCH} HTTP/1.1\r\n\r\n", "nonsense", post.format("") + body,
        post.format(f"Authorization: Bearer {token}\r\n") + body, by=checked.checker,
    )  # fmt: skip
    assert answered(answer) == [200, 304, 400, 400, 400, 200, 403]
    assert re.findall("Content-ID: (.*)\r", answer.text) == [f"<response-x + {n}>" for n in range(7)]
    assert '"Gas pipeline number 1 is agreed."' in answer.text
    assert len({*re.findall("x-request-id: (.*)\r", answer.text)}) == 4


def test_a_batch_has_an_end_and_no_way_around_the_limits(room: Newsroom) -> None:
    refused(batch(room), 400, "INVALID_ARGUMENT")
    one = "GET /v1alpha1/claims:search?query=x HTTP/1.1\r\n\r\n"
    assert len(answered(batch(room, *[one] * 100))) == 100
    refused(batch(room, *[one] * 101), 400, "INVALID_ARGUMENT")
    for media in ("multipart/mixed", "application/json"):
        answer = room.anyone.post(BATCH, content=b"--b\r\n\r\n", headers={"Content-Type": media})
        refused(answer, 400, "INVALID_ARGUMENT")
    refused(batch(room, one, Authorization="Bearer otr_wrong"), 401, "UNAUTHENTICATED")
    for hostile in (b"--b", b"--b--", b"\0" * 9, b"--b\r\n" * 5000, b"--b\n\n" + b"a:" * 90_000 + b"\n--b--"):
        sent = {"Content-Type": MIXED}
        assert room.anyone.post(BATCH, content=hostile, headers=sent).status_code in (200, 400)
    with room.with_settings(public_reading=False) as private:
        refused(batch(private, one), 401, "UNAUTHENTICATED")
        assert answered(batch(private, one, by=private.reader)) == [200]


@pytest.mark.parametrize(
    "lines", ["a:b\r\n" * 51, "accept: */*\r\n" * 80_000, f"a: {'b' * 8192}\r\n", "a:b\r" * 51]
)
def test_a_request_in_a_batch_has_so_much_of_a_header(room: Newsroom, lines: str) -> None:
    """A megabyte of lines took two seconds before it could be refused."""
    one = "GET /v1alpha1/claims:search?query=x HTTP/1.1\r\n"
    assert answered(batch(room, one + "a: b\r\n" * 50 + "\r\n")) == [200]
    around = f"--b\r\n{lines}\r\n{one}\r\n--b--"
    outer = room.anyone.post(BATCH, content=around, headers={"Content-Type": MIXED})
    for wrong in (batch(room, f"{one}{lines}\r\n"), outer):
        assert "header of more than" in refused(wrong, 400, "INVALID_ARGUMENT")["message"]


def test_a_batch_has_one_turn_for_all_that_is_in_it(room: Newsroom) -> None:
    """It holds that itself: if each request in it waited for one, none would ever be answered."""
    one = "GET /v1alpha1/claims:search?query=x HTTP/1.1\r\n\r\n"
    here = {"X-Forwarded-For": "203.0.113.7"}
    with room.with_settings(requests_at_once=1) as strict:
        assert answered(batch(strict, one, one, by=strict.anyone, **here)) == [200, 200]
