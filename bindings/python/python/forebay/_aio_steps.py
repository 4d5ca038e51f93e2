"""Driving calls of several steps from an event loop: the twin of ``_steps``.

Coroutines run as tasks, plain functions on threads of their own with the caller's context, and what touches the
disk on the threads of ``_aio``. Imported at the first use of a coroutine.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from ._aio import call, keep, short, wait_for_news
from ._errors import Cancelled, Error, TimedOut
from ._run import log
from ._steps import Course
from ._threads import spawn

T = TypeVar("T")


async def drive(course: Course[T]) -> T:
    """Bring one call to its end."""
    failed: Error | None = None
    over = False
    try:
        try:
            result = await _result(course)
        except Error as error:
            failed = error
        else:
            over = True
            return course.settled(result)
        raise course.error(failed)
    finally:
        if not (over or course.left):
            # Not awaited, as this may be a cancellation: it waits for a step that is being made, and then ends
            # the lease.
            short.submit(course.native.close)
        course.own = failed = None


async def _result(course: Course[T]) -> T:
    native, pause = course.native, 0.001
    step = await call(native.next)
    while isinstance(step, str):
        if step == "wait":
            await wait_for_news(native, pause)
            pause = min(pause * 1.5, 0.025)
            step = await call(native.next)
        elif course.cancels:
            step = await _turn(course, step)
        else:
            step = await _apart(course, step)
    return step


async def _turn(course: Course[T], step: str) -> T | str:
    """Call the function that is wanted, hand over what came of it, and return the step that follows."""
    wanted = course.function(step)
    if wanted is None:
        return await call(lambda: _hand_over(course, step, None, None))
    inner = asyncio.ensure_future(_invoke(*wanted))
    result, own = await _outcome(inner, course.limit(step), course.longer)
    return await call(lambda: _hand_over(course, step, result, own))


def _hand_over(course: Course[T], step: str, result: object, own: BaseException | None) -> T | str:
    if own is not None:
        course.failed(step, own)
    else:
        course.took(step, result)
    return course.native.next()


async def _outcome(
    inner: asyncio.Future[Any], limit: float | None, longer: str
) -> tuple[object, BaseException | None]:
    """Wait for a function's end, for at most that many seconds; if the caller is cancelled, so is it."""
    try:
        await asyncio.wait({inner}, timeout=limit)
    finally:
        late = not inner.done()
        if late:
            inner.cancel()
            await asyncio.wait({inner})
    if inner.cancelled():
        if late:
            return None, TimedOut("the function overran its deadline", hint=longer)
        return None, Cancelled("the function was cancelled from within")
    own = inner.exception()
    if own is not None and not isinstance(own, Exception):
        raise own
    return (None, own) if own is not None else (inner.result(), None)


def _is_coroutine_function(fn: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004


async def _invoke(fn: Callable[..., object], args: tuple[Any, ...]) -> object:
    if _is_coroutine_function(fn):
        return await cast("Awaitable[object]", fn(*args))
    context = contextvars.copy_context()
    result = await asyncio.wrap_future(spawn(lambda: context.run(fn, *args), "forebay call"))
    return await result if isinstance(result, Awaitable) else result


async def _apart(course: Course[T], step: str) -> T | str:
    """The same, as a task of its own, which goes on when the caller is cancelled."""
    going = _to_its_end(course, step)
    task = asyncio.get_running_loop().create_task(going)
    keep(task)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        course.left = True
        task.add_done_callback(_heard)
        raise
    return task.result()


def _heard(task: asyncio.Task[Any]) -> None:
    """Take note of the end of a task whose caller was cancelled."""
    if not task.cancelled() and task.exception() is not None:
        log.warning("what went on after its caller was cancelled failed: %s", type(task.exception()).__name__)


async def _to_its_end(course: Course[T], step: str) -> T | str:
    wanted = course.function(step)
    assert wanted is not None, "such a call is made for its function"
    fn, args = wanted
    if _is_coroutine_function(fn):
        inner = asyncio.ensure_future(_invoke(fn, args))
    else:
        # To its end in its own thread: whatever happens to the loop, what it brings is not lost.
        context = contextvars.copy_context()
        thread = spawn(lambda: context.run(_in_thread, course, step, fn, args), "forebay exchange")
        found = await asyncio.wrap_future(thread)
        if not isinstance(found, Pending):
            return found
        inner = asyncio.ensure_future(found.result)
    try:
        result, own = await _outcome(inner, None, course.longer)
    except BaseException as error:
        ending = error
        await call(lambda: _settle(course, step, inner, ending))
        raise
    return await call(lambda: _hand_over(course, step, result, own))


def _settle(course: Course[T], step: str, inner: asyncio.Future[Any], ending: BaseException) -> None:
    """Hand over how a coroutine ended that the end of the loop met: perhaps well all the same."""
    if inner.cancelled() or inner.exception() is not None:
        course.ended(step, ending)
        return
    try:
        _hand_over(course, step, inner.result(), None)
    except Error as lost:
        log.warning("what a coroutine brought as its loop ended could not be kept: %s", lost.code)


class Pending:
    """What a plain function returned that has yet to be awaited."""

    __slots__ = ("result",)

    def __init__(self, result: Awaitable[object]) -> None:
        self.result = result


def _in_thread(
    course: Course[T], step: str, fn: Callable[..., object], args: tuple[Any, ...]
) -> T | str | Pending:
    result: object = None
    own: BaseException | None = None
    try:
        result = fn(*args)
    except Exception as error:
        own = error
    except BaseException as error:  # SystemExit and the like, in a thread of ours
        course.ended(step, error)
        raise
    if isinstance(result, Awaitable):
        return Pending(result)
    following: T | str = _hand_over(course, step, result, own)
    return following
