"""Derived results among threads, tasks and processes: who computes, who waits, and who takes over."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import forebay
import pytest
from conftest import HANG, until
from forebay import live_key
from test_processes import finish, in_child

T = TypeVar("T")
Start = Callable[..., "subprocess.Popen[str]"]
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


# Processes.

COMPUTES = """
import os, sys
import forebay
live = forebay.Cache().live(workspace=sys.argv[1])
runs = os.path.join(sys.argv[1], "runs")

@live.memo(inputs=lambda path: [path])
def read(path):
    with open(runs, "a") as log:
        log.write(f"{os.getpid()}\\n")
    with open(os.path.join(sys.argv[1], path)) as file:
        return file.read()

print("ready", flush=True)
for line in sys.stdin:
    print(read(line.strip()), flush=True)
"""


def test_several_processes_compute_one_key_once(python: Start, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    programs = [python(COMPUTES, str(work)) for _ in range(6)]

    def tell(line: str) -> set[str]:
        for program in programs:
            assert program.stdin is not None
            program.stdin.write(line + "\n")
            program.stdin.flush()
        return {str(program.stdout and program.stdout.readline()) for program in programs}

    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
    for round_ in range(10):
        for name in ("a", "b"):
            (work / name).write_text(f"{name} {round_}")
            assert tell(name) == {f"{name} {round_}\n"}
            assert tell(name) == {f"{name} {round_}\n"}
    assert len((work / "runs").read_text().split()) == 20
    for program in programs:
        assert finish(program) == (0, "", "")


HOLDS = """
import sys, threading, time
import forebay
live = forebay.Cache().live(deadline="1h")
def hold(job):
    print("computing", flush=True)
    time.sleep(3600)
def say():
    print("waiting", flush=True)
if sys.argv[1] == "wait":
    threading.Timer(0.05, say).start()
try:
    live.get_or_compute(forebay.live_key("the one key"), hold)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(7)
"""


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_the_computation_of_a_process_that_ends_is_taken_over(
    python: Start, live: forebay.Live, sign: signal.Signals
) -> None:
    program = python(HOLDS, "compute")
    assert program.stdout is not None
    assert program.stdout.readline() == "computing\n"
    with ThreadPoolExecutor(1) as pool:
        waiter = pool.submit(live.get_or_compute, KEY, lambda job: b"taken over")
        program.send_signal(sign)
        status, out, err = finish(program)
        assert (status, out, err) == ((7, "interrupted\n", "") if sign == signal.SIGINT else (-sign, "", ""))
        assert waiter.result(HANG).data == b"taken over"


def test_ctrl_c_ends_a_wait(python: Start, live: forebay.Live) -> None:
    hold = Hold()
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(live.get_or_compute, KEY, hold)
        assert hold.entered.wait(HANG)
        program = python(HOLDS, "wait")
        assert program.stdout is not None
        assert program.stdout.readline() == "waiting\n"
        program.send_signal(signal.SIGINT)
        assert finish(program) == (7, "interrupted\n", "")
        hold.release.set()
        assert leader.result(HANG).how == "ran"


def test_a_forked_child_opens_the_index_anew(live: forebay.Live) -> None:
    live.persist(live_key("before"), b"the parent's", inputs=["tag:t"])
    ticket = live.begin(live_key("ticket"))
    ran: list[int] = []

    def child() -> None:
        found = live.lookup(live_key("before"), revalidate=True).hit
        assert found is not None
        assert found.data == b"the parent's"
        assert live.get_or_compute(live_key("child's"), lambda job: b"the child's").how == "ran"
        assert live.invalidate_tag("t") == 1
        assert live.gc()[0] == 0

    in_child(child)
    # What the child has done is seen here, and this process goes on as before.
    assert live.lookup(live_key("before")).outcome == "miss"
    assert live.get_or_compute(live_key("child's"), never).data == b"the child's"
    assert ticket.commit(b"the parent's").how == "ran"

    def hold(job: forebay.LiveJob) -> object:
        ran.append(os.getpid())

        def other() -> None:
            # The lease is the parent's: the child neither has it nor ends it.
            assert job.cancelled
            with pytest.raises(forebay.TimedOut):
                run(lambda: asyncio_wait(live))

        in_child(other)
        assert not job.cancelled
        return b"done"

    assert live.get_or_compute(KEY, hold).how == "ran"
    assert ran == [os.getpid()]


async def asyncio_wait(live: forebay.Live) -> None:
    """Wait for another's computation, for a while."""
    try:
        await asyncio.wait_for(live.get_or_compute_async(KEY, never), 0.2)
    except asyncio.TimeoutError:
        raise forebay.TimedOut from None


def test_a_fork_with_threads_at_work_leaves_a_child_that_works(live: forebay.Live, tmp_path: Path) -> None:
    """Threads look, compute, wait and remove at the moment of each fork."""
    stop = threading.Event()
    (tmp_path / "a").write_text("1")
    live.persist(live_key("known"), b"known", inputs=["a"])

    def busy(turn: Callable[[int], object]) -> None:
        count = 0
        while not stop.is_set():
            count += 1
            turn(count)

    turns: list[Callable[[int], object]] = [
        lambda n: live.lookup(live_key("known"), revalidate=True),
        lambda n: live.lookup(live_key("known")),
        lambda n: live.get_or_compute(live_key(n), lambda job: str(n), inputs=["tag:t"]),
        # Not for ever: a computation that sees more than 256 of these pass is not kept.
        lambda n: n % 50 or n > 5000 or live.invalidate_tag("t"),
    ]
    hold = Hold()
    leader = threading.Thread(target=live.get_or_compute, args=(KEY, hold))
    waiter = threading.Thread(target=live.get_or_compute, args=(KEY, never))
    threads = [leader, waiter, *(threading.Thread(target=busy, args=(turn,)) for turn in turns)]
    for thread in threads:
        thread.start()
        assert hold.entered.wait(HANG)

    def child() -> None:
        assert live.lookup(live_key("known"), revalidate=True)
        own = live_key(["child", os.getpid()])
        assert live.get_or_compute(own, lambda job: b"x").how == "ran"
        assert live.get_or_compute(own, never).how == "fresh"
        assert live.mark_dirty(own)

    try:
        for _ in range(20):
            in_child(child)
    finally:
        stop.set()
        hold.release.set()
        for thread in threads:
            thread.join(HANG)
    until(lambda: not any(thread.is_alive() for thread in threads))
    assert hold.runs == 1
