"""docs/glossary.md defines every value that the code knows, in its order, with an example."""

import re
from collections.abc import Mapping
from typing import Any, get_args

import pytest

from app.access.model import RoleName
from app.changes.hidden import Visibility
from app.claims.anchors import AnchorState
from app.claims.model import (
    Agreement,
    Attribution,
    ClaimKind,
    Comparator,
    CorrectionKind,
    FigureKind,
    Mode,
    Status,
    Verdict,
)
from app.entities.model import AliasKind, EntityKind
from app.links.model import Relation
from app.reviews.model import ReviewState, Stance
from app.reviews.rules import PRIMARY
from app.sources.model import SourceKind
from app.web.values import VALUES
from tests.test_documentation import page, table

DEFINED: Mapping[str, Any] = {
    "Verdicts": Verdict,
    "Attributions": Attribution,
    "Status of a claim": Status,
    "Modes of a claim": Mode,
    "Kinds of claim": ClaimKind,
    "Stances of evidence": Stance,
    "States of a review": ReviewState,
    "Agreement among desks": Agreement,
    "Corrections": CorrectionKind,
    "Links between claims": Relation,
    "States of an anchor": AnchorState,
    "Kinds of source": SourceKind,
    "Kinds of figure": FigureKind,
    "Comparators of a figure": Comparator,
    "Kinds of entity": EntityKind,
    "Kinds of alias": AliasKind,
    "Visibility": Visibility,
    "Roles": RoleName,
}
"""The values that each section of the glossary defines."""


def section(name: str) -> list[list[str]]:
    [text] = re.findall(rf"^## {name}\n(.*?)(?=^## |\Z)", page("glossary.md"), re.MULTILINE | re.DOTALL)
    return table(text)


def test_defines_what_a_section_is_of_and_no_section_is_unknown() -> None:
    sections = set(re.findall(r"^## (.+)$", page("glossary.md"), re.MULTILINE))
    assert sections == {"Terms", *DEFINED}


@pytest.mark.parametrize("name", DEFINED)
def test_defines_each_value_with_an_example(name: str) -> None:
    rows = section(name)
    values = [row[0].strip("`") for row in rows]
    missing = set(get_args(DEFINED[name])) - set(values)
    assert not missing, f'docs/glossary.md, "{name}", has no definition of: {", ".join(sorted(missing))}'
    assert values == list(get_args(DEFINED[name]))
    for row in rows:
        assert all(row), f"{row[0]} lacks a definition or an example"
    defined = [dict(each) for each in VALUES if tuple(each) == get_args(DEFINED[name])]
    assert defined == [{value: row[-2] for value, row in zip(values, rows, strict=True)}], (
        f'app/web/values.py and docs/glossary.md, "{name}", define its values in other words'
    )


def test_says_which_sources_are_primary() -> None:
    assert [row[0].strip("`") for row in section("Kinds of source") if row[1] == "yes"] == [
        kind for kind in get_args(SourceKind) if kind in PRIMARY
    ]
