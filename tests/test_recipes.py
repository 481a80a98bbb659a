"""Every recipe of docs/recipes.md, run against a live server as its readers run it."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from app.exchange.flat import FEEDS
from tests.served import Served, environment, served
from tests.test_documentation import page, table

PLACEHOLDER = "http://localhost:8000"
RECIPES = re.findall(r"^```(\w+)\n(.*?)^```$", page("recipes.md"), flags=re.MULTILINE | re.DOTALL)


def recipes(language: str) -> list[str]:
    return [code for kind, code in RECIPES if kind == language]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("recipes")
    with served(environment(f"sqlite:///{place}/record.db"), place / "log", "--migrate", "--seed") as running:
        yield running


def run(server: Served, place: Path, command: list[str], code: str) -> str:
    own = "127.0.0.1,localhost"
    env = {**os.environ, "NO_PROXY": own, "no_proxy": own, "HOME": str(place)}
    done = subprocess.run(
        [*command, code.replace(PLACEHOLDER, server.url)],
        cwd=place, env=env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_is_a_recipe_for_each() -> None:
    assert [len(recipes(kind)) for kind in ("python", "sh", "json", "text")] == [4, 3, 1, 1]
    assert len(RECIPES) == 9
    assert all(PLACEHOLDER in code or code == WITHOUT_DOWNLOAD for _, code in RECIPES)


PANDAS, POLARS, DUCKDB, WITHOUT_DOWNLOAD = recipes("python")
# Tests download nothing.
IN_PYTHON = {"pandas": PANDAS, "polars": POLARS, "duckdb": f"{WITHOUT_DOWNLOAD}\n{DUCKDB}"}


@pytest.mark.parametrize("code", IN_PYTHON.values(), ids=IN_PYTHON)
def test_a_recipe_in_python_works(server: Served, tmp_path: Path, code: str) -> None:
    assert run(server, tmp_path, [sys.executable, "-W", "error", "-c"], code)


def test_the_recipes_for_the_shell_work(server: Served, tmp_path: Path) -> None:
    selected, changed, checked = recipes("sh")
    lines = run(server, tmp_path, ["bash", "-euo", "pipefail", "-c"], selected).splitlines()
    assert lines
    assert all(line.count("\t") == 2 for line in lines)
    for _ in range(2):
        run(server, tmp_path, ["bash", "-euo", "pipefail", "-c"], changed)
    run(server, tmp_path, ["bash", "-euo", "pipefail", "-c"], checked)


def test_duckdb_reads_only_what_it_needs(server: Served, tmp_path: Path) -> None:
    asked = "SELECT request.headers::VARCHAR, response.status::VARCHAR FROM duckdb_logs_parsed('HTTP')"
    code = IN_PYTHON["duckdb"].replace("rows =", "duckdb.sql(\"CALL enable_logging('HTTP')\")\nrows =", 1)
    log = run(server, tmp_path, [sys.executable, "-c"], f"{code}\nprint(duckdb.sql({asked!r}).fetchall())")
    assert "Range" in log
    assert "PartialContent_206" in log


def test_what_a_spreadsheet_imports_is_what_is_said_of_it(server: Served) -> None:
    [formula] = recipes("text")
    address = re.findall(r'"(.+)"', formula.replace(PLACEHOLDER, server.url))[0]
    with server.client() as client:
        answer = client.get(address)
        claims = client.get(address.replace(".csv", ".json")).json()
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    text = answer.content.decode("utf-8")
    assert csv.Sniffer().sniff(text.split("\r\n")[0]).delimiter == ","
    found = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert found[0] == [column.name for column in FEEDS[0].columns]
    assert len(found) == 1 + len(claims)
    assert {len(row) for row in found} == {len(found[0])}


READ_AS: dict[str, Any] = {"timestamp": date.fromisoformat, "string": str, "number": float, "boolean": bool}


def test_grafana_finds_what_its_query_selects(server: Served) -> None:
    query = json.loads(recipes("json")[0].replace(PLACEHOLDER, server.url))
    with server.client() as client:
        rows = client.get(query["url"]).json()
    assert query["root_selector"] == ""
    assert rows
    for column in query["columns"]:
        values = [row[column["selector"]] for row in rows]
        assert any(value is not None for value in values), column
        for value in values:
            assert value is None or READ_AS[column["type"]](value) is not None


@pytest.mark.parametrize("feed", FEEDS, ids=[feed.name for feed in FEEDS])
def test_the_tables_of_columns_are_the_code_s(feed: Any) -> None:
    section = re.split(rf"^## {feed.name}$", page("feeds.md"), flags=re.MULTILINE)[1].split("\n## ")[0]
    assert table(section) == [
        [f"`{column.name}`", f"{column.kind}{' or null' if column.null else ''}", column.doc]
        for column in feed.columns
    ]
