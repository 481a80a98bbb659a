"""An event loop that is watched: a callback that takes processor time for longer than it may is reported."""

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from app.base.ids import request_id

WATCH = "TESTS_WATCH_LOOP"
"""A server of the tests whose environment has it is watched."""
HELD = "HELD THE LOOP"
MOST_SECONDS = 0.05


def watch() -> None:
    """Report callbacks that hold the event loop of the main thread, with the id of the request."""
    run: Callable[[Any], None] = asyncio.Handle._run

    def timed(handle: Any) -> None:
        began = time.thread_time()
        run(handle)
        took = time.thread_time() - began
        if took > MOST_SECONDS and threading.current_thread() is threading.main_thread():
            asked = handle._context.get(request_id, "no request")
            print(f"{HELD} {1000 * took:.0f} ms: {asked} {handle!r:.300}", file=sys.stderr, flush=True)

    asyncio.Handle._run = timed  # type: ignore[method-assign, assignment]
