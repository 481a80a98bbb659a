"""The processor time and memory that one request takes of the server that answers it."""

import re
from dataclasses import dataclass

import psutil

CEILING = 0.25
"""Seconds of processor time for a refusal, whatever was sent, and for an answer from the seed."""
LONG = 3.0
"""Seconds for what is long by nature, which docs/security.md lists."""
LARGEST = 50 * 1024 * 1024
"""Bytes by which one request may raise the process."""
_BY_NATURE = re.compile(
    rb"as_of=|\.(csv|ndjson|json|parquet|jsonld|atom)\b|/import\b|/reconcile|/batch\b|:search"
)


@dataclass(frozen=True)
class Cost:
    """What was taken since the meter was read before."""

    seconds: float
    raised: int

    def fault(self, target: bytes, *, refused: bool, size: int, times: int = 1) -> str | None:
        """Return what is above the ceiling, for an answer of so many bytes. `times` widens that of time."""
        # A moment is made before it shows that it has nothing by that name.
        by_nature = (not refused or b"as_of=" in target) and _BY_NATURE.search(target) is not None
        most = (LONG if by_nature else CEILING) * times + (0 if refused else size / 10**6)
        if self.seconds > most:
            return f"took {self.seconds:.2f} s of processor time, and may take {most:.2f}"
        if self.raised > LARGEST and not by_nature:
            return f"raised the process by {self.raised // 2**20} MB"
        return None


class Meter:
    """A look at a server's process before and after each request, which are sent one by one."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._seconds, self._bytes = self._now()

    def _now(self) -> tuple[float, int]:
        times = self._process.cpu_times()
        return times.user + times.system, self._process.memory_info().rss

    def read(self) -> Cost:
        """Return the cost since it was read before."""
        before = self._seconds, self._bytes
        self._seconds, self._bytes = self._now()
        return Cost(self._seconds - before[0], self._bytes - before[1])
