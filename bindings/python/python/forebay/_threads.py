"""Daemon threads for what would block an event loop.

Unlike ``ThreadPoolExecutor``'s, they are not waited for when the process exits, and a forked child begins with
none. Knows nothing of caches or loops.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

_IDLE = 10.0


class Pool:
    """At most ``limit`` daemon threads, each started when needed and ended after some idle seconds."""

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._queue: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._threads = 0
        self._busy = 0

    def submit(self, fn: Callable[[], T]) -> Future[T]:
        """Run that on one of the threads, after what was submitted before if all are busy."""
        future = self._submit(fn, self._limit, wait=True)
        assert future is not None
        return future

    def try_submit(self, fn: Callable[[], T]) -> Future[T] | None:
        """Run that on one of the threads, or return ``None`` if all are busy."""
        return self._submit(fn, self._limit, wait=False)

    def _submit(self, fn: Callable[[], T], limit: int, *, wait: bool) -> Future[T] | None:
        future: Future[T] = Future()
        with self._lock:
            if self._busy >= limit and not wait:
                return None
            self._busy += 1
            grow = self._busy > self._threads and self._threads < limit
            if grow:
                self._threads += 1
        queue = self._queue
        queue.put(lambda: _fulfil(future, fn))
        if grow:
            try:
                threading.Thread(target=self._work, args=(queue,), name=self._name, daemon=True).start()
            except RuntimeError:
                with self._lock:
                    self._threads -= 1
                    alone = self._threads == 0
                if alone:
                    raise
        return future

    def _work(self, queue: SimpleQueue[Callable[[], None]]) -> None:
        while True:
            try:
                task = queue.get(timeout=_IDLE)
            except Empty:
                with self._lock:
                    if queue.empty():
                        self._threads -= 1
                        return
                continue
            try:
                task()
            finally:
                del task
                with self._lock:
                    self._busy -= 1


def _fulfil(future: Future[Any], fn: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = fn()
    except BaseException as error:  # whatever it is, it belongs to who waits
        future.set_exception(error)
    else:
        future.set_result(result)


def spawn(fn: Callable[[], T], name: str) -> Future[T]:
    """Run that on a daemon thread of its own."""
    future: Future[T] = Future()
    threading.Thread(target=_fulfil, args=(future, fn), name=name, daemon=True).start()
    return future
