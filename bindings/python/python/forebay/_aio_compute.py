"""Bringing about one derived result from an event loop: the twin of `derive` in ``_compute``.

Calls that a result is built on are made side by side, some at a time. Imported at the first use of a coroutine.
"""

from __future__ import annotations

import asyncio
import contextvars

from . import _aio_steps
from ._aio import call
from ._compute import TRIES, Call, Plan, again, derive, told
from ._errors import Superseded
from ._forebay import Derived
from ._threads import spawn

SIDE_BY_SIDE = 16
"""How many of the calls that one result is built on are made at the same time."""


async def derive_async(plan: Plan) -> Derived:
    """Return the result if it holds; else compute it, as a coroutine or on a thread, or get what another computes."""
    found = await call(plan.look)
    if found is not None:
        return found
    plan.ask()
    tries = TRIES
    while True:
        await _made(plan.calls)
        course = plan.begin()
        try:
            return told(await _aio_steps.drive(course))
        except Superseded as error:
            tries -= 1
            if not (tries and again(course, plan, error)):
                raise


async def _made(calls: list[Call]) -> None:
    """Make those; where one fails, or the caller is cancelled, the others end too."""
    turns = asyncio.Semaphore(SIDE_BY_SIDE)

    async def make(one: Call) -> None:
        async with turns:
            await one.derive_async()

    tasks = [asyncio.ensure_future(make(one)) for one in calls]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def in_thread(plan: Plan) -> Derived:
    """Bring about the result of a plain function; where it has to run, on a thread with the caller's context."""
    found = await call(plan.look)
    if found is not None:
        return found
    context = contextvars.copy_context()
    return await asyncio.wrap_future(spawn(lambda: context.run(derive, plan), "forebay call"))
