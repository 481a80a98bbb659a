"""Caches that count the bytes of what they keep, keys included, against one budget of the process.

A cache keeps two generations. What is asked for is in the young one, or comes back into it; once that is
full, it becomes the old one, and what nobody asked for since the last time is gone. So a hit costs one
look-up in a dict, without a lock, and entries leave roughly in the order in which they were last asked for.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from sys import getsizeof
from threading import RLock
from types import FunctionType
from typing import Any, Generic, TypeVar
from weakref import WeakSet

K = TypeVar("K")
V = TypeVar("V")

_ENTRY = 120
"""Bytes of a dict for an entry, with room to grow."""
_LARGEST = 16
"""An entry takes at most this part of the budget: what is larger is not kept."""
_YOUNG = 4
"""A young generation takes at most this part of the budget."""

_NOTED = 10_000
"""Keys of which a cache notes that they were asked for once."""

_LOOKS = 200
"""How often all caches are added up while they grow by as much as the budget."""

_PLAIN = frozenset({str, bytes, int, float})
_SHARED = (type, FunctionType, Enum, bool, type(None))


def size_of(value: object) -> int:
    """Return about how many bytes a value takes with all that is in it, but for what others share, such as
    classes.
    """
    if type(value) in _PLAIN:
        return getsizeof(value)
    if isinstance(value, _SHARED):
        return 0
    if isinstance(value, Mapping):
        return getsizeof(value) + sum(map(size_of, value)) + sum(map(size_of, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return getsizeof(value) + sum(map(size_of, value))
    slots = {name for kind in type(value).__mro__ for name in _names(getattr(kind, "__slots__", ()))}
    parts = [getattr(value, name, None) for name in slots - {"__weakref__", "__dict__"}]
    return getsizeof(value) + size_of(getattr(value, "__dict__", None)) + sum(map(size_of, parts))


def _names(slots: str | Iterable[str]) -> Iterable[str]:
    return (slots,) if isinstance(slots, str) else slots


class Budget:
    """The bytes that its caches may take together. Where they take more, the largest of them gives way."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.lock = RLock()
        self._caches: WeakSet[Cache[Any, Any]] = WeakSet()
        self._since = 0

    @property
    def used(self) -> int:
        """The bytes that all of them take now."""
        return sum(cache.size for cache in list(self._caches))

    def add(self, cache: "Cache[Any, Any]") -> None:
        """Counts a cache from now on, for as long as it is used."""
        with self.lock:
            self._caches.add(cache)

    def added(self, size: int) -> None:
        """Notes that a cache has grown. Once they may have outgrown the budget, the largest caches drop what
        they were asked for longest ago.
        """
        self._since += size
        if self._since * _LOOKS < self.most:
            return
        self._since = 0
        while self.used > self.most:
            max(list(self._caches), key=lambda cache: cache.size).shrink()


BUDGET = Budget(32 * 1024 * 1024)
"""That of this process, as the settings have it (`RECORD_CACHE_BYTES`)."""


class Cache(Generic[K, V]):
    """Values by key, for as long as there is room for them. None is no value. `weigh` gives the bytes of a
    key and its value; a young generation takes at most one part in `share` of the budget. With `again`, a
    value is kept when it is given a second time, so that what is asked for once pushes nothing out.
    """

    def __init__(
        self,
        weigh: Callable[[K, V], int] | None = None,
        *,
        budget: Budget = BUDGET,
        young: dict[K, V] | None = None,
        share: int = _YOUNG,
        again: bool = False,
    ) -> None:
        self._weigh = weigh or _weight
        self._share = share
        self._given: set[int] | None = set() if again else None
        self._budget = budget
        self._young: dict[K, V] = {} if young is None else young
        self._old: dict[K, V] = {}
        self._young_size = self._old_size = 0
        budget.add(self)

    @property
    def size(self) -> int:
        """The bytes that it takes."""
        return self._young_size + self._old_size

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: K) -> V | None:
        """The value of a key, if it is kept."""
        found = self._young.get(key)
        return self.recall(key) if found is None else found

    def recall(self, key: K) -> V | None:
        """The value of a key that is not in the young generation, to which it comes back."""
        if key not in self._old:
            return None
        with self._budget.lock:
            found = self._old.pop(key, None)
            if found is not None:
                self._old_size = max(self._old_size - self._weigh(key, found), 0)
                self._keep(key, found)
        return found

    def __setitem__(self, key: K, value: V) -> None:
        """Keeps a value, unless it is too large, or given for the first time where that is not enough."""
        if self._given is None or self._is_noted(self._given, hash(key)):
            self._keep(key, value)

    def _keep(self, key: K, value: V) -> None:
        weight = _ENTRY + self._weigh(key, value)
        most = self._budget.most
        if weight > most // _LARGEST:
            return
        with self._budget.lock:
            if key in self._young:
                self._young_size -= _ENTRY + self._weigh(key, self._young[key])
            self._young[key] = value
            self._young_size += weight
            if self._young_size > most // self._share:
                self._grow_old()
            self._budget.added(weight)

    def shrink(self) -> None:
        """Drops the old generation, or if there is none the young one."""
        if not self._old:
            self._grow_old()
        self._old, self._old_size = {}, 0

    def clear(self) -> None:
        """Drops everything."""
        with self._budget.lock:
            self._young.clear()
            self._old, self._young_size, self._old_size = {}, 0, 0

    @staticmethod
    def _is_noted(given: set[int], key: int) -> bool:
        if key in given:
            return True
        if len(given) >= _NOTED:
            given.clear()
        given.add(key)
        return False

    def _grow_old(self) -> None:
        self._old, self._old_size = dict(self._young), self._young_size
        self._young.clear()
        self._young_size = 0


def _weight(key: object, value: object) -> int:
    return size_of(key) + size_of(value)


class _Made(dict[K, V]):
    """A young generation that makes the values that it lacks."""

    def __init__(self, make: Callable[[K], V]) -> None:
        self.make = make
        self.cache: Cache[K, V] = Cache(young=self)

    def __missing__(self, key: K) -> V:
        value = self.cache.recall(key)
        if value is None:
            value = self.make(key)
            self.cache[key] = value
        return value


def remembered(function: Callable[[K], V]) -> Callable[[K], V]:
    """Gives a pure function of one argument a cache. Where it raises or returns None, nothing is kept."""
    return _Made(function).__getitem__
