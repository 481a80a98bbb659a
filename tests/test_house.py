"""The house rules: each is a small check whose docstring names the accident that it keeps out.

A rule reads one file and yields what is wrong in it. Every rule is fed a bad example too, which it must find.
"""

import ast
import io
import re
import statistics
import subprocess
import tokenize
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

from app.access import requests
from app.access.requests import May
from app.base.http import Route
from app.main import create_app
from app.settings import Settings

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Source:
    """A file, by its path below the project's directory."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def functions(self) -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        """Every function with its qualified name, outer ones first."""
        return list(_functions(self.tree, ""))

    def inside(self, node: ast.AST) -> str:
        """The qualified name of the innermost function around a node."""
        line = getattr(node, "lineno", 0)
        around = [name for name, f in self.functions if f.lineno <= line <= (f.end_lineno or 0)]
        return around[-1] if around else ""


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        inner = prefix
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{prefix}{child.name}."
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield inner.removesuffix("."), child
        yield from _functions(child, inner)


Rule = Callable[[Source], Iterator[str]]


def app_files() -> list[Source]:
    return [_read(path) for path in sorted((ROOT / "app").rglob("*.py"))]


def bench_files() -> list[Source]:
    return [_read(path) for path in sorted((ROOT / "bench").rglob("*.py"))]


def measured_files() -> list[Source]:
    return [*app_files(), *bench_files()]


def python_files() -> list[Source]:
    return [
        *measured_files(),
        *(_read(p) for d in ("tests", "migrations") for p in sorted((ROOT / d).rglob("*.py"))),
    ]


@cache
def _read(path: Path) -> Source:
    return Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))


# --- imports -----------------------------------------------------------------------------------

_FEATURE = "model store routes"

LAYOUT = (
    ("settings", ""),
    ("client", ""),  # of the API: it knows nothing else here
    (
        "base",
        "memory caches errors fields files texts ids logs tally canonical merkle notes integrity times units"
        " sql types moments postgres public pools prepared outages db properties jobs scratch shelf recent"
        " schema body http page problems limits boundary middleware protocol descriptions openapi",
    ),
    (
        "changes",
        "entry earlier model workers contexts hidden guard grants tree ledger store reads walk replay erasure"
        " past log replicas streams",
    ),
    ("access", "model caller people secret store house conditions requests visibility routes"),
    ("changes", "routes"),  # the ledger itself knows no role, but whoever reads it over HTTP has one
    ("hooks", "model signing schedule targets sending progress store deliveries routes"),
    ("words", "text model index query plan rank explain"),
    ("entities", "model members rows documents words store routes"),
    ("sources", "model words store routes"),
    (
        "claims",
        "typography passages pieces anchors amounts amount_text model standing twins derived shapes held"
        " documents references ranks upkeep bodies words repeats filters listing stats quotes reanchoring"
        " store reads routes",
    ),
    ("figures", "model words ranges store series routes"),
    (
        "reviews",
        "model archived desks labels rules confirmation evidence quoted documents settled store corrections"
        " queues verdicts syndication routes",
    ),
    ("people", "model store routes"),
    ("links", "model store suggestions routes"),
    ("search", _FEATURE),
    ("visibility", ""),
    ("publication", "model store routes"),
    ("erasure", "model cuts left store watch routes"),
    ("projections", ""),
    (
        "exchange",
        "shapes lines names rows rulings importer nodes pages markup records dump earlier_bundles bundle"
        " routes formats parquet columns flat render feeds claimreview linked",
    ),
    (
        "compat",
        "google_wire google_factcheck google_pages google_batch matching properties candidates scoring"
        " suggest reconcile datacommons_wire variables observations nodes datacommons",
    ),
    ("web", "guide event_words values record_words service_words reference"),
    (
        "operations",
        "metrics routes checks clients backup servers temporary doctor erasing offline commands secrets"
        " people startup",
    ),
    ("main", ""),
    ("cli", ""),
    ("__main__", ""),
)
"""The one order of all modules, left to right: features, and the modules of each."""

ORDER = [
    f"app.{feature}" + (f".{module}" if module else "")
    for feature, modules in LAYOUT
    for module in ("", *modules.split())
]


def imports_from_its_left_only(source: Source) -> Iterator[str]:
    """Without an order, rings grow: of one admired server, 73 of 163 modules can only be imported together,
    and a change to any of them is a change to all.
    """
    module = source.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    if module == "app":
        return
    if module not in ORDER:
        yield f"{module} has no place in the import order"
        return
    for name in sorted(set(_imported(source.tree))):
        if name not in ORDER:
            yield f"{module} imports {name}, which has no place in the import order"
        elif ORDER.index(name) >= ORDER.index(module):
            yield f"{module} imports {name}, which is not on its left"


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _ours(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield "a relative name"
        elif isinstance(node, ast.ImportFrom) and _ours(node.module or ""):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in ORDER or node.module == "app" else str(node.module)


def _ours(name: str) -> bool:
    return name.partition(".")[0] == "app"


def imports_at_the_top(source: Source) -> Iterator[str]:
    """An import inside a function hides a ring, and fails at the first call instead of at the start."""
    for name, function in source.functions:
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield f"{name} imports inside, line {node.lineno}"
            if isinstance(node, ast.Call) and _called(node) in ("__import__", "import_module"):
                yield f"{name} imports inside, line {node.lineno}"


# --- doors -------------------------------------------------------------------------------------

OPEN = {"/", "/openapi.json", "/healthz", "/readyz", "/docs", "/problems", "/guide", "/guide/{name}"}
"""What anyone may ask without a gate: it holds no record."""

GATES = {
    name
    for name, value in vars(requests).items()
    if any(isinstance(getattr(part, "dependency", None), May) for part in getattr(value, "__metadata__", ()))
}
METHODS = {"get", "post", "put", "patch", "delete", "head", "options", "api_route", "route", "websocket"}


def routes_have_one_gate(source: Source) -> Iterator[str]:
    """A route that forgot its role was open to the world, and nothing failed until someone found it."""
    for name, function in source.functions:
        for path in filter(None, map(_path_of_route, function.decorator_list)):
            arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
            gates = [a.arg for a in arguments if a.annotation and ast.unparse(a.annotation) in GATES]
            if len(gates) != 1 and path not in OPEN:
                yield f"{name} ({path}) has {len(gates)} gates, not one"


def _path_of_route(decorator: ast.expr) -> str | None:
    if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Attribute):
        return None
    if decorator.func.attr not in METHODS or not decorator.args:
        return None
    return ast.literal_eval(decorator.args[0]) if isinstance(decorator.args[0], ast.Constant) else "?"


ALLOWED_TO_WRITE: Mapping[tuple[str, str], str] = {
    ("app/base/sql.py", "_insertion"): "the words of `insert_many`, which counts as writing itself",
    ("app/changes/store.py", "save"): "the door itself",
    ("app/changes/store.py", "_replace"): "the door's parts",
    ("app/changes/store.py", "insert_rows"): "the door's many rows at once",
    (
        "app/changes/ledger.py",
        "keep",
    ): "the entries of the door and of the replay, which checks them",
    ("app/access/requests.py", "Write._replay"): "answers kept for a day are no records",
    ("app/access/requests.py", "Write._keep"): "answers kept for a day are no records",
    ("app/changes/tree.py", "grow"): "the tree over the ledger, which follows its entries",
    ("app/changes/tree.py", "rebuild"): "the tree over the ledger, made anew",
    ("app/changes/replay.py", "_change"): "rows that those entries tell of",
    ("app/changes/replay.py", "supply"): "what those entries must not hold",
    ("app/changes/replay.py", "remake"): "a text off the ledger that was erased",
    ("app/changes/erasure.py", "_put"): "values beside the ledger that are erased, which an entry names",
    ("app/erasure/store.py", "_forget_answers"): "answers kept for a day are no records",
    ("app/operations/erasing.py", ""): "bytes of erased values, which the owner removes from the ledger",
    ("app/claims/twins.py", "_note"): "what tells claims apart, made of their rows",
    ("app/claims/twins.py", "_keep"): "what tells claims apart, rebuilt",
    ("app/base/properties.py", "put"): "a property of the database, which is no record",
    ("app/access/store.py", "_note_use"): "when a key was last used, off the ledger",
    ("app/hooks/progress.py", "start"): "where deliveries stand, which is no record",
    ("app/hooks/progress.py", "lease"): "where deliveries stand, which is no record",
    ("app/hooks/progress.py", "keep"): "where deliveries stand, which is no record",
    ("app/hooks/progress.py", "conclude"): "where deliveries stand, which is no record",
    ("app/hooks/progress.py", "announce_reset"): "where deliveries stand, which is no record",
    ("app/hooks/progress.py", "turn"): "where deliveries stand, which is no record",
    ("app/hooks/progress.py", "interrupt"): "where deliveries stand, which is no record",
    ("app/claims/references.py", "_begins_another.follower"): "the epoch of names, which follows them",
    ("app/claims/upkeep.py", "_write"): "what is derived from claims, and follows them",
    ("app/claims/upkeep.py", "_relist"): "what is derived from claims, and follows them",
    ("app/claims/upkeep.py", "_put_in_order"): "the order of figures, which is off the ledger",
    ("app/claims/upkeep.py", "_clear"): "what is derived from claims, rebuilt",
    ("app/claims/upkeep.py", "forget_counts"): "what is derived from claims, and follows them",
    ("app/claims/ranks.py", "_after_claims"): "how often claims are repeated, which follows them",
    ("app/claims/ranks.py", "_put_right"): "how often claims are repeated, made anew",
    ("app/claims/ranks.py", ""): "how often claims are repeated and read",
    ("app/changes/past.py", "_set"): "moments of the past, without what was taken back since",
    ("app/visibility.py", "keep"): "which records are hidden, which follows them",
    ("app/visibility.py", "_clear"): "which records are hidden, made anew",
    ("app/words/index.py", "_stem_ids"): "the index, which follows records",
    ("app/words/index.py", "_write_forms"): "the index, which follows records",
    ("app/words/index.py", "_write"): "the index, which follows records",
    ("app/words/index.py", "clear"): "the index, made anew",
    ("app/words/index.py", "forget"): "the index, which follows records",
    ("app/words/index.py", ""): "the index, which follows records",
    ("app/claims/upkeep.py", ""): "what is derived from claims, and follows them",
}
"""Who may write rows without `changes.store.save`, and why."""

_STATEMENT = re.compile(
    r"\s*(INSERT\s|UPDATE\s|DELETE\s+FROM\b|REPLACE\s+INTO\b|MERGE\s+INTO\b|TRUNCATE\s|COPY\s)"
)


def writes_through_the_one_door(source: Source) -> Iterator[str]:
    """A row written past `changes.store.save` has no history: the feed is silent, and its proof is false."""
    for place, what in _writes(source):
        if (source.path, place) not in ALLOWED_TO_WRITE:
            yield f"{place or 'the module'} writes rows: {what}"


def _writes(source: Source) -> Iterator[tuple[str, str]]:
    makers = set(_statement_makers(source.tree))
    for node in source.nodes:
        what = ""
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in makers or called == "insert_many" or _writing_method(node.func):
                what = called
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _STATEMENT.match(node.value):
            what = node.value.strip()[:30]
        if what:
            yield source.inside(node), what


def _statement_makers(tree: ast.Module) -> Iterator[str]:
    """What `insert`, `update` and `delete` of SQLAlchemy and SQLModel are called in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and re.match(r"sqlalchemy|sqlmodel", node.module or ""):
            for alias in node.names:
                if alias.name in ("insert", "update", "delete"):
                    yield alias.asname or alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if re.match(r"sqlalchemy|sqlmodel", alias.name):
                    yield from (
                        f"{alias.asname or alias.name}.{verb}" for verb in ("insert", "update", "delete")
                    )


def _writing_method(function: ast.expr) -> bool:
    """`session.add(…)` and its like, and `table.insert()` and its like."""
    if not isinstance(function, ast.Attribute):
        return False
    owner = ast.unparse(function.value)
    if re.search(r"(^|[._])session$", owner):
        return bool(re.fullmatch(r"add|add_all|delete|merge|bulk_\w+", function.attr))
    return bool(re.search(r"table(_of)?(\(.*\))?$|__table__$", owner)) and function.attr in (
        "insert",
        "update",
        "delete",
    )


def commits_at_the_boundary_only(source: Source) -> Iterator[str]:
    """A commit below the boundary cuts a request in two: its first half stays when the second fails."""
    if source.path == "app/base/db.py":
        return
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and node.attr in ("commit", "rollback", "begin", "begin_nested"):
            yield f"{source.inside(node) or 'the module'} calls {ast.unparse(node)}"


def settings_alone_read_the_environment(source: Source) -> Iterator[str]:
    """A variable read in passing is in no documentation, and two readers differ on its default."""
    if source.path == "app/settings.py":
        return
    for node in source.nodes:
        names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
        if isinstance(node, ast.Attribute):
            names = [node.attr]
        for name in names:
            if name in (
                "environ",
                "environb",
                "getenv",
                "putenv",
                "BaseSettings",
                "dotenv_values",
                "load_dotenv",
            ):
                yield f"{source.inside(node) or 'the module'} reads the environment: {name}"


_FEW_KEYS = {
    "app/base/sql.py: _insertion": "two dialects",
    "app/base/openapi.py: _page_of": "the routes' own",
    "app/base/units.py: alike": "raises for what is no unit of the table",
    "app/claims/references.py: _some_names": "three kinds, four sizes",
}


def caches_count_bytes(source: Source) -> Iterator[str]:
    """50,000 words of any length, and 10,000 queries of 60 KB, filled the memory of a process: what a
    client's text may be a key of is kept in `app.base.caches`. functools keeps what has few keys: nothing,
    classes or whole numbers.
    """
    for name, function in source.functions:
        for each in function.decorator_list:
            called = ast.unparse(each)
            if re.search(r"\blru_cache(?!\((maxsize=)?1\))", called):
                yield f"{name}: {called} counts entries, not bytes"
            arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
            kinds = [ast.unparse(each.annotation) if each.annotation else "" for each in arguments]
            many = any(not re.fullmatch(r"type\[.*\]|int|bool", kind) for kind in kinds)
            kept = re.fullmatch(r"(functools\.)?cache", called) and many
            if kept and f"{source.path}: {name}" not in _FEW_KEYS:
                yield f"{name}: keeps a value for each {', '.join(kinds)}"


# --- sizes -------------------------------------------------------------------------------------

LONGEST_FUNCTION, LONGEST_FILE = 50, 400
MEDIAN, NINE_IN_TEN = 10, 27


def functions_are_short(source: Source) -> Iterator[str]:
    """What does not fit on a screen is changed by people who have read half of it."""
    for name, lines in _lengths(source):
        if lines > LONGEST_FUNCTION:
            yield f"{name} has {lines} lines"


def files_are_short(source: Source) -> Iterator[str]:
    """Files that grew past a thousand lines are those that every change touches and none tidies."""
    lines = len(source.text.splitlines())
    if lines > LONGEST_FILE:
        yield f"has {lines} lines"


def _lengths(source: Source) -> Iterator[tuple[str, int]]:
    lines = source.text.splitlines()
    for name, function in source.functions:
        yield name, sum(bool(line.strip()) for line in lines[function.lineno - 1 : function.end_lineno])


# --- suppressions ------------------------------------------------------------------------------

_BARE = re.compile(
    r"type:\s*ignore(?!\[[\w-])|noqa(?!: ?[A-Z]+\d)|(ruff|flake8):\s*noqa|mypy:\s*ignore|fmt:\s*off"
)


def suppressions_name_their_code(source: Source) -> Iterator[str]:
    """A bare suppression, made for one fault, went on to hide the next one on the same line."""
    # To split every file into its tokens takes a quarter of all these tests' time.
    readline = io.StringIO(source.text if _BARE.search(source.text) else "").readline
    for token in tokenize.generate_tokens(readline):
        if token.type == tokenize.COMMENT and _BARE.search(token.string):
            yield f"line {token.start[0]} suppresses everything: {token.string}"
    for node in source.nodes:
        if isinstance(node, ast.Call) and _ignores_all_warnings(node):
            yield f"line {node.lineno} ignores every warning"


def _called(call: ast.Call) -> str:
    """Return the last name of what a call calls."""
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


def _ignores_all_warnings(call: ast.Call) -> bool:
    if _called(call) not in ("filterwarnings", "simplefilter"):
        return False
    first = call.args[0] if call.args else None
    ignores = isinstance(first, ast.Constant) and str(first.value).startswith("ignore")
    return ignores and len(call.args) + len(call.keywords) < 2 and ":" not in ast.unparse(first or call)


# --- words -------------------------------------------------------------------------------------

REGISTRIES = [
    ".".join(parts)
    for parts in (("pypi", "org"), ("python" "hosted", "org"), ("npm" "js", "org"), ("npm" "js", "com"),
                  ("crates", "io"), ("ruby" "gems", "org"), ("anaconda", "org"), ("proxy", "golang", "org"))
]  # fmt: skip
# The Homebrew of Linux is always in one home directory, which is nobody's.
_HOMES = [r"/" + "root/", r"/" + r"home/(?!linuxbrew/)\w", r"/" + r"Users/\w", r"[A-Z]:\\+" + "Users"]
_FORBIDDEN = re.compile("|".join([*map(re.escape, REGISTRIES), "/" + "work/", *_HOMES]))


def names_no_place_of_its_making(source: Source) -> Iterator[str]:
    """A lock file with a mirror's address, or a path in someone's home, works on one machine only."""
    for number, line in enumerate(source.text.splitlines(), start=1):
        if found := _FORBIDDEN.search(line):
            yield f"line {number} names {found[0]}"


def locks_are_whole(source: Source) -> Iterator[str]:
    """A requirement without version or hash is another one tomorrow; one with a URL is whatever is there."""
    for number, line in enumerate(source.text.replace("\\\n", " ").splitlines(), start=1):
        if "://" in line or line.startswith("-"):
            yield f"requirement {number} names an address or an option"
        elif line.strip() and not re.fullmatch(
            r"[\w.\[\],-]+==\S+( ;[^#]*?)?( +--hash=sha256:[0-9a-f]{64})+", line
        ):
            yield f"requirement {number} has no version or no hash: {line[:40]}"


def tracked_files() -> list[Source]:
    """All text that is, or is about to be, in the repository."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, check=False)
    names = done.stdout.decode().split("\0") if done.returncode == 0 else []
    paths = [ROOT / name for name in names if name] or [p for p in ROOT.rglob("*") if not _hidden(p)]
    assert len(paths) > 50, "the project's files were not found"
    return [_read(path) for path in paths if path.is_file() and _is_text(path)]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(ROOT).parts)


def _is_text(path: Path) -> bool:
    return b"\0" not in path.read_bytes()[:8000]


def lock_files() -> list[Source]:
    found = [_read(path) for path in ROOT.glob("requirements*.lock")]
    assert len(found) == 3
    return found


# --- the rules, kept and biting ----------------------------------------------------------------

KEPT: Mapping[Rule, Callable[[], list[Source]]] = {
    imports_from_its_left_only: app_files,
    imports_at_the_top: measured_files,
    routes_have_one_gate: app_files,
    writes_through_the_one_door: app_files,
    commits_at_the_boundary_only: app_files,
    settings_alone_read_the_environment: app_files,
    caches_count_bytes: app_files,
    functions_are_short: measured_files,
    files_are_short: measured_files,
    suppressions_name_their_code: python_files,
    names_no_place_of_its_making: tracked_files,
    locks_are_whole: lock_files,
}


@pytest.mark.parametrize("rule", KEPT, ids=lambda rule: rule.__name__)
def test_the_house_keeps_its_rule(rule: Rule) -> None:
    broken = [f"{source.path}: {fault}" for source in KEPT[rule]() for fault in rule(source)]
    assert broken == [], f"{' '.join((rule.__doc__ or '').split())}"


STORE, ROUTES = "app/claims/store.py", "app/claims/routes.py"
BAD: list[tuple[Rule, str, str]] = [
    (imports_from_its_left_only, STORE, "from app.reviews.store import rule"),
    (imports_from_its_left_only, STORE, "from app.claims import routes"),
    (imports_from_its_left_only, STORE, "import app.main"),
    (imports_from_its_left_only, STORE, "from app import cli"),
    (imports_from_its_left_only, STORE, "from .model import Claim"),
    (imports_from_its_left_only, STORE, "if True:\n    from app.claims.routes import router"),
    (imports_from_its_left_only, STORE, "from app.claims.store import state"),
    (imports_from_its_left_only, "app/settings.py", "from app.base.db import Database"),
    (imports_from_its_left_only, "app/claims/unheard_of.py", ""),
    (imports_from_its_left_only, "app/main.py", "from app.unheard_of import x"),
    (imports_at_the_top, STORE, "def state():\n    from app.claims import model"),
    (imports_at_the_top, STORE, "class A:\n    async def b(self):\n        import os"),
    (imports_at_the_top, STORE, "def state():\n    importlib.import_module('app.main')"),
    (routes_have_one_gate, ROUTES, "@router.get('/claims')\ndef f(ask: Question): ..."),
    (routes_have_one_gate, ROUTES, "@router.delete('/c')\ndef f(read: Reading, write: Editing): ..."),
    (
        routes_have_one_gate,
        ROUTES,
        "@router.post(PATH)\nasync def f(write: Annotated[Write, Depends(x)]): ...",
    ),
    (routes_have_one_gate, "app/main.py", "@app.get('/debug')\ndef f(): ..."),
    (writes_through_the_one_door, STORE, "def f(session):\n    session.add(row)"),
    (writes_through_the_one_door, STORE, "def f(self):\n    self.session.delete(row)"),
    (writes_through_the_one_door, STORE, "def f(write_session):\n    write_session.bulk_save_objects([])"),
    (
        writes_through_the_one_door,
        STORE,
        "from sqlalchemy import update as u\ndef f(s):\n    s.execute(u(Claim))",
    ),
    (writes_through_the_one_door, STORE, "from sqlmodel import delete\nx = delete(Claim)"),
    (writes_through_the_one_door, STORE, "import sqlalchemy as sa\nx = sa.insert(Claim)"),
    (writes_through_the_one_door, STORE, "from sqlalchemy.dialects.sqlite import insert\nx = insert(Claim)"),
    (writes_through_the_one_door, STORE, "def f(s):\n    s.execute(table(Claim).insert())"),
    (writes_through_the_one_door, STORE, "def f(s):\n    s.execute(Claim.__table__.update())"),
    (writes_through_the_one_door, STORE, "def f(s):\n    insert_many(s, Claim, [])"),
    (writes_through_the_one_door, STORE, "def f(s, t):\n    s.execute(text(f'DELETE FROM {t}'))"),
    (writes_through_the_one_door, STORE, "SQL = '''\n    UPDATE claims SET text = 'x' '''"),
    (writes_through_the_one_door, "app/access/store.py", "def find(session):\n    session.add(key)"),
    (commits_at_the_boundary_only, STORE, "def f(session):\n    session.commit()"),
    (commits_at_the_boundary_only, STORE, "def f(session):\n    session.rollback()"),
    (commits_at_the_boundary_only, ROUTES, "def f(session):\n    with session.begin_nested(): ..."),
    (settings_alone_read_the_environment, "app/cli.py", "import os\nx = os.environ['HOME']"),
    (settings_alone_read_the_environment, "app/cli.py", "from os import getenv"),
    (settings_alone_read_the_environment, "app/cli.py", "from pydantic_settings import BaseSettings"),
    (caches_count_bytes, STORE, "@lru_cache(10_000)\ndef f(text: str) -> str: ..."),
    (caches_count_bytes, STORE, "@functools.lru_cache\ndef f(text: str) -> str: ..."),
    (caches_count_bytes, STORE, "@cache\ndef f(kind: type[Record], text: str) -> str: ..."),
    (functions_are_short, STORE, "def f():\n" + "    x = 1\n" * 50),
    (functions_are_short, STORE, "class A:\n    async def f(self):\n" + "        x = 1\n" * 50),
    (files_are_short, STORE, "x = 1\n" * 401),
    (suppressions_name_their_code, STORE, "x = 1  # type: " + "ignore"),
    (suppressions_name_their_code, STORE, "x = 1  # no" + "qa"),
    (suppressions_name_their_code, STORE, "# ruff: no" + "qa"),
    (suppressions_name_their_code, STORE, "# fmt: " + "off"),
    (suppressions_name_their_code, "tests/test_x.py", "warnings.simplefilter('ignore')"),
    (suppressions_name_their_code, "tests/test_x.py", "@pytest.mark.filterwarnings('ignore')\ndef f(): ..."),
    *((names_no_place_of_its_making, "requirements.lock", f"https://files.{host}/x") for host in REGISTRIES),
    (names_no_place_of_its_making, "docs/a.md", "see /" + "work/main"),
    (names_no_place_of_its_making, "docs/a.md", "cd /" + "home/ann/project"),
    (names_no_place_of_its_making, "docs/a.md", "cd /" + "Users/ann"),
    (names_no_place_of_its_making, "Dockerfile", "COPY x /" + "root/.cache"),
    (locks_are_whole, "requirements.lock", "--index-url https://example.org/simple"),
    (locks_are_whole, "requirements.lock", "a @ https://example.org/a.whl --hash=sha256:" + "0" * 64),
    (locks_are_whole, "requirements.lock", "a==1.0"),
    (locks_are_whole, "requirements.lock", "a>=1.0 \\\n    --hash=sha256:" + "0" * 64),
]


@pytest.mark.parametrize(("rule", "path", "text"), BAD, ids=lambda value: getattr(value, "__name__", ""))
def test_each_rule_bites(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text)))


def test_no_rule_goes_without_a_bad_example_or_a_reason() -> None:
    assert KEPT.keys() == {rule for rule, _, _ in BAD}
    assert [rule.__name__ for rule in KEPT if not rule.__doc__] == []


def test_whoever_may_write_past_the_door_still_does() -> None:
    """An allowance that outlives its need is an open door."""
    used = {(source.path, place) for source in app_files() for place, _ in _writes(source)}
    assert used >= ALLOWED_TO_WRITE.keys()


# --- the house as a whole ----------------------------------------------------------------------


def lengths() -> list[int]:
    return sorted(lines for source in app_files() for _, lines in _lengths(source))


def test_most_functions_are_read_at_a_glance() -> None:
    """A limit invites functions just under it: where one in ten has 45 lines or more, reading is work."""
    found = lengths()
    assert len(found) > 100
    assert statistics.median(found) <= MEDIAN
    assert statistics.quantiles(found, n=10)[-1] <= NINE_IN_TEN


def test_every_route_that_is_served_has_one_gate(tmp_path: Path) -> None:
    """A router made elsewhere, or a route of another class, slips past whoever reads the source."""
    app = create_app(Settings(database_url=f"sqlite:///{tmp_path}/record.db", secret="-" * 32))
    gated = [route for route in app.state.routes if isinstance(route, Route)]
    assert len(gated) > 30
    assert [(route.path, len(route.gates)) for route in gated if len(route.gates) != 1] == []
    assert {route.path for route in app.state.routes if route not in gated} == OPEN
    beside = {getattr(route, "path", None) for route in app.routes if route not in app.state.routes}
    assert beside == {"/openapi.json", "/static-offline-docs"}


def test_types_and_warnings_are_strict() -> None:
    """A check that was switched off for a day stayed off."""
    project = (ROOT / "pyproject.toml").read_text()
    for line in (
        "strict = true",
        'packages = ["app", "bench", "tests", "migrations"]',
        'filterwarnings = ["error"]',
    ):
        assert line in project.splitlines()


def test_each_migration_has_a_revision_of_its_own() -> None:
    """Two that were made at the same time may both be the next one, and no conflict of files shows it."""
    found = [path.name.partition("_")[0] for path in (ROOT / "migrations" / "versions").glob("0*.py")]
    assert sorted(found) == [f"{n:04}" for n in range(1, len(found) + 1)]
