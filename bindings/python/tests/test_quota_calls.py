"""Quotas among threads, tasks and processes: who asks, who waits, and who takes over."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import subprocess
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import forebay
import pytest
from conftest import HANG, TestClock, until

T = TypeVar("T")
Start = Callable[..., "subprocess.Popen[str]"]


def never(*_: object) -> Any:
    pytest.fail("it was called")


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    async def bounded() -> T:
        return await asyncio.wait_for(main(), HANG)

    return asyncio.run(bounded())


@pytest.fixture
def usage(cache: forebay.Cache) -> forebay.Quota:
    # The fetches of these tests are held up by the test, not by a server.
    return cache.quota("usage", timeout="1h")


class Hold:
    """A fetch that says when it runs, and returns when it is let go."""

    def __init__(self, result: object) -> None:
        self.entered = threading.Event()
        self.release = threading.Event()
        self.runs = 0
        self._result = result

    def __call__(self, job: forebay.QuotaJob) -> object:
        self.runs += 1
        self.entered.set()
        assert self.release.wait(HANG), "nobody released the fetch"
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


def test_many_threads_share_one_fetch(usage: forebay.Quota) -> None:
    hold = Hold({"n": 1})
    with ThreadPoolExecutor(16) as pool:
        futures = [pool.submit(usage.resolve, hold) for _ in range(16)]
        assert hold.entered.wait(HANG)
        hold.release.set()
        answers = [future.result(HANG) for future in futures]
    assert hold.runs == 1
    assert {answer.data["n"] for answer in answers} == {1}
    hows = [answer.how for answer in answers]
    assert hows.count("ran") == 1
    assert set(hows) <= {"ran", "coalesced", "fresh"}


def test_those_who_wait_get_the_error_of_the_one_who_asked(usage: forebay.Quota) -> None:
    own = ValueError("the server said no")
    hold = Hold(own)
    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(usage.resolve, hold)
        assert hold.entered.wait(HANG)
        follower = pool.submit(usage.resolve, never)
        hold.release.set()
        assert leader.exception(HANG) is own
        with pytest.raises(forebay.RefreshFailed, match="ValueError: the server said no"):
            follower.result(HANG)


def test_with_stale_data_nobody_waits(timed: forebay.Cache, clock: TestClock) -> None:
    usage = timed.quota("usage", timeout="1h")
    usage.resolve(lambda job: {"n": 1})
    clock.advance(200)
    hold = Hold({"n": 2})
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(usage.resolve, hold)
        assert hold.entered.wait(HANG)
        answer = usage.resolve(never, never, never)
        assert (answer.data, answer.how, answer.error) == ({"n": 1}, "stale", None)
        assert usage.read().phase == "running"
        hold.release.set()
        assert leader.result(HANG).data == {"n": 2}


def test_a_bounded_wait_ends_with_the_fallback_or_an_error(cache: forebay.Cache) -> None:
    patient, hasty = (cache.quota("usage", timeout="1h", wait=wait) for wait in (None, "10ms"))
    hold = Hold({"n": 1})
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(patient.resolve, hold)
        assert hold.entered.wait(HANG)
        with pytest.raises(forebay.TimedOut):
            hasty.resolve(never, never)
        assert hasty.resolve(never, never, lambda: [0]).how == "fallback"
        hold.release.set()
        assert leader.result(HANG).how == "ran"


def test_the_functions_run_in_the_callers_thread(usage: forebay.Quota) -> None:
    threads: list[int] = []

    def note(result: object) -> object:
        threads.append(threading.get_ident())
        return result

    with pytest.raises(TypeError):
        usage.resolve(lambda job: note("x") and int([]), lambda: note("secret"), lambda: note(None))  # type: ignore[call-overload]
    assert threads == [threading.get_ident()] * 3


# Event loops.


class Slow:
    """A coroutine fetch that says when it runs, and returns when it is let go."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.release = asyncio.Event()
        self.runs = 0
        self.cancelled = False

    async def __call__(self, job: forebay.QuotaJob) -> object:
        self.runs += 1
        self.entered.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return {"n": self.runs}


def test_each_function_may_be_a_coroutine_function_or_a_plain_one(cache: forebay.Cache) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="lost")
    seen: list[tuple[str, str, bool]] = []

    def note(name: str) -> None:
        seen.append((name, variable.get(), threading.current_thread() is threading.main_thread()))

    def plain(name: str, result: object) -> Callable[..., object]:
        def fn(*args: object) -> object:
            note(name)
            return result

        return fn

    def coroutine(name: str, result: object) -> Callable[..., Awaitable[object]]:
        async def fn(*args: object) -> object:
            await asyncio.sleep(0)
            note(name)
            return result

        return fn

    async def main() -> None:
        variable.set("kept")
        for kind in (plain, coroutine):
            usage = cache.quota(kind.__name__)
            answer = await usage.resolve_async(
                kind("fetch", b"{"), kind("credentials", "x"), kind("fallback", [1])
            )
            assert (answer.data, answer.how) == ([1], "fallback")
            assert (await usage.block_async(60)) <= usage.block(0)
            assert await usage.clear_async()
            assert (await usage.resolve_async(kind("fetch", {"n": 1}))).how == "ran"
            assert (await usage.resolve_async(never, never, never)).how == "fresh"
        lazily = await cache.quota("lambda").resolve_async(lambda job: coroutine("fetch", [2])(job))
        assert lazily.data == [2]

    run(main)
    names = ["credentials", "fetch", "fallback", "fetch"]
    assert seen[:4] == [(name, "kept", False) for name in names]
    assert seen[4:] == [(name, "kept", True) for name in [*names, "fetch"]]


def test_many_tasks_share_one_fetch(usage: forebay.Quota) -> None:
    async def main() -> None:
        slow = Slow()
        # More than there are threads for waiting: the rest polls.
        tasks = [asyncio.create_task(usage.resolve_async(slow)) for _ in range(100)]
        await slow.entered.wait()
        slow.release.set()
        answers = await asyncio.gather(*tasks)
        assert slow.runs == 1
        assert [answer.how for answer in answers].count("ran") == 1
        assert {answer.data["n"] for answer in answers} == {1}

    run(main)


def test_cancelling_who_asks_ends_the_lease_and_the_next_takes_over(usage: forebay.Quota) -> None:
    async def main() -> None:
        first, second = Slow(), Slow()
        asking = asyncio.create_task(usage.resolve_async(first))
        await first.entered.wait()
        waiting = asyncio.create_task(usage.resolve_async(second))
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert first.cancelled
        await second.entered.wait()
        second.release.set()
        assert (await waiting).how == "ran"
        assert usage.read().blocked is None

    run(main)


def test_cancelling_who_waits_changes_nothing(usage: forebay.Quota) -> None:
    async def main() -> None:
        slow = Slow()
        asking = asyncio.create_task(usage.resolve_async(slow))
        await slow.entered.wait()
        waiting = asyncio.create_task(usage.resolve_async(never))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        slow.release.set()
        assert (await asking).how == "ran"
        assert not slow.cancelled

    run(main)


def test_cancelling_does_not_wait_for_a_plain_function_but_frees_the_lease(usage: forebay.Quota) -> None:
    async def main() -> None:
        hold = Hold({"late": True})
        asking = asyncio.create_task(usage.resolve_async(hold))
        await asyncio.to_thread(hold.entered.wait, HANG)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await usage.resolve_async(lambda job: {"n": 1})).how == "ran"
        hold.release.set()
        assert usage.read().answer is not None

    run(main)
    answer = usage.read().answer
    assert answer is not None
    assert answer.data == {"n": 1}


def test_a_fetch_over_its_deadline_is_cancelled_and_gated(cache: forebay.Cache) -> None:
    usage = cache.quota("usage", timeout="50ms", backoff=("1h", "1h"))

    async def main() -> None:
        slow = Slow()
        with pytest.raises(forebay.TimedOut, match="overran its deadline"):
            await usage.resolve_async(slow)
        assert slow.cancelled
        with pytest.raises(forebay.TimedOut):
            await usage.resolve_async(never, never)

    run(main)


def test_ones_own_exception_comes_back_from_tasks_and_threads(cache: forebay.Cache) -> None:
    own = KeyError("mine")

    async def broken(*args: object) -> object:
        raise own

    def broken_in_a_thread(*args: object) -> object:
        raise own

    async def gives_up(*args: object) -> object:
        raise asyncio.CancelledError

    async def main() -> None:
        for number, fn in enumerate((broken, broken_in_a_thread)):
            usage = cache.quota(f"usage{number}")
            with pytest.raises(KeyError) as caught:
                await usage.resolve_async(never, fn)
            assert caught.value is own
            with pytest.raises(KeyError) as caught:
                await usage.resolve_async(fn)
            assert caught.value is own
            with pytest.raises(forebay.RefreshFailed, match="mine"):
                await usage.resolve_async(never, never, fn)
        with pytest.raises(forebay.Cancelled):
            await cache.quota("gives_up").resolve_async(gives_up)

    run(main)


def test_the_end_of_the_loop_frees_the_lease(usage: forebay.Quota) -> None:
    async def main() -> None:
        slow = Slow()
        task = asyncio.create_task(usage.resolve_async(slow))
        await slow.entered.wait()
        assert not task.done()

    run(main)
    assert usage.resolve(lambda job: {"n": 1}).how == "ran"


# Processes.

RACER = """
import sys, forebay
usage = forebay.Cache().quota("usage", timeout="1m")
def fetch(job):
    print("asked with", job.credential, flush=True)
    return {"n": 1}
print("ready", flush=True)
sys.stdin.readline()
answer = usage.resolve(fetch, lambda: "a secret")
assert answer.data == {"n": 1}, answer
"""


def finish(program: subprocess.Popen[str]) -> str:
    out, err = program.communicate(timeout=HANG)
    assert (program.returncode, err) == (0, "")
    return out


def test_racing_processes_ask_once(python: Start, root: Path) -> None:
    for round_ in range(3):
        programs = [python(RACER, FOREBAY_ROOT=str(root / str(round_))) for _ in range(8)]
        for program in programs:
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
        for program in programs:
            assert program.stdin is not None
            program.stdin.write("go\n")
            program.stdin.flush()
        asked = [out for program in programs for out in finish(program).splitlines()]
        assert asked == ["asked with a secret"]


HOLDER = """
import sys, forebay
def fetch(job):
    print("asking", flush=True)
    sys.stdin.readline()
    return [0]
forebay.Cache().quota("usage", timeout="1h").resolve(fetch)
"""


def test_a_killed_process_is_replaced_at_once(python: Start, usage: forebay.Quota) -> None:
    program = python(HOLDER)
    assert program.stdout is not None
    assert program.stdout.readline() == "asking\n"
    state = usage.read()
    assert (state.phase, state.holder) == ("running", program.pid)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(usage.resolve, lambda job: [1])
        program.kill()
        program.communicate()
        assert waiting.result(HANG).data == [1]
    until(lambda: usage.read().phase == "idle")


INTERRUPTED = """
import sys, threading, time, forebay
usage = forebay.Cache().quota("usage", timeout="1h")
threading.Timer(0.05, lambda: print("waiting", flush=True)).start()
try:
    usage.resolve(lambda job: time.sleep(3600))
except KeyboardInterrupt:
    state = usage.read()
    print(state.phase, state.blocked)
"""


@pytest.mark.parametrize("joined", [True, False])
def test_ctrl_c_ends_fetch_and_wait(python: Start, usage: forebay.Quota, joined: bool) -> None:
    hold = Hold([1])
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(usage.resolve, hold) if joined else None
        assert leader is None or hold.entered.wait(HANG)
        program = python(INTERRUPTED)
        assert program.stdout is not None
        assert program.stdout.readline() == "waiting\n"
        program.send_signal(signal.SIGINT)
        assert finish(program) == ("running None\n" if joined else "idle None\n")
        hold.release.set()
        assert leader is None or leader.result(HANG).how == "ran"
