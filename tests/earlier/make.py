"""Writes what a database of this version leaves behind: `python -m tests.earlier.make`.

It makes a directory named by the schema's revision, before a form of the ledger or a word of the API changes:
`export.ndjson`, `bundles.ndjson` (one a line), `checkpoint.txt`, `key.txt`, `record.sqlite` and `dump.sql`,
compressed with gzip where they are large. The speakers and desks beyond the seed's are invented.
"""

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import orjson

from app.base.schema import newest
from app.claims.model import Attribution, Verdict
from app.exchange.dump import export
from tests.earlier import HERE
from tests.newsroom import Bases, Json, Newsroom, PostgresBases, Server, SqliteBases, match, ok, ruling
from tests.postgres import installations, running_postgres

BUNDLES = 5
TEXT = (
    "MINISTER: Our exports reached 38 bcm last year. We will double them by 2030.\n"
    "REPORTER: And the price?\nMINISTER: The price is not “agreed”, and I will not name it."
)
"""A transcript of nobody's words."""


def tell(room: Newsroom) -> list[str]:
    """Make every verdict, attribution, move and merge, beside the seed. Return the ids of five claims."""
    ok(room.reporter.post("/v1/entities", json={"kind": "person", "name": "Anna Invented"}))
    ok(room.reporter.post("/v1/entities", json={"kind": "organization", "name": "The Invented Desk"}))
    claims = [*_verdicts(room), *_attributions(room)]
    corrected = _moves(room, *claims[:3])
    _under_four_eyes(room)
    _merges(room)
    _links(room, *claims[3:6])
    quoted = _texts(room)
    _keys(room)
    [seeded] = room.get("/v1/claims", speaker="vladimir-putin", has_figure="true", limit=1)["data"]
    return [seeded["id"], corrected, claims[-1]["id"], quoted, claims[1]["id"]]


def _stated(room: Newsroom, text: str, **more: Any) -> Json:
    return ok(
        room.reporter.post(
            "/v1/claims", json={"text": text, "mode": "paraphrase", "speakers": ["anna-invented"], **more}
        )
    )


def _verdicts(room: Newsroom) -> list[Json]:
    made = []
    for n, verdict in enumerate(get_args(Verdict)):
        claim = _stated(room, f"Exports rose by {n + 2} percent.", said=f"2024-0{n % 9 + 1}")
        rated: Json = {
            "rating": {"value": 1, "best": 5, "worst": 1},
            "label": "Nope",
            "publisher": "the-invented-desk",
        }
        room.review(room.take(claim), verdict=verdict, **(rated if verdict == "false" else {}))
        made.append(claim)
    return made


def _attributions(room: Newsroom) -> list[Json]:
    source = room.source("https://example.org/transcript", "A transcript", kind="transcript")
    proof = [{"source": source["id"], "stance": "supports", "note": "Page 2."}]
    more: dict[str, Json] = {
        "altered": {"actual_words": "It may rise."},
        "misattributed": {"actual_speaker": "vladimir-putin"},
    }
    made = []
    for attribution in get_args(Attribution):
        claim = _stated(room, f"It will rise, {attribution}.", appearances=[{"source": source["id"]}])
        ruled = ruling(verdict=None, attribution=attribution, evidence=proof, **more.get(attribution, {}))
        room.take(claim)
        path = f"/v1/claims/{claim['id']}/reviews"
        ok(room.checker.post(path, headers=match(room.fresh(claim)), json=ruled))
        made.append(claim)
    return made


def _moves(room: Newsroom, released: Json, corrected: Json, withdrawn: Json) -> str:
    room.take(released)
    ok(room.checker.delete(f"/v1/claims/{released['id']}/assignment", headers=match(room.fresh(released))))
    [first] = room.get(f"/v1/claims/{corrected['id']}/reviews")["data"]
    note = {"corrects": first["id"], "correction_note": "It was misread."}
    room.review(corrected, by=room.editor, verdict="half_true", **note)
    path = f"/v1/claims/{withdrawn['id']}/withdrawal"
    ok(room.editor.post(path, headers=match(room.fresh(withdrawn)), json={"note": "Stated twice."}))
    again = _stated(room, "Withdrawn and back.")
    path = f"/v1/claims/{again['id']}/withdrawal"
    ok(room.editor.post(path, headers=match(again), json={"note": "By mistake."}))
    ok(room.editor.delete(path, headers=match(room.fresh(again))))
    room.take(_stated(room, "Somebody is at it."))
    repeat = _stated(room, "Exports rose by three percent, as I said.", repeats=corrected["id"])
    changed = {"text": "Exports rose by 3 percent, as I said.", "topics": ["energy"]}
    ok(room.editor.patch(f"/v1/claims/{repeat['id']}", headers=match(room.fresh(repeat)), json=changed))
    return str(corrected["id"])


def _under_four_eyes(room: Newsroom) -> None:
    with room.with_settings(four_eyes=True) as strict:
        for n, decided in enumerate(("approval", "return", None)):
            claim = _stated(strict, f"Proposed, number {n}.")
            strict.review(strict.take(claim), verdict="mostly_true")
            if decided:
                note = {"note": "Which table?"} if decided == "return" else {}
                path = f"/v1/claims/{claim['id']}/{decided}"
                ok(strict.editor.post(path, headers=match(strict.fresh(claim)), json=note))


def _merges(room: Newsroom) -> None:
    for name in ("Ana Invented", "A. Invented"):
        twin = ok(room.reporter.post("/v1/entities", json={"kind": "person", "name": name}))
        _stated(room, f"As {name} says.", speakers=[twin["id"]])
        path = f"/v1/entities/{twin['id']}/merge"
        ok(room.editor.post(path, headers=match(twin), json={"into": "anna-invented"}))
        if name == "A. Invented":
            now = room.editor.get(f"/v1/entities/{twin['id']}").headers["etag"]
            ok(room.editor.delete(path, headers={"If-Match": now}))
    named = {"aliases": [{"name": "Анна", "language": "ru"}], "description": "Invented."}
    ok(room.reporter.patch("/v1/entities/anna-invented", headers={"If-Match": "*"}, json=named))


def _links(room: Newsroom, one: Json, other: Json, third: Json) -> None:
    for relation, judgement in (
        ("contradicts", "positive"),
        ("supports", "negative"),
        ("repeats", "negative"),
    ):
        body = {"other": other["id"], "relation": relation, "judgement": judgement}
        made = ok(room.checker.post(f"/v1/claims/{one['id']}/links", json=body))
    path = f"/v1/claims/{one['id']}/links/{made['id']}"
    ok(
        room.checker.patch(
            path, headers={"If-Match": "*"}, json={"judgement": "unsure", "note": "Look again."}
        )
    )
    body = {"other": third["id"], "relation": "supports", "judgement": "positive"}
    ok(room.checker.post(f"/v1/claims/{one['id']}/links", json=body))


def _texts(room: Newsroom) -> str:
    source = room.source(
        "https://example.org/briefing", "A briefing", kind="press_conference", published="2025"
    )
    path = f"/v1/sources/{source['id']}/snapshots"
    ok(room.reporter.post(path, json={"text": TEXT}))
    figure = {"measure": "gas exports", "value": "38", "unit": "bcm", "period": "2024"}
    claim = _stated(
        room,
        "Our exports reached 38 bcm last year.",
        mode="direct_quote",
        appearances=[{"source": source["id"]}],
        figures=[figure],
    )
    proof = [{"source": source["id"], "stance": "supports", "anchor": {"exact": "38 bcm last year"}}]
    room.review(room.take(claim), verdict="true", attribution="confirmed", evidence=proof)
    ok(room.reporter.post(path, json={"text": TEXT.replace("last year", "in 2024"), "text_withheld": True}))
    ok(
        room.reporter.patch(
            f"/v1/sources/{source['id']}", headers={"If-Match": "*"}, json={"title": "Briefing"}
        )
    )
    return str(claim["id"])


def _keys(room: Newsroom) -> None:
    key_id, _ = room.key("checker", "A key that is revoked")
    ok(room.admin.delete(f"/v1/keys/{key_id}", headers={"If-Match": "*"}))
    hook = ok(room.admin.post("/v1/webhooks", json={"url": "https://desk.invalid/hook"}))
    ok(room.admin.patch(f"/v1/webhooks/{hook['id']}", headers={"If-Match": "*"}, json={"types": ["claim"]}))


# --- files -------------------------------------------------------------------------------------


def write(room: Newsroom, claims: list[str], directory: Path) -> None:
    """Write what readers of this database may have kept of it."""
    with room.db.read() as session:
        _compress(directory / "export.ndjson.gz", b"".join(export(session)))
    bundles = [room.anyone.get(f"/v1/claims/{claim}/bundle").json() for claim in claims]
    _compress(directory / "bundles.ndjson.gz", b"\n".join(map(orjson.dumps, bundles)))
    for name in ("checkpoint", "key"):
        answer = room.anyone.get(f"/v1/log/{name}")
        (directory / f"{name}.txt").write_bytes(answer.content)


def _compress(file: Path, content: bytes) -> None:
    file.write_bytes(gzip.compress(content, mtime=0))


def dumped(url: str) -> bytes:
    """The statements that make a PostgreSQL database again, without those that only newer servers know."""
    program = installations()[0].bin / "pg_dump"
    plain = url.replace("+psycopg", "")
    words = ["--inserts", "--rows-per-insert=100", "--no-owner", "--no-privileges", plain]
    done = subprocess.run([program, *words], capture_output=True, check=True)
    return re.sub(rb"(?m)^(\\(un)?restrict .*|SET \w+ = .*;)\n", b"", done.stdout)


def main() -> None:
    """Write the directory of this version."""
    directory = HERE / str(newest())
    directory.mkdir(exist_ok=True)
    with Server() as server, TemporaryDirectory() as place, running_postgres() as postgres:
        made: list[tuple[Bases, str]] = [
            (SqliteBases(Path(place)), "record.sqlite.gz"), (PostgresBases(postgres), "dump.sql.gz")
        ]  # fmt: skip
        for bases, name in made:
            with bases.fresh(seeded=True) as url:
                with Newsroom(server, url) as room:
                    claims = tell(room)
                    if name == "record.sqlite.gz":
                        write(room, claims, directory)
                kept = dumped(url) if "postgres" in url else Path(url.removeprefix("sqlite:///")).read_bytes()
                _compress(directory / name, kept)
    for file in sorted(directory.iterdir()):
        print(f"{file.stat().st_size:9,} {file}", file=sys.stderr)


if __name__ == "__main__":
    os.umask(0o022)
    main()
