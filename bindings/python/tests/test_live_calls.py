"""Derived results among threads and tasks: who computes, who waits, and who takes over."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import forebay
import pytest
from conftest import HANG
from forebay import live_key

T = TypeVar("T")
KEY = live_key("the one key")


def never(*_: object) -> Any:
    pytest.fail("it was called")


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    async def bounded() -> T:
        return await asyncio.wait_for(main(), HANG)

    return asyncio.run(bounded())


@pytest.fixture
def live(cache: forebay.Cache, tmp_path: Path) -> forebay.Live:
    return cache.live(workspace=tmp_path, deadline="1h")


class Hold:
    """A computation that says when it runs, and returns when it is let go."""

    def __init__(self, result: object = b"held") -> None:
        self.entered = threading.Event()
        self.release = threading.Event()
        self.runs = 0
        self.cancelled: list[bool] = []
        self._result = result

    def __call__(self, job: forebay.LiveJob) -> object:
        self.runs += 1
        self.cancelled.append(job.cancelled)
        self.entered.set()
        assert self.release.wait(HANG), "nobody released the computation"
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


def test_many_threads_share_one_computation(live: forebay.Live) -> None:
    hold = Hold([1])
    with ThreadPoolExecutor(16) as pool:
        futures = [pool.submit(live.get_or_compute, KEY, hold) for _ in range(16)]
        assert hold.entered.wait(HANG)
        hold.release.set()
        made = [future.result(HANG) for future in futures]
    assert (hold.runs, hold.cancelled) == (1, [False])
    assert {str(one.json()) for one in made} == {"[1]"}
    hows = [one.how for one in made]
    assert hows.count("ran") == 1
    assert set(hows) <= {"ran", "coalesced", "fresh"}


def test_whoever_waited_for_a_failure_computes_it_anew(live: forebay.Live) -> None:
    own = ValueError("mine")
    hold = Hold(own)
    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(live.get_or_compute, KEY, hold)
        assert hold.entered.wait(HANG)
        follower = pool.submit(live.get_or_compute, KEY, lambda job: "the other's")
        hold.release.set()
        assert leader.exception(HANG) is own
        assert follower.result(HANG).text() == "the other's"


def test_a_function_runs_in_the_callers_thread_and_may_compute_others(live: forebay.Live) -> None:
    def outer(job: forebay.LiveJob) -> object:
        assert 0 < job.remaining <= 3600
        assert job.deadline.tzinfo is not None
        inner = live.get_or_compute(live_key("inner"), lambda job: threading.get_ident())
        return [inner.json(), threading.get_ident()]

    assert live.get_or_compute(KEY, outer).json() == [threading.get_ident()] * 2


def test_a_computation_that_asks_for_its_own_result_is_told_so(
    cache: forebay.Cache, live: forebay.Live
) -> None:
    other = cache.live()

    def itself(job: forebay.LiveJob) -> object:
        return other.get_or_compute(
            live_key("between"), lambda job: live.get_or_compute(KEY, never).data
        ).data

    with pytest.raises(forebay.Invalid):
        live.get_or_compute(KEY, itself)
    with pytest.raises(forebay.Invalid):
        run(lambda: live.get_or_compute_async(KEY, itself))
    assert live.get_or_compute(KEY, lambda job: b"x").how == "ran"

    @live.memo(inputs=[])
    def countdown(n: int) -> list[int]:
        return [n, *countdown(n - 1)] if n else []

    assert countdown(3) == [3, 2, 1]


def returns(result: object) -> Callable[[forebay.LiveJob], object]:
    return lambda job: result


def test_what_is_returned_is_bytes_text_or_json(live: forebay.Live) -> None:
    pairs = [(b"x", b"x"), (bytearray(b"x"), b"x"), ("ü", "ü".encode()), ([1], b"[1]"), (None, b"null")]
    for number, (given, kept) in enumerate(pairs):
        assert live.get_or_compute(live_key(number), returns(given)).data == kept

    async def coroutine() -> None: ...

    pending = coroutine()
    for wrong in ({1}, never, float("inf"), pending):
        with pytest.raises(forebay.Invalid, match="which is not JSON"):
            live.get_or_compute(KEY, returns(wrong))
    pending.close()


def test_ctrl_c_in_a_computation_leaves_it_to_the_next(live: forebay.Live) -> None:
    def interrupted(job: forebay.LiveJob) -> object:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        live.get_or_compute(KEY, interrupted)
    assert live.get_or_compute(KEY, lambda job: b"next").how == "ran"


def test_an_own_superseded_error_is_not_taken_for_an_upstream_s(live: forebay.Live) -> None:
    own = forebay.Superseded("the caller's")
    runs: list[int] = []

    @live.memo(inputs=[])
    def base() -> int:
        return 1

    def fail(job: forebay.LiveJob) -> object:
        runs.append(1)
        raise own

    with pytest.raises(forebay.Superseded) as caught:
        live.get_or_compute(KEY, fail, upstream=[base.call()])
    assert caught.value is own
    assert len(runs) == 1


def test_calls_above_that_keep_changing_end_in_an_error(live: forebay.Live) -> None:
    runs: list[int] = []

    class Fleeting:
        key = live_key("fleeting")

        def derive(self) -> forebay.Derived:
            runs.append(1)
            made = live.persist(self.key, b"x")
            live.mark_dirty(self.key)
            return made

        async def derive_async(self) -> forebay.Derived:
            return self.derive()

    with pytest.raises(forebay.Superseded):
        live.get_or_compute(KEY, never, upstream=[Fleeting()])
    with pytest.raises(forebay.Superseded):
        run(lambda: live.get_or_compute_async(KEY, never, upstream=[Fleeting()]))
    assert len(runs) == 16


# Event loops.


def test_many_tasks_share_one_coroutine(live: forebay.Live) -> None:
    runs: list[int] = []
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    async def compute(job: forebay.LiveJob) -> object:
        runs.append(1)
        await asyncio.sleep(0)
        return [variable.get(), job.cancelled]

    async def main() -> list[forebay.Derived]:
        variable.set("seen")
        return await asyncio.gather(*(live.get_or_compute_async(KEY, compute) for _ in range(50)))

    made = run(main)
    assert len(runs) == 1
    assert {str(one.json()) for one in made} == {"['seen', False]"}
    # A plain function runs on a thread.
    own = ValueError("mine")

    def fail(job: forebay.LiveJob) -> object:
        assert threading.current_thread() is not threading.main_thread()
        raise own

    with pytest.raises(ValueError, match="mine") as caught:
        run(lambda: live.get_or_compute_async(live_key("other"), fail))
    assert caught.value is own


def test_a_cancelled_computation_is_the_next_ones_at_once(live: forebay.Live) -> None:
    async def main() -> None:
        entered, ended = asyncio.Event(), asyncio.Event()

        async def first(job: forebay.LiveJob) -> object:
            entered.set()
            try:
                await asyncio.sleep(3600)
            finally:
                ended.set()
            return never()

        async def second(job: forebay.LiveJob) -> object:
            return "the second's"

        leader = asyncio.ensure_future(live.get_or_compute_async(KEY, first))
        await entered.wait()
        waiter = asyncio.ensure_future(live.get_or_compute_async(KEY, never))
        follower = asyncio.ensure_future(live.get_or_compute_async(KEY, second))
        await asyncio.sleep(0.05)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert not ended.is_set(), "who waits ends nothing by leaving"
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        assert ended.is_set()
        assert (await follower).text() == "the second's"

    run(main)


def test_cancelling_ends_the_calls_that_were_to_be_made_first(live: forebay.Live) -> None:
    async def main() -> None:
        entered = asyncio.Event()
        ended: list[str] = []

        @live.memo(inputs=[])
        async def slow(name: str) -> str:
            entered.set()
            try:
                await asyncio.sleep(3600)
            finally:
                ended.append(name)
            return name

        @live.memo(inputs=[])
        async def fails(name: str) -> str:
            await entered.wait()
            raise ValueError(name)

        calls = [slow.call("a"), slow.call("b")]
        task = asyncio.ensure_future(live.get_or_compute_async(KEY, never, upstream=calls))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        started = len(ended)
        assert 1 <= started <= 2
        entered.clear()
        with pytest.raises(ValueError, match="mine"):
            await live.get_or_compute_async(KEY, never, upstream=[slow.call("c"), fails.call("mine")])
        assert ended[started:] == ["c"]

    run(main)


def test_a_coroutine_over_its_deadline_is_cancelled(cache: forebay.Cache) -> None:
    hasty = cache.live(deadline="100ms")
    seen: list[str] = []

    async def slow(job: forebay.LiveJob) -> object:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        return never()

    with pytest.raises(forebay.TimedOut, match="give the live results a longer deadline"):
        run(lambda: hasty.get_or_compute_async(KEY, slow))
    assert seen == ["cancelled"]
    assert hasty.get_or_compute(KEY, lambda job: b"next").how == "ran"


def test_every_call_has_a_twin(live: forebay.Live) -> None:
    async def main() -> None:
        made = await live.persist_async(KEY, "x", inputs=["tag:t", "a"])
        ticket = await live.begin_async(live_key("y"), upstream=[made])
        assert (await ticket.commit_async(b"y")).upstreams == [KEY]
        assert (await live.lookup_async(KEY, revalidate=True)).outcome == "hit"
        assert len(await live.list_async()) == 2
        assert await live.invalidate_upstream_async(KEY) == 1
        assert await live.invalidate_path_async(b"a") == 1
        await live.persist_async(KEY, "x", inputs=["tag:t"])
        assert await live.invalidate_tag_async("t") == 1
        assert await live.mark_dirty_async(KEY) is False
        await live.persist_async(KEY, "x")
        assert await live.evict_to_cap_async(0) == 1
        assert await live.gc_async() == (0, 0)

    run(main)
