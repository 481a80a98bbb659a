"""Who may what, cell by cell: every route as every caller, with a request that is good in all else."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx

from app.access.model import RoleName
from tests import roles
from tests.contract import CALLERS, GOOGLES, place
from tests.newsroom import Json, Newsroom, match, ok, problem, ruling
from tests.roles import Cells, rows

Request = tuple[str, Any]
numbers = itertools.count()

LINE = b'{"name": "Imported", "kind": "person"}\n'


class Stage:
    """What is put on for a cell: a fresh record, and whose it is. Each method is an operation and gives the
    address and the body of its request.
    """

    def __init__(self, room: Newsroom, caller: RoleName | None, cells: Cells) -> None:
        self.room, self.caller, self.cells = room, caller, cells
        self.number = next(numbers)
        own = self.is_own(cells, caller)
        self.owner: httpx.Client = getattr(room, caller or "") if own else self.another

    @staticmethod
    def is_own(cells: Cells, caller: RoleName | None) -> bool:
        """Return whether the record is the caller's; who may not hold a claim is refused it whoever does."""
        holders = ("checker", "editor", "admin")
        callers = ("reporter", *holders) if cells.operation == "withdraw_claim" else holders
        return cells.whose == "own" and caller in callers

    @property
    def another(self) -> httpx.Client:
        self.room._clients.setdefault("another", self.room.client(self.room.key("admin", "Another")[1]))
        return self.room._clients["another"]

    def claim(self) -> Json:
        text = f"Claim number {self.number}."
        body = {"text": text, "mode": "paraphrase", "speakers": ["vladimir-putin"]}
        return ok(self.room.reporter.post("/v1/claims", json=body))

    def taken(self) -> str:
        path = f"/v1/claims/{self.claim()['id']}"
        ok(self.owner.post(f"{path}/assignment", headers={"If-Match": "*"}))
        return path

    def proposed(self) -> str:
        path = self.taken()
        ok(self.owner.post(f"{path}/reviews", headers={"If-Match": "*"}, json=ruling()))
        return path

    def entity(self) -> str:
        return f"/v1/entities/{self.room.entity(f'Entity number {self.number}')['id']}"

    def source(self) -> str:
        return f"/v1/sources/{self.room.source(f'https://example.org/{self.number}')['id']}"

    # claims

    def state_claim(self) -> Request:
        return "/v1/claims", {"text": "Said.", "mode": "paraphrase", "speakers": ["vladimir-putin"]}

    def revise_claim(self) -> Request:
        return f"/v1/claims/{self.claim()['id']}", {"place": "Moscow"}

    def take_claim(self) -> Request:
        return f"{self.taken()}/assignment", None

    def release_claim(self) -> Request:
        return f"{self.taken()}/assignment", None

    def review_claim(self) -> Request:
        return f"{self.taken()}/reviews", ruling()

    def approve_review(self) -> Request:
        return f"{self.proposed()}/approval", None

    def return_review(self) -> Request:
        return f"{self.proposed()}/return", None

    def withdraw_claim(self) -> Request:
        body = {"text": f"Claim {self.number}.", "mode": "paraphrase", "speakers": ["vladimir-putin"]}
        return f"/v1/claims/{ok(self.owner.post('/v1/claims', json=body))['id']}/withdrawal", {
            "note": "Twice."
        }

    def reinstate_claim(self) -> Request:
        claim = self.claim()
        path = f"/v1/claims/{claim['id']}/withdrawal"
        ok(self.another.post(path, headers=match(claim), json={"note": "Twice."}))
        return path, None

    def publish_claim(self) -> Request:
        return f"/v1/claims/{self.room.claim(visibility='internal')['id']}/publication", None

    def unpublish_claim(self) -> Request:
        return f"/v1/claims/{self.claim()['id']}/publication", None

    def publish_claims(self) -> Request:
        return "/v1/publications", {"claims": [self.room.claim(visibility="internal")["id"]]}

    def publish_source(self) -> Request:
        return f"/v1/sources/{self.another_source(visibility='internal')}/publication", None

    def unpublish_source(self) -> Request:
        return f"/v1/sources/{self.another_source()}/publication", None

    def another_source(self, **more: Any) -> str:
        at = f"https://example.org/published/{next(numbers)}"
        return str(self.room.source(at, **more)["id"])

    def gather_evidence(self) -> Request:
        return f"/v1/claims/{self.claim()['id']}/evidence", {
            "url": "https://example.org",
            "stance": "refutes",
        }

    def link_claims(self) -> Request:
        other, body = self.claim()["id"], {"relation": "supports", "judgement": "positive"}
        return f"/v1/claims/{self.claim()['id']}/links", {**body, "other": other}

    def judge_link_again(self) -> Request:
        path, body = self.link_claims()
        link = ok(self.another.post(path, json=body))
        return f"{path}/{link['id']}", {"judgement": "negative"}

    # entities and sources

    def create_entity(self) -> Request:
        return "/v1/entities", {"name": f"New entity {self.number}", "kind": "person"}

    def revise_entity(self) -> Request:
        return self.entity(), {"description": "Someone."}

    def merge_entity(self) -> Request:
        return f"{self.entity()}/merge", {"into": "vladimir-putin"}

    def part_entity(self) -> Request:
        path, body = self.merge_entity()
        ok(self.another.post(path, headers={"If-Match": "*"}, json=body))
        return path, None

    def create_source(self) -> Request:
        return "/v1/sources", {"url": f"https://example.org/new/{self.number}", "title": "New"}

    def revise_source(self) -> Request:
        return self.source(), {"title": "Another title"}

    def archive_snapshot(self) -> Request:
        return f"{self.source()}/snapshots", {"text": "A text."}

    def import_file(self) -> Request:
        return "/v1/import?type=entity", LINE

    @property
    def markup(self) -> Json:
        """That of a page of another desk."""
        rating = {"textualRating": f"Number {self.number}"}
        claim = {"claimReviewed": "Said.", "claimAuthor": {"name": "Vladimir Putin"}, "rating": rating}
        desk = {
            "claimReviewAuthor": {"name": "Another desk"},
            "pageUrl": f"https://example.org/p/{self.number}",
        }
        return {**desk, "claimReviewMarkups": [{**claim, "claimReviewed": f"Said {self.number} times."}]}

    def page(self) -> str:
        """The name of one that was approved."""
        made = ok(self.another.post("/v1alpha1/pages", json=self.markup))
        [claim] = self.room.get("/v1/claims", status="pending_approval", limit=1)["data"]
        ok(self.room.admin.post(f"/v1/claims/{claim['id']}/approval", headers={"If-Match": "*"}))
        return str(made["name"])

    def reconcile(self) -> Request:
        return '/reconcile?queries={"q0":{"query":"Xi"}}', None

    def datacommons_node(self) -> Request:
        return "/core/api/v2/node", {"nodes": ["china"], "property": "->name"}

    def datacommons_observation(self) -> Request:
        body = {"entity": {"dcids": ["china"]}, "select": ["variable", "entity"]}
        return "/core/api/v2/observation", body

    def datacommons_resolve(self) -> Request:
        return "/core/api/v2/resolve", {"nodes": ["Q148"], "property": "<-wikidataId->dcid"}

    def erase_record(self) -> Request:
        return "/v1/erasures", {"record": self.claim()["id"], "note": "By order of a court."}

    # webhooks, people and keys

    def create_person(self) -> Request:
        return "/v1/people", {"name": f"Person {self.number}", "role": "reader"}

    def revise_person(self) -> Request:
        path, body = self.create_person()
        made = ok(self.room.admin.post(path, json=body))
        return f"{path}/{made['id']}", {"byline": "A. E."}

    def create_webhook(self) -> Request:
        return "/v1/webhooks", {"url": "https://desk.invalid/hook"}

    def webhook(self) -> str:
        path, body = self.create_webhook()
        return f"{path}/{ok(self.another.post(path, json=body))['id']}"

    def revise_webhook(self) -> Request:
        return self.webhook(), {"note": "Of the desk"}

    def remove_webhook(self) -> Request:
        return self.webhook(), None

    def rotate_webhook(self) -> Request:
        return f"{self.webhook()}/rotate", None

    def replay_webhook(self) -> Request:
        return f"{self.webhook()}/replay", {"after": 0}

    def test_webhook(self) -> Request:
        return f"{self.webhook()}/test", None

    def create_key(self) -> Request:
        return "/v1/keys", {"name": f"Key {self.number}", "role": "reader"}

    def revoke_key(self) -> Request:
        return f"/v1/keys/{self.room.key('reader', f'Key {self.number}')[0]}", None


Asked = Callable[[httpx.Client], httpx.Response]


def staged(room: Newsroom, cells: Cells, caller: RoleName | None, at: str = "") -> Asked:
    """Return what sends a row's request, which is for an address if it reads, on a fresh stage."""
    method = cells.method
    if method == "GET":
        return lambda client: client.get(at)
    stage = Stage(room, caller, cells)
    if cells.route.path.startswith(GOOGLES):
        return _of_others(stage)
    path, body = getattr(stage, cells.operation)()
    headers = {"If-Match": "*"}
    if isinstance(body, bytes):
        headers["Content-Type"] = "application/x-ndjson"
        return lambda client: client.post(path, content=body, headers=headers)
    return lambda client: client.request(method, path, json=body, headers=headers)


def _of_others(stage: Stage) -> Asked:
    """A question that is sent as a body, a change of a page, or many requests in one."""
    method, path = stage.cells.method, stage.cells.route.path
    if path.startswith("/v1alpha1/pages"):
        at = path if method == "POST" else f"/v1alpha1/{stage.page()}"
        return lambda client: client.request(method, at, json=None if method == "DELETE" else stage.markup)
    if path.startswith("/batch/"):
        mixed = {"Content-Type": "multipart/mixed; boundary=b"}
        one = b"--b\r\n\r\nGET /v1alpha1/pages HTTP/1.1\r\n\r\n--b--\r\n"
        return lambda client: client.post(path, content=one, headers=mixed)
    asked, _, query = place(stage.room, path).partition("?")
    form = {"X-HTTP-Method-Override": "GET", "Content-Type": "application/x-www-form-urlencoded"}
    return lambda client: client.request(method, asked, content=query, headers=form)


def answers(
    room: Newsroom, cells: Cells, callers: Sequence[RoleName | None], first: dict[str, list[str]]
) -> Iterator[tuple[RoleName | None, httpx.Response]]:
    """Yield each caller's answer to a row's request. A refusal must leave no trace, so that who is refused
    leaves the stage to the next caller, unless that one needs a stage of its own.
    """
    at = place(room, cells.route.path, first) if cells.method == "GET" else ""
    send: Asked | None = None
    for who in callers:
        if send is None or Stage.is_own(cells, who):
            send = staged(room, cells, who, at)
        client: httpx.Client = getattr(room, who or "anyone")
        before = room.state()
        answer = send(client)
        if answer.is_success:
            send = None
        else:
            assert room.state() == before, f"{cells.name} ({cells.whose}) as {who} left a trace"
        yield who, answer


def _status(cells: Cells, answer: httpx.Response) -> int:
    if answer.is_success:
        return 200
    if cells.route.path.startswith(GOOGLES):
        return int(answer.json()["error"]["code"])
    return int(problem(answer, answer.status_code)["status"])


def test_every_cell_is_as_the_table_has_it(furnished: Newsroom) -> None:
    """Ask as the callers on either side of each change of a row's answer. Roles are compared before the
    database is asked for more than the key: every caller asks for each eighth row on SQLite, and every other
    row that reads is enough on PostgreSQL.
    """
    wrong = []
    first: dict[str, list[str]] = {}
    with furnished.with_settings(four_eyes=True) as room:
        for number, cells in enumerate(rows(room.app)):
            whole = room.db.sqlite and number % 8 == 0
            if cells.method == "GET" and number % 2 and not room.db.sqlite:
                continue
            for who, answer in answers(room, cells, CALLERS if whole else cells.border, first):
                found = _status(cells, answer)
                if found != cells.status(who):
                    wrong.append(f"{cells.name} ({cells.whose}) as {who}: {found}, not {cells.status(who)}")
    assert wrong == []


def test_without_public_reading_the_first_column_is_401_throughout(furnished: Newsroom) -> None:
    read = [cells for cells in rows(furnished.app) if cells.method == "GET"]
    first: dict[str, list[str]] = {}
    paths = {cells.name: place(furnished, cells.route.path, first) for cells in read}
    above = {cells.name for cells in read if cells.status("reader") != 200}
    not_answered = {name for name in roles.NOT_ANSWERED if name.startswith("GET")}
    admins = {f"GET /v1/{path}" for path in ("keys", "keys/{key_id}", "webhooks", "webhooks/{webhook_id}")}
    checkers = {f"GET /v1/{path}" for path in ("queues", "people", "people/{person_id}")}
    assert above == {*admins, *checkers, *not_answered}
    with furnished.with_settings(public_reading=False) as private:
        for name, path in paths.items():
            assert private.anyone.get(path).status_code == 401, name
            if name not in above:
                assert private.reader.get(path).status_code == 200, name


def test_a_claim_that_was_taken_is_revised_and_given_to_others_by_editors_only(seeded: Newsroom) -> None:
    claim = seeded.claim()
    seeded.take(claim)
    other = seeded.person("checker", "Other")[0]
    path = f"/v1/claims/{claim['id']}"
    for role, status in (("reporter", 403), ("checker", 403), ("editor", 200)):
        client: httpx.Client = getattr(seeded, role)
        revised = client.patch(path, headers={"If-Match": "*"}, json={"place": f"Seen by {role}"})
        assert revised.status_code == status, role
    ok(seeded.checker.delete(f"{path}/assignment", headers={"If-Match": "*"}))
    for role, status in (("checker", 403), ("editor", 200)):
        client = getattr(seeded, role)
        given = client.post(f"{path}/assignment", headers={"If-Match": "*"}, json={"assignee": other})
        assert given.status_code == status, role


def test_the_page_of_roles_is_the_code_s() -> None:
    written = roles.PAGE.read_text(encoding="utf-8")
    assert written == roles.page(), "python -m tests.roles writes it"
