"""What the server is made of: the bill of materials, and the audit, which must not pass without a look."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import pytest
from cyclonedx.output.json import JsonV1Dot6

from app.base import schema
from tests import sbom

LOCK = (schema.ROOT / "requirements.lock").read_text()
Answers = dict[str, dict[str, object]]


# --- the bill of materials ---------------------------------------------------------------------


def test_the_bill_has_every_package_of_the_lock_and_each_hash() -> None:
    bill = json.loads(sbom.bill(LOCK))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    told = {each["name"]: each for each in bill["components"]}
    assert told.keys() == set(re.findall(r"^([\w.-]+)==", LOCK, re.MULTILINE))
    assert len(told) > 40
    hashes = {part["content"] for each in told.values() for part in each["hashes"]}
    assert hashes == set(re.findall(r"sha256:([0-9a-f]{64})", LOCK))
    assert told["sqlalchemy"]["purl"] == f"pkg:pypi/sqlalchemy@{version('sqlalchemy')}"
    assert "linux" in told["pysqlite3"]["properties"][0]["value"]
    [root] = [each for each in bill["dependencies"] if each["ref"] == "on-the-record"]
    assert len(root["dependsOn"]) == len(told)


def test_the_same_lock_makes_the_same_bill() -> None:
    assert sbom.bill(LOCK) == sbom.bill(LOCK)
    assert sbom.bill(LOCK) != sbom.bill(LOCK.replace("==", "==1!", 1))


def test_a_bill_that_is_not_as_its_schema_says_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    written = JsonV1Dot6.output_as_string
    monkeypatch.setattr(
        JsonV1Dot6,
        "output_as_string",
        lambda self, **given: written(self, **given).replace('"library"', '"bookshelf"'),
    )
    with pytest.raises(ValueError, match="bookshelf"):
        sbom.bill(LOCK)


# --- the audit ---------------------------------------------------------------------------------


def audit(*options: str) -> subprocess.CompletedProcess[str]:
    """Runs what `make audit` runs."""
    makefile = (schema.ROOT / "Makefile").read_text().replace("\\\n", " ")
    [recipe] = re.findall(r"^\t@(\$\(RUN\) -m pip_audit .*)$", makefile, re.MULTILINE)
    command = recipe.replace("$(RUN)", sys.executable).replace("$(ARGS)", " ".join(options))
    return subprocess.run(
        ["sh", "-c", command], cwd=schema.ROOT, capture_output=True, text=True, timeout=120, check=False
    )


@contextmanager
def vulnerabilities(answers: Answers) -> Iterator[tuple[str, list[str]]]:
    """A service of vulnerabilities (OSV) that knows these; and the packages that it was asked about."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            name = json.loads(self.rfile.read(int(self.headers["content-length"])))["package"]["name"]
            asked.append(name)
            body = json.dumps(answers.get(name, {})).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_given: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


def test_the_audit_asks_about_every_package_and_passes_if_all_are_sound() -> None:
    with vulnerabilities({}) as (address, asked):
        done = audit("--vulnerability-service osv", f"--osv-url {address}")
    assert done.returncode == 0, done.stderr
    elsewhere = set(re.findall(r"^([\w.-]+)==\S+ ; ", LOCK, re.MULTILINE))
    assert set(asked) >= set(re.findall(r"^([\w.-]+)==", LOCK, re.MULTILINE)) - elsewhere


def test_the_audit_names_a_package_that_is_not_sound() -> None:
    package = {"name": "orjson", "ecosystem": "PyPI"}
    known: Answers = {"orjson": {"vulns": [{"id": "OSV-0000-1", "affected": [{"package": package}]}]}}
    with vulnerabilities(known) as (address, _):
        done = audit("--vulnerability-service osv", f"--osv-url {address}")
    assert done.returncode == 1
    assert "OSV-0000-1" in done.stdout
    assert "found wanting" in done.stderr


def test_an_audit_that_could_not_look_does_not_pass() -> None:
    done = audit("--vulnerability-service osv", "--osv-url http://127.0.0.1:1", "--timeout 2")
    assert done.returncode == 1
    assert "NOT audited" in done.stderr
