"""The guide at /guide: the files of docs/ as pages, nothing else, and nothing in them that a browser runs."""

import asyncio
import base64
import hashlib
import re
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app.base.problems import install_problem_handlers
from app.web import guide
from tests.test_documentation import ROOT

NAMES = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))


def get(path: str) -> httpx.Response:
    """Ask an application of this router alone, which needs no database."""
    app = FastAPI()
    app.include_router(guide.router)
    install_problem_handlers(app)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path)

    return asyncio.run(ask())


def ids(page: str) -> set[str]:
    return set(re.findall(r' id="([^"]+)"', page))


def test_has_a_page_for_each_file_and_links_that_lead_somewhere() -> None:
    pages = {name: get(f"/guide/{name}").text for name in NAMES}
    pages[""] = get("/guide").text
    assert pages[""] == pages["index"]
    for name, page in pages.items():
        for link in re.findall(r'href="([^"]+)"', page):
            if link.startswith("https:") or link == "/docs":
                continue
            found = re.fullmatch(r"(?:/guide/?([\w-]*))?(?:#(.+))?", link)
            assert found, (name, link)
            target = pages[found[1] if link.startswith("/") else name]
            assert found[2] is None or found[2] in ids(target), (name, link)
        assert ".md" not in "".join(re.findall(r'href="([^"]+)"', page)), name


def test_the_index_lists_each_page_once_and_each_leads_to_the_next() -> None:
    listed = re.findall(r"\]\((\S+)\.md\)", (ROOT / "docs" / "index.md").read_text())
    assert sorted([*listed, "index"]) == NAMES
    place, walked = "/guide", []
    while found := re.search(r'<a href="/guide/(\w+)">Next: ', get(place).text):
        walked.append(found[1])
        place = f"/guide/{found[1]}"
    assert walked == listed


@pytest.mark.parametrize(
    "name", ["README", "index.md", "..%2FREADME", "%2e%2e", "..%2f..%2fetc%2fpasswd", "monitoring"]
)
def test_serves_no_other_file(name: str) -> None:
    answer = get(f"/guide/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_page_loads_and_runs_nothing_but_its_own_style() -> None:
    answer = get("/guide/trust")
    policy = answer.headers["content-security-policy"]
    [style] = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; ")
    assert "unsafe" not in policy
    assert "<script" not in answer.text


def test_what_would_run_in_a_file_is_shown_as_text(tmp_path: Path) -> None:
    file = tmp_path / "bad.md"
    file.write_text(
        '# A `<b>`\n\n<script>alert(1)</script> [a](javascript:alert) <a onclick="x">\n\n## A\n\n## A\n'
    )
    shown = guide.Page(file).html.decode()
    assert "<script" not in shown
    assert "&lt;script&gt;alert(1)" in shown
    assert "<a onclick" not in shown
    assert 'href="javascript' not in shown
    assert "<title>A &lt;b&gt;: On the Record" in shown
    assert ids(shown) == {"a-b", "a", "a-1"}


def test_a_file_that_is_not_in_the_guide_is_named_and_not_linked(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text(
        "[the lock](../requirements.lock) [rest](trust.md#erasure) [home](index.md) [out](https://example.org)"
    )
    shown = guide.Page(file).html.decode()
    assert '<span title="requirements.lock">the lock</span>' in shown
    assert re.findall(r'href="([^"]+)"', shown)[2:] == [
        "/guide/trust#erasure",
        "/guide",
        "https://example.org",
    ]
