"""When what a target did not take is sent again, and when that ends."""

import random
from datetime import datetime, timedelta

WAITS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1800, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)
"""After the first failure, the second and so on, as Standard Webhooks has them; then as the last."""

JITTER = 0.1
"""By how much of it a wait is longer at most, so that all do not come back at the same moment."""

GIVEN_UP_AFTER = timedelta(days=5)


def next_at(at: datetime, attempts: int, asked: timedelta | None = None) -> datetime:
    """When to try again after so many failures in a row; `asked` is what the target asks to be left alone."""
    wait = WAITS[min(attempts, len(WAITS)) - 1] if asked is None else min(max(asked, WAITS[0]), WAITS[-1])
    return at + wait * (1 + random.random() * JITTER)


def is_given_up(failing_since: datetime, at: datetime) -> bool:
    """Whether a webhook has failed for too long."""
    return at - failing_since >= GIVEN_UP_AFTER
