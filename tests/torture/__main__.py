"""`python -m tests.torture`: kills, restarts and a lost primary while clients write, and what was lost."""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from tests.torture.powercut import PowerCut, power_cut, why_not
from tests.torture.siege import Siege, besiege_on_postgresql, besiege_on_sqlite
from tests.torture.trials import Trial, failover, kill_on_postgresql, kill_on_sqlite, restart

Suffered = Trial | PowerCut
ROUNDS = 8
"""How often claims are stated and files imported before the power is cut, after each start."""

HEAD = ("trial", "blows", "sent", "503", "retried", "replayed", "acknowledged", "lost", "doubled",
        "half-written", "verify faults", "longest wait")  # fmt: skip
SIEGE_HEAD = ("attack", "honest requests", "refused", "median", "p99", "longest")


def row(trial: Suffered) -> list[str]:
    """A trial's line of the table."""
    tallies, found = trial.book.tallies, trial.findings
    counts = [trial.blows, tallies["sent"], tallies["503"], tallies["retried"], tallies["replayed"],
              trial.book.acknowledged, *map(len, vars(found).values())]  # fmt: skip
    return [trial.name, *map(str, counts), f"{trial.book.longest_wait:.1f} s"]


def siege_row(database: str, siege: Siege) -> list[str]:
    """An attack's line of the table."""
    waits = sorted(siege.waits)
    times = [f"{wait:.2f} s" for wait in (waits[len(waits) // 2], siege.p99, waits[-1])]
    return [f"{siege.name}, {database}", str(len(waits)), str(len(siege.refused)), *times]


def table(rows: Sequence[Sequence[str]], head: Sequence[str] = HEAD) -> str:
    """Markdown, right-aligned but for the first column."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = cells
        padded = [first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(others, widths[1:], strict=True))]
        return f"| {' | '.join(padded)} |"

    rule = "|" + "|".join(["-" * (widths[0] + 2), *("-" * (w + 1) + ":" for w in widths[1:])]) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])


def run(trials: Sequence[Callable[[Path], Suffered]]) -> list[Suffered]:
    """Runs trials, each in a directory of its own, which is kept if something is wrong."""
    done = []
    for trial in trials:
        directory = Path(tempfile.mkdtemp(prefix="record-torture-"))
        began = time.monotonic()
        suffered = trial(directory)
        done.append(suffered)
        print(f"{suffered.name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
        for name, faults in vars(suffered.findings).items():
            print(*(f"{name}: {fault}" for fault in faults), sep="\n", end="")
        if suffered.findings:
            print(f"The base and the server's log are kept in {directory}", file=sys.stderr)
        else:
            shutil.rmtree(directory)
    return done


def besiege(database: str, seconds: float) -> list[Siege]:
    """Attacks a server on SQLite, PostgreSQL or both, and prints how an honest client fared."""
    kinds = {"sqlite": besiege_on_sqlite, "postgresql": besiege_on_postgresql}
    found = {}
    for name, kind in kinds.items():
        if database in (name, "both"):
            with tempfile.TemporaryDirectory(prefix="record-siege-") as directory:
                found[name] = kind(Path(directory), seconds)
    rows = [siege_row(name, siege) for name, sieges in found.items() for siege in sieges]
    print(table(rows, SIEGE_HEAD))
    return [siege for sieges in found.values() for siege in sieges]


def main(
    kills: Annotated[int, typer.Option(help="How often the server is killed on each database.")] = 50,
    restarts: Annotated[int, typer.Option(help="How often PostgreSQL is stopped and started.")] = 10,
    failovers: Annotated[int, typer.Option(help="How often the primary is lost.")] = 5,
    starts: Annotated[int, typer.Option(help="How often a server starts before the power is cut.")] = 3,
    siege: Annotated[float, typer.Option(help="Seconds of each attack by a greedy client; 0 is none.")] = 30,
    database: Annotated[
        Literal["sqlite", "postgresql", "both"], typer.Option(help="On which it happens.")
    ] = "both",
) -> None:
    """Exit status 1 if anything was lost, doubled, half-written or is not as the ledger says, or if an honest
    client waited for a greedy one.
    """
    on_sqlite: list[Callable[[Path], Suffered]] = [partial(kill_on_sqlite, times=kills)]
    if (reason := why_not()) is None:
        on_sqlite.append(partial(power_cut, starts=starts, rounds=ROUNDS, seed=kills))
    else:
        print(f"No power cut: {reason}", file=sys.stderr)
    on_postgresql: list[Callable[[Path], Suffered]] = [
        partial(kill_on_postgresql, times=kills),
        partial(restart, times=restarts),
        partial(failover, times=failovers),
    ]
    trials = {"sqlite": on_sqlite, "postgresql": on_postgresql, "both": on_sqlite + on_postgresql}[database]
    done = run(trials)
    print(table(list(map(row, done))))
    sieges = besiege(database, siege) if siege else []
    sys.exit(any(trial.findings for trial in done) or not all(each.held for each in sieges))


if __name__ == "__main__":
    cli = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    cli.command()(main)
    cli()
