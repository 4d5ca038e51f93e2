"""Driving one call from an event loop: coroutines run as tasks, and nothing blocks the loop.

Short calls that touch the disk go to a few daemon threads; waits have threads of their own, up to a limit
beyond which they poll. Imported at the first use of a coroutine, as ``asyncio`` takes long to import.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ._errors import Error, TimedOut
from ._forebay import Value
from ._job import AsyncRefresher, Fetched, Job, fetched
from ._run import WAIT, declined, log, outcome, report, settled, store
from ._threads import Pool, spawn

if TYPE_CHECKING:
    from . import _forebay
    from ._types import Started

T = TypeVar("T")


class Waiting(Protocol):
    """What can be waited for on a thread."""

    def wait(self, at_most_ns: int) -> None:
        """Wait until there may be news."""
        ...

    def stop(self) -> None:
        """End that wait in another thread."""
        ...


short = Pool("forebay", 8)
_waits = Pool("forebay wait", 32)
_tasks: set[asyncio.Task[Any]] = set()


def keep(task: asyncio.Task[Any]) -> None:
    """Hold on to a task that nobody may be waiting for, until it ends."""
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def call(fn: Callable[[], T]) -> T:
    """Run a short call on a daemon thread. A caller that is cancelled leaves it to its end."""
    return await asyncio.wrap_future(short.submit(fn))


async def poll(look: Callable[[], T | None]) -> T:
    """Call ``look`` until it gives something, ever more seldom: every 1 to 25 ms."""
    pause = 0.001
    while True:
        found = look()
        if found is not None:
            return found
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.025)


def _give_up(future: Future[Value | _forebay.Ticket | None]) -> None:
    if future.cancelled() or future.exception() is not None:
        return
    step = future.result()
    if step is not None and not isinstance(step, Value):
        step.close()


async def _next(attempt: _forebay.Attempt) -> Value | _forebay.Ticket | None:
    future = short.submit(attempt.next)
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        # It may be taking a lease at this moment, which nobody would use.
        future.add_done_callback(_give_up)
        raise


async def wait_for_news(attempt: Waiting, pause: float) -> None:
    """Wait on a thread, or for that many seconds where too many wait; a caller that is cancelled ends it."""
    future = _waits.try_submit(lambda: attempt.wait(WAIT))
    if future is None:
        await asyncio.sleep(pause)
        return
    try:
        await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        attempt.stop()
        raise


async def _invoke(fn: AsyncRefresher, job: Job) -> Fetched:
    if inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None)):  # noqa: B004
        result: object = fn(job)
    else:
        context = contextvars.copy_context()
        result = await asyncio.wrap_future(spawn(lambda: context.run(fn, job), f"forebay {job.key}"))
    if isinstance(result, Awaitable):
        result = await result
    return fetched(result)


class Work:
    """One run of a refresher under a ticket, as a task of its own."""

    __slots__ = ("_fn", "_ticket", "error", "task")

    def __init__(self, ticket: _forebay.Ticket, fn: AsyncRefresher) -> None:
        self._ticket = ticket
        self._fn = fn
        self.error: BaseException | None = None
        self.task = asyncio.get_running_loop().create_task(self._run())
        keep(self.task)

    async def _run(self) -> None:
        ticket = self._ticket
        try:
            result = await self._bounded()
            refused = await call(lambda: store(ticket, result))
        except BaseException as error:
            own = error
            # Before the ticket ends: whoever is woken by that finds it.
            self.error = own
            await call(lambda: report(ticket, own))
            if not isinstance(error, Exception | asyncio.CancelledError):
                raise
            log.info("refreshing failed: %r", error)
        else:
            if refused is not None:
                log.info("a refreshed value was not stored: %s", refused)

    async def _bounded(self) -> Fetched:
        """Run the refresher until its deadline, after which it is cancelled."""
        job = Job(self._ticket)
        inner = asyncio.ensure_future(_invoke(self._fn, job))
        try:
            await asyncio.wait({inner}, timeout=job.remaining)
        finally:
            late = not inner.done()
            if late:
                inner.cancel()
                await asyncio.wait({inner})
        if late and inner.cancelled():
            raise TimedOut("the refresher overran its deadline", hint="give the source a longer deadline")
        return inner.result()


async def drive(attempt: _forebay.Attempt, fn: AsyncRefresher, *, apart: bool) -> Value:
    """Bring one call to its end; ``apart``: the wait is bounded, and may end before the refresher does."""
    work: Work | None = None
    pause = 0.001
    try:
        while True:
            try:
                step = await _next(attempt)
            except Error as error:
                failed = error
                break
            if isinstance(step, Value):
                return settled(step, work.error if work else None)
            if step is not None:
                work = Work(step, fn)
                del step
                if not apart:
                    # Unlike awaiting the task, this leaves it running when the caller is cancelled.
                    await asyncio.wait({work.task})
                continue
            await wait_for_news(attempt, pause)
            pause = min(pause * 1.5, 0.025)
        own = work.error if work else None
        if isinstance(own, asyncio.CancelledError):
            # The refresher was cancelled, its caller was not.
            failed.__cause__ = own
            raise failed
        raise outcome(failed, own)
    finally:
        work = None


async def launch(attempt: _forebay.Attempt, fn: AsyncRefresher) -> Started:
    """Start a refresh as a task if one is due, and say what was done."""
    step = await _next(attempt)
    if isinstance(step, Value):
        return declined(step)
    if step is None:
        return "in_flight"
    Work(step, fn)
    return "started"


async def wait_for_change(source: _forebay.Source, since: str, timeout_ns: int | None) -> str | None:
    """Wait on a thread, or by polling where too many wait; a caller that is cancelled just leaves."""
    loop = asyncio.get_running_loop()
    until = None if timeout_ns is None else loop.time() + timeout_ns / 1e9
    pause = 0.001
    while True:
        left = 0.2 if until is None else max(0.0, min(0.2, until - loop.time()))
        nap = int(left * 1e9)
        future = _waits.try_submit(lambda nap=nap: source.wait_for_change(since, nap))  # type: ignore[misc]
        if future is not None:
            found = await asyncio.wrap_future(future)
        else:
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, 0.025)
            found = await call(lambda: source.wait_for_change(since, 0))
        if found is not None or (until is not None and loop.time() >= until):
            return found


async def next_refresh(cache: _forebay.Cache, timeout_ns: int | None) -> _forebay.Ticket | None:
    """Fetch the next queued ticket, by polling, so that none is lost to a caller that is cancelled."""
    loop = asyncio.get_running_loop()
    until = None if timeout_ns is None else loop.time() + timeout_ns / 1e9

    def look() -> list[_forebay.Ticket] | None:
        ticket = cache.next_refresh(0)
        if ticket is not None:
            return [ticket]
        return [] if until is not None and loop.time() >= until else None

    found = await poll(look)
    return found[0] if found else None
