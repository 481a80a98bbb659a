"""Counts that threads add to, in bounded memory, until they are taken."""

from collections.abc import Mapping
from threading import Lock


class Tally:
    """How often each key was counted. Beyond so many keys, new ones are not counted until it was taken."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._lock = Lock()
        self._counts: dict[str, int] = {}

    def add(self, key: str, by: int = 1) -> None:
        """Counts a key, once or more often."""
        with self._lock:
            if key in self._counts or len(self._counts) < self._most:
                self._counts[key] = self._counts.get(key, 0) + by

    def take(self) -> Mapping[str, int]:
        """The counts, which begin anew."""
        with self._lock:
            taken, self._counts = self._counts, {}
        return taken

    def give_back(self, counts: Mapping[str, int]) -> None:
        """Adds counts that were taken and are kept nowhere."""
        for key, by in counts.items():
            self.add(key, by)
