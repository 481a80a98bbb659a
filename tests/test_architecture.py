"""docs/architecture.md names functions, files and folders that there are, and the order that is held."""

import ast
import re

from tests.test_documentation import ROOT, page
from tests.test_house import LAYOUT

NAMED = re.findall(r"`((?:app|tests|migrations)/[\w/]+(?:\.py)?)(?::([\w.]+))?`", page("architecture.md"))


def defined(path: str) -> set[str]:
    """The functions, classes and methods of a file."""
    found = set()
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = [n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
            found |= {f"{node.name}.{each.name}" for each in inner}
    return found


def test_what_it_names_is_there() -> None:
    missing = [
        f"{path}:{name}" if name else path
        for path, name in NAMED
        if not (ROOT / path).exists() or (name and name not in defined(path))
    ]
    assert missing == [], "docs/architecture.md names what has moved or gone"
    assert len([name for _, name in NAMED if name]) > 25


def test_it_has_five_flows_and_three_checklists() -> None:
    flows, checklists = page("architecture.md").split("## Three checklists")
    assert len(re.findall(r"^\*\*.+\*\*$", flows, re.MULTILINE)) == 5
    assert len(re.findall(r"^### ", checklists, re.MULTILINE)) == 3


def test_the_order_of_folders_is_the_one_that_is_held() -> None:
    [order] = re.findall(r"`(settings < [^`]+)`", page("architecture.md"))
    held = [feature for feature, _ in LAYOUT if feature != "__main__"]
    assert [name.strip() for name in order.split("<")] == list(dict.fromkeys(held))
