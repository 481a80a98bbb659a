"""The documentation agrees with the code, both ways, and its links lead somewhere."""

import json
import re
import shlex
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer

from app.base.types import plain
from app.base.units import CURRENCIES, SCALES, UNITS, WORDS, Unit, decimal
from app.cli import cli
from app.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def table(text: str) -> list[list[str]]:
    """The rows of the Markdown tables in a text, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    heads = {n for n, row in enumerate(rows) if all(re.fullmatch(r":?-+:?", cell) for cell in row)}
    return [row for n, row in enumerate(rows) if n not in heads and n + 1 not in heads]


# --- settings ----------------------------------------------------------------------------------


def settings() -> list[list[str]]:
    """The rows that the table of settings should have."""
    return [
        [f"`RECORD_{name.upper()}`", _shown(field.default), str(field.description)]
        for name, field in Settings.model_fields.items()
    ]


def _shown(default: Any) -> str:
    if default is None:
        return "none"
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def test_the_table_of_settings_is_the_code_s() -> None:
    assert table(page("settings.md")) == settings()
    assert len(settings()) >= 9


def test_no_page_tells_of_a_setting_that_is_none() -> None:
    known = {row[0].strip("`") for row in settings()}
    told = {name for path in PAGES for name in re.findall(r"\bRECORD_[A-Z_]+\b", path.read_text())}
    assert {name for name in told if name.removesuffix("_FILE") not in known} == set()
    assert told >= known


# --- commands ----------------------------------------------------------------------------------


def commands() -> dict[str, Any]:
    """Every command of the command line by its name, such as `key create`."""
    return dict(_walk(typer.main.get_command(cli), ()))


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(path), command
        return
    for name, each in inner.items():
        yield from _walk(each, (*path, name))


def sections() -> dict[str, str]:
    """What docs/commands.md says, by command."""
    _, *parts = re.split(r"^## `([^`]+)`$", page("commands.md"), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def options(command: Any) -> list[list[str]]:
    """The rows that a command's table should have."""
    return [[_names(p), _default(p), str(p.help)] for p in command.params if p.name != "help"]


def _names(parameter: Any) -> str:
    names = [*parameter.opts, *parameter.secondary_opts]
    return ", ".join(f"`{name}`" for name in ([parameter.metavar] if parameter.metavar else names))


def _default(parameter: Any) -> str:
    default = parameter.default
    if parameter.required:
        return "required"
    if default is False:
        return "off"
    if default is None:
        return "as it was" if parameter.secondary_opts else "none"
    if isinstance(default, Path) and default.is_absolute():
        return f"`{default.relative_to(ROOT)}`"
    return f"`{default}`"


def test_every_command_has_its_section_and_every_section_its_command() -> None:
    assert sections().keys() == commands().keys()
    assert len(commands()) >= 8


@pytest.mark.parametrize("name", commands())
def test_a_command_s_section_tells_what_the_code_does(name: str) -> None:
    section, command = sections()[name], commands()[name]
    assert table(section) == options(command)
    assert " ".join(command.help.split()) in " ".join(section.split())


@pytest.mark.parametrize("name", commands())
def test_a_command_s_examples_can_be_read_by_it(name: str) -> None:
    examples = re.findall(r"^    python -m app (.+)$", sections()[name], flags=re.MULTILINE)
    assert examples
    for example in examples:
        words = shlex.split(example)
        assert words[: len(name.split())] == name.split()
        given = {word for word in words if word.startswith("--")}
        known = {option for p in commands()[name].params for option in (*p.opts, *p.secondary_opts)}
        assert given <= known


def test_no_page_tells_of_a_command_that_is_none() -> None:
    for path in PAGES:
        for told in re.findall(r"python -m app ([a-z]+(?: [a-z]+)?)", path.read_text()):
            assert any(told.startswith(f"{name} ") or told == name for name in commands()), (path.name, told)


# --- units -------------------------------------------------------------------------------------


def _digits(number: Fraction) -> str:
    """The number in decimals, or as a fraction if they have no end."""
    digits, whole = decimal(number)
    return plain(digits) if whole else f"{number.numerator}/{number.denominator}"


def units() -> list[list[str]]:
    """The rows that the table of units should have."""
    return [
        [f"`{unit.code}`", unit.dimension.replace("_", " "), _digits(unit.factor) + _zero(unit)]
        for unit in UNITS.values()
        if unit.dimension != "money"
    ]


def _zero(unit: Unit) -> str:
    return f", from {_digits(unit.zero)} on" if unit.zero else ""


def words() -> list[list[str]]:
    """The rows that the table of words should have."""
    meanings: dict[tuple[Any, str], list[str]] = {}
    for word, meaning in WORDS.items():
        meanings.setdefault(meaning, []).append(f"`{word}`")
    return [
        [", ".join(listed), f"{plain(factor)} `{code}`"] for (factor, code), listed in meanings.items()
    ] + [[f"`{word}`", plain(factor)] for word, factor in SCALES.items()]


def test_the_tables_of_units_and_words_are_the_code_s() -> None:
    assert table(page("figures.md")) == units() + words()
    for code in CURRENCIES:
        assert f" {code}" in page("figures.md")


# --- links -------------------------------------------------------------------------------------

LINK = re.compile(
    r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE
)


def links(path: Path) -> Iterator[str]:
    """Where a page's links lead, but for those to other places."""
    for inline, reference in LINK.findall(path.read_text(encoding="utf-8")):
        target = inline or reference
        if not re.match(r"[a-z][a-z0-9+.-]*:|//", target):
            yield target


def anchors(path: Path) -> set[str]:
    """The names of a page's headings, as links have them."""
    heads = re.findall(r"^#+ +(.+?) *$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def broken(path: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    found = []
    for link in links(path):
        file, _, anchor = unquote(link).partition("#")
        target = (path.parent / file).resolve() if file else path
        inside = target.is_relative_to(ROOT.resolve()) or target.is_relative_to(path.parent.resolve())
        if not target.exists() or not inside or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    assert broken(path) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# A Heading, `so`\n")
    good = "[a](b.md) [b](b.md#a-heading-so) [c](https://example.org)"
    bad = "![d](none.png) [e](b.md#none)\n\n[f]: none.md\n"
    (tmp_path / "a.md").write_text(f"{good}\n{bad}")
    assert broken(tmp_path / "a.md") == ["none.png", "b.md#none", "none.md"]


# --- promises ----------------------------------------------------------------------------------


def test_each_promise_of_the_readme_names_tests_that_there_are() -> None:
    """Every point of its introduction and of what every route keeps to has one at least."""
    readme = page("../README.md")
    rows = [(_words(promise), links) for promise, links in table(page("promises.md"))]
    for promise, links in rows:
        assert promise in _words(readme), promise
        named = re.findall(r"\[(\w+)\]\(\.\./tests/(test_\w+\.py)\)", links)
        assert named, promise
        for name, file in named:
            assert f"\ndef test_{name}(" in (ROOT / "tests" / file).read_text(), (promise, name)
    sections = re.split(r"^## ", readme, flags=re.MULTILINE)
    told = [sections[0], *(each for each in sections if each.startswith("What every route keeps to"))]
    points = [_words(point) for each in told for point in each.split("\n- ")[1:]]
    assert len(points) > 12
    assert [point for point in points if not any(promise in point for promise, _ in rows)] == []


def _words(text: str) -> str:
    return " ".join(text.split())


def test_the_readme_says_how_much_is_installed() -> None:
    needed, with_tests = (
        len(re.findall(r"^[\w.-]+==", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-dev.lock")
    )
    assert f"installs {needed} packages" in page("../README.md")
    assert f"another {round(with_tests - needed, -1)} packages" in page("../README.md")
