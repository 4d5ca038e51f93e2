"""asyncio: the twins do the same, block no loop, and are cancelled one by one."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import forebay
import pytest
from conftest import HANG, TestClock

T = TypeVar("T")


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    async def bounded() -> T:
        return await asyncio.wait_for(main(), HANG)

    return asyncio.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # bounded by run()
        await asyncio.sleep(0.002)


class Hold:
    """A coroutine refresher that says when it runs, and returns when it is let go."""

    def __init__(self, result: bytes | Exception = b"held") -> None:
        self.entered = asyncio.Event()
        self.release = asyncio.Event()
        self.runs = 0
        self.cancelled = False
        self._result = result

    async def __call__(self, job: forebay.Job) -> bytes:
        self.runs += 1
        self.entered.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


async def simple(job: forebay.Job) -> forebay.Fetched:
    await asyncio.sleep(0)
    return forebay.Fetched(b"async", validator='"1"')


async def never(job: forebay.Job) -> bytes:
    pytest.fail("the refresher ran")


def test_every_twin_does_what_its_brother_does(cache: forebay.Cache) -> None:
    async def main() -> None:
        source = cache.source("a/b", ttl=60)
        value = await source.get_async(simple)
        assert (value.data, value.how, value.validator) == (b"async", "ran", '"1"')
        assert (await source.get_async(never)).how == "fresh"
        assert (await source.get_async(never, wait=0)).how == "fresh"
        assert (await source.refresh_async(simple)).how == "ran"
        assert await source.maybe_refresh_async(never) == "fresh"
        assert (await source.maybe_refresh_sync_async(never)).how == "fresh"
        assert (await source.put_async("put", ttl=5)).data == b"put"
        await source.mark_stale_async()
        assert source.read().stale
        assert (await source.maybe_refresh_sync_async(simple)).how == "ran"
        acquired = await source.acquire_async(force=True)
        assert acquired.ticket is not None
        assert (await acquired.ticket.complete_async(b"ticket", validator="v")).validator == "v"
        acquired = await source.acquire_async()
        assert acquired.ticket is not None
        assert (await acquired.ticket.unchanged_async()).how == "unchanged"
        acquired = await source.acquire_async()
        assert acquired.ticket is not None
        await acquired.ticket.fail_async("unavailable", "HTTP 503", retry_after=60)
        assert [row.key for row in await cache.list_async()] == ["a/b"]
        assert await source.remove_async()
        assert (await cache.prune_async(keep=[])).removed == []
        other = cache.source("a/c", ttl=60)
        assert other.request_refresh() == "started"
        ticket = await cache.next_refresh_async(timeout=HANG)
        assert ticket is not None
        ticket.close()
        assert await cache.next_refresh_async(timeout=0) is None
        await cache.close_async(drain=1)
        with pytest.raises(forebay.Closed):
            await source.get_async(never)

    run(main)


def test_many_tasks_share_one_run(cache: forebay.Cache) -> None:
    async def main() -> None:
        hold = Hold()
        source = cache.source("a/b", ttl=60)
        # More than there are threads for waiting: the rest polls.
        tasks = [asyncio.create_task(source.get_async(hold)) for _ in range(100)]
        await hold.entered.wait()
        hold.release.set()
        values = await asyncio.gather(*tasks)
        assert hold.runs == 1
        assert {value.data for value in values} == {b"held"}
        assert [value.how for value in values].count("ran") == 1

    run(main)


def test_the_loop_runs_while_a_call_waits_for_another_process(cache: forebay.Cache, root: Any) -> None:
    """The lease is another handle's, so all there is to do is wait; the loop has to let go of it."""

    async def main() -> None:
        with forebay.Cache(root) as other:
            ticket = other.source("a/b", ttl=60).acquire().ticket
            assert ticket is not None
            waiting = asyncio.create_task(cache.source("a/b", ttl=60).get_async(never))
            await asyncio.sleep(0.02)
            assert not waiting.done()
            ticket.complete(b"theirs")
            value = await waiting
            assert (value.data, value.how) == (b"theirs", "coalesced")

    run(main)


def test_cancelling_a_waiter_leaves_the_refresh_running(cache: forebay.Cache) -> None:
    async def main() -> None:
        hold = Hold()
        source = cache.source("a/b", ttl=60)
        first = asyncio.create_task(source.get_async(hold))
        await hold.entered.wait()
        second = asyncio.create_task(source.get_async(hold))
        await asyncio.sleep(0.01)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert source.refresh_state().phase == "running"
        hold.release.set()
        assert (await second).data == b"held"
        assert (hold.runs, hold.cancelled) == (1, False)

    run(main)


def test_a_cancelled_joiner_stops_alone(cache: forebay.Cache) -> None:
    async def main() -> None:
        hold = Hold()
        source = cache.source("a/b", ttl=60)
        first = asyncio.create_task(source.get_async(hold))
        await hold.entered.wait()
        second = asyncio.create_task(source.get_async(never))
        await asyncio.sleep(0.01)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        hold.release.set()
        assert (await first).how == "ran"

    run(main)


def test_the_end_of_the_loop_cancels_its_refreshes_and_frees_the_lease(cache: forebay.Cache) -> None:
    source = cache.source("a/b", ttl=60)
    holds: list[Hold] = []

    async def main() -> None:
        hold = Hold()
        holds.append(hold)
        assert await source.maybe_refresh_async(hold) == "started"
        await hold.entered.wait()

    run(main)
    assert holds[0].cancelled
    state = source.refresh_state()
    assert state.phase != "running"
    assert state.last_error is not None
    assert state.last_error.code == "cancelled"
    assert source.refresh(lambda job: b"next").data == b"next"


def test_a_refresher_that_is_cancelled_from_within_is_a_failure_to_its_caller(cache: forebay.Cache) -> None:
    async def gives_up(job: forebay.Job) -> bytes:
        raise asyncio.CancelledError

    async def main() -> None:
        with pytest.raises(forebay.Cancelled):
            await cache.source("a/b", ttl=60).refresh_async(gives_up)

    run(main)


def test_a_refresher_over_its_deadline_is_cancelled(cache: forebay.Cache) -> None:
    async def main() -> None:
        hold = Hold()
        with pytest.raises(forebay.TimedOut, match="deadline"):
            await cache.source("a/b", ttl=60, deadline=0.05).refresh_async(hold)
        assert hold.cancelled

    run(main)


def test_ones_own_exception_comes_back_as_itself(cache: forebay.Cache) -> None:
    own = KeyError("mine")

    async def broken(job: forebay.Job) -> bytes:
        raise own

    def broken_in_a_thread(job: forebay.Job) -> bytes:
        raise own

    async def main() -> None:
        source = cache.source("a/b", ttl=60)
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: source.refresh_async(broken),
            lambda: source.refresh_async(broken_in_a_thread),
            lambda: source.get_async(broken, wait=HANG),
        ]
        for call in calls:
            with pytest.raises(KeyError) as caught:
                await call()
            assert caught.value is own
            source.remove()

    run(main)


def test_plain_functions_run_on_a_thread_with_the_context(cache: forebay.Cache) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="lost")
    seen: list[tuple[str, bool]] = []

    def plain(job: forebay.Job) -> bytes:
        seen.append((variable.get(), threading.current_thread() is threading.main_thread()))
        return b"plain"

    def gives_awaitable(job: forebay.Job) -> Awaitable[forebay.Fetched]:
        return simple(job)

    async def coroutine(job: forebay.Job) -> bytes:
        seen.append((variable.get(), threading.current_thread() is threading.main_thread()))
        return b"coroutine"

    async def main() -> None:
        variable.set("kept")
        source = cache.source("a/b", ttl=60)
        assert (await source.refresh_async(plain)).data == b"plain"
        assert (await source.refresh_async(coroutine)).data == b"coroutine"
        assert (await source.refresh_async(gives_awaitable)).data == b"async"

    run(main)
    assert seen == [("kept", False), ("kept", True)]


def test_a_bounded_wait_serves_stale_while_the_task_goes_on(timed: forebay.Cache, clock: TestClock) -> None:
    async def main() -> None:
        source = timed.source("a/b", ttl=60)
        source.put(b"old")
        clock.advance(61)
        hold = Hold(b"new")
        value = await source.get_async(hold, wait=0.01)
        assert (value.data, value.how, value.phase) == (b"old", "stale", "running")
        await hold.entered.wait()
        hold.release.set()
        await until(lambda: source.read().data == b"new")

    run(main)


def test_wait_for_change_wakes_times_out_and_is_cancelled(cache: forebay.Cache) -> None:
    async def main() -> None:
        source = cache.source("a/b", ttl=60)
        before = source.put(b"one")
        assert await source.wait_for_change_async(timeout=0.01) is None
        waiting = asyncio.create_task(source.wait_for_change_async(before))
        await asyncio.sleep(0.01)
        after = await source.put_async(b"two")
        assert await waiting == after.version
        waiting = asyncio.create_task(source.wait_for_change_async())
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run(main)


def test_refresh_many_and_events(cache: forebay.Cache) -> None:
    async def fetch(job: forebay.Job) -> str:
        if job.key == "t/3":
            raise ValueError("3 is bad")
        return job.key

    async def main() -> None:
        events = cache.subscribe()
        steps: list[forebay.Progress] = []
        work = [(cache.source(f"t/{n}", ttl=60), fetch) for n in range(10)]
        results = await cache.refresh_many_async(work, concurrency=3, progress=steps.append)
        assert isinstance(results[3], ValueError)
        values = [result.data for result in results if isinstance(result, forebay.Value)]
        assert values == [f"t/{n}".encode() for n in range(10) if n != 3]
        assert [step.done for step in steps] == list(range(1, 11))
        cache.close()
        kinds = [event.kind async for event in events]
        assert kinds.count("refresh_succeeded") == 9
        assert kinds.count("refresh_failed") == 1

    run(main)


def test_another_loop_may_follow(cache: forebay.Cache) -> None:
    source = cache.source("a/b", ttl=60)
    for _ in range(3):
        source.remove()
        assert run(lambda: source.get_async(simple)).how == "ran"
