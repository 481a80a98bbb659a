"""A ruling is not dated in the future, however it comes: it would outrank all that are made until then."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from app.base.times import instant, is_ahead
from tests.newsroom import Json, Newsroom, match, ok, problem, ruling
from tests.test_google_factcheck import PAGES, page_of, refused
from tests.test_markup import bring, changed, outcomes, told

SLIP = "2206-02-03"
WRONG = (400, "INVALID_ARGUMENT")


def ahead(**by: float) -> str:
    return instant(datetime.now(UTC) + timedelta(**by))


def fault(answer: Json) -> str:
    [found] = answer["errors"]
    assert "in the future" in found["detail"]
    return str(found["pointer"])


def test_a_ruling_dated_in_the_future_is_refused(room: Newsroom) -> None:
    claim = room.claim()
    room.take(claim)
    first = room.review(claim, reviewed_at=ahead(minutes=2))  # two clocks differ
    correction = {"corrects": first["id"], "correction_note": "A slip."}
    for more in ({}, correction):
        for at in (f"{SLIP}T00:00:00Z", ahead(minutes=10), "9999-12-31T23:59:59Z"):
            by = room.editor if more else room.checker
            path, body = f"/v1/claims/{claim['id']}/reviews", ruling(reviewed_at=at, **more)
            with room.unchanged():
                answer = by.post(path, headers=match(room.fresh(claim)), json=body)
            assert fault(problem(answer, 422, "invalid")) == "/reviewed_at"


def test_one_that_comes_in_a_file_is_refused_and_its_claim_is_not_added(room: Newsroom) -> None:
    slips = {"datePublished": SLIP}, {"datePublished": None, "dateCreated": ahead(hours=1)}
    for members in slips:
        with room.unchanged():
            done = bring(room, changed(**members), mode="good")
            assert outcomes(done) == ["refused"]
            assert told(done) == "/reviewed_at: is in the future"
    record = {
        "type": "review", "publisher": "The Desk", "label": "False", "url": "https://desk.example.org/1",
        "reviewed_at": f"{SLIP}T00:00:00Z",
        "claim": {"text": "Gas is free.", "mode": "paraphrase", "speakers": ["Gerda"]},
    }  # fmt: skip
    with room.unchanged():
        row = bring(room, _line(record), "application/x-ndjson", mode="good", new_entities="person")
    assert told(row) == "/reviewed_at: is in the future"
    bring(
        room,
        _line(record | {"reviewed_at": "2024-02-03T00:00:00Z"}),
        "application/x-ndjson",
        new_entities="person",
    )
    [claim] = room.get("/v1/claims")["data"]
    assert claim["verification"]["verdict"] == "false"


def _line(record: Json) -> str:
    return json.dumps(record) + "\n"


def test_a_page_by_google_s_interface_is_refused(room: Newsroom) -> None:
    with room.unchanged():
        error = refused(room.checker.post(PAGES, json=page_of("Gas is free.", publishDate=SLIP)), *WRONG)
    assert "publishDate" in str(error)
    page = ok(room.checker.post(PAGES, json=page_of("Gas is free.")))
    with room.unchanged():
        at = f"/v1alpha1/{page['name']}"
        refused(room.editor.put(at, json=page | {"publishDate": SLIP}), *WRONG)


def test_what_is_taken_back_needs_no_date(room: Newsroom) -> None:
    assert outcomes(bring(room, changed())) == ["created"]
    gone = changed(creativeWorkStatus="Withdrawn", datePublished=SLIP)
    assert outcomes(bring(room, gone, by=room.editor)) == ["created"]
    [claim] = room.get("/v1/claims")["data"]
    assert claim["verification"]["status"] == "unverified"


@pytest.mark.parametrize(
    ("now", "at", "is_there"),
    [
        ("2024-02-02T10:00:01", "2024-02-03T00:00:00", True),  # the day has begun in Kiribati
        ("2024-02-02T09:59:59", "2024-02-03T00:00:00", False),
        ("2024-02-02T23:00:00", "2024-02-03T00:00:01", False),  # a moment, not a day
        ("2024-02-02T23:55:01", "2024-02-03T00:00:01", True),
    ],
)
def test_a_day_alone_is_today_where_it_has_begun(
    monkeypatch: pytest.MonkeyPatch, now: str, at: str, is_there: bool
) -> None:
    monkeypatch.setattr("app.base.times.now", lambda: datetime.fromisoformat(f"{now}+00:00"))
    assert is_ahead(datetime.fromisoformat(f"{at}+00:00"), day_alone=True) is not is_there
    if not is_there:
        assert is_ahead(datetime.fromisoformat(f"{at}+00:00"))
