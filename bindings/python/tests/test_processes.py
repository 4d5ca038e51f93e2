"""Processes: Ctrl-C, exits with a refresh in flight, forks with a lease held, and racing programs."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forebay
import pytest
from conftest import HANG

Start = Callable[..., "subprocess.Popen[str]"]

EXITS = 50
"""How often an exit has to go well."""


def finish(program: subprocess.Popen[str], limit: float = HANG) -> tuple[int, str, str]:
    """Wait for its end; nothing may be printed on standard error by us."""
    try:
        out, err = program.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        program.send_signal(signal.SIGABRT)
        out, err = program.communicate()
        pytest.fail(f"it hung:\n{out}\n{err}")
    return program.returncode, out, err


INTERRUPTED = """
import sys, threading, time
import forebay
cache = forebay.Cache()
source = cache.source("a/b", ttl=60, deadline="1h")
def say():
    print("waiting", flush=True)
calls = {
    "joined": lambda: source.get(lambda job: b"never"),
    "refresh": lambda: source.refresh(lambda job: b"never"),
    "change": lambda: source.wait_for_change(),
    "next": lambda: cache.next_refresh(),
    "events": lambda: next(iter(cache.subscribe())),
    "own": lambda: source.get(lambda job: time.sleep(3600)),
    "many": lambda: cache.refresh_many([(source, lambda job: time.sleep(3600))]),
    "drain": lambda: (source.maybe_refresh(lambda job: time.sleep(3600)), cache.close(drain="1h")),
}
threading.Timer(0.05, say).start()
try:
    calls[sys.argv[1]]()
except KeyboardInterrupt:
    print("interrupted", time.monotonic_ns(), flush=True)
    sys.exit(7)
"""


@pytest.mark.parametrize("call", ["joined", "refresh", "change", "next", "events", "own", "many", "drain"])
def test_ctrl_c_ends_any_wait(python: Start, cache: forebay.Cache, call: str) -> None:
    ticket = cache.source("a/b", ttl=60).acquire().ticket if call in ("joined", "refresh") else None
    program = python(INTERRUPTED, call)
    assert program.stdout is not None
    assert program.stdout.readline() == "waiting\n"
    sent = time.monotonic_ns()
    program.send_signal(signal.SIGINT)
    status, out, err = finish(program)
    assert (status, err) == (7, "")
    word, when = out.split()
    assert word == "interrupted"
    # The promise is 200 ms; this is far enough above it to blame no busy machine.
    assert int(when) - sent < 2e9
    del ticket


EXIT = """
import os, sys, threading, time
import forebay
cache = forebay.Cache()
source = cache.source("a/b", ttl=60, deadline="1h")
entered = threading.Event()
def fetch(job):
    entered.set()
    time.sleep(3600)
assert source.maybe_refresh(fetch) == "started"
entered.wait()
# And threads that wait in every way there is, and that never stop calling.
def spin():
    while True:
        source.read()
        cache.source("a/c", ttl=60).put(b"x")
usage = cache.quota("usage", timeout="1h")
rotate = lambda: forebay.rotate(sys.argv[2], exchange=lambda job: time.sleep(3600))
resolve = lambda: usage.resolve(lambda job: time.sleep(3600))
for call in (lambda: source.get(lambda job: b""), source.wait_for_change, cache.next_refresh,
             lambda: list(cache.subscribe()), resolve, resolve, rotate, rotate, spin):
    def quiet(call=call):
        try:
            call()
        except forebay.Error:
            pass
    threading.Thread(target=quiet, daemon=True).start()
if sys.argv[1] == "exit":
    sys.exit(3)
if sys.argv[1] == "thread":
    threading.Thread(target=lambda: time.sleep(0.01)).start()
if sys.argv[1] == "atexit":
    import atexit
    atexit.register(lambda: print(source.read().state))
if sys.argv[1] == "asyncio":
    import asyncio
    async def main():
        asyncio.create_task(source.get_async(lambda job: b""))
        await asyncio.sleep(0.01)
    asyncio.run(main())
if sys.argv[1] == "error":
    raise RuntimeError("the program's own")
"""

# How it ends, with which status, and how often that is tried.
WAYS = [("return", 0, EXITS), ("exit", 3, EXITS)]
WAYS += [("thread", 0, 10), ("atexit", 0, 10), ("asyncio", 0, 10), ("error", 1, 10)]


@pytest.mark.parametrize(("way", "expected", "times"), WAYS)
def test_a_process_exits_at_once_with_a_refresh_in_flight(
    python: Start, root: Path, way: str, expected: int, times: int
) -> None:
    for round_ in range(times // 2):
        # A root for each: holders that die again and again are put off by a gate.
        programs = [
            python(EXIT, way, f"{way}-{round_}-{n}", FOREBAY_ROOT=str(root / f"{round_}-{n}"))
            for n in range(2)
        ]
        for program in programs:
            status, out, err = finish(program)
            if way == "error":
                assert "the program's own" in err.splitlines()[-1]
            else:
                assert err == ""
            assert status == expected
            assert out == ("absent\n" if way == "atexit" else "")
    with forebay.Cache(root / "0-0") as cache:
        assert cache.source("a/b", ttl=60).refresh(lambda job: b"next").data == b"next"


def test_a_killed_holder_is_replaced_at_once(python: Start, cache: forebay.Cache) -> None:
    program = python(
        "import forebay\n"
        "ticket = forebay.Cache().source('a/b', ttl=60, deadline='1h').acquire().ticket\n"
        "print('held', flush=True)\n"
        "input()"
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "held\n"
    source = cache.source("a/b", ttl=60)
    assert source.refresh_state().holder == program.pid
    assert source.acquire().outcome == "in_flight"
    program.kill()
    program.wait(HANG)
    assert source.get(lambda job: b"mine").how == "ran"
    program.communicate()


RACER = """
import sys, forebay
cache = forebay.Cache()
source = cache.source("a/b", ttl=3600)
def fetch(job):
    print("ran", flush=True)
    return "x" * 10000
print("ready", flush=True)
sys.stdin.readline()
value = source.get(fetch)
assert value.data == b"x" * 10000
"""


def test_racing_programs_run_one_refresh(python: Start, root: Path) -> None:
    for round_ in range(5):
        programs = [python(RACER, FOREBAY_ROOT=str(root / str(round_))) for _ in range(6)]
        for program in programs:
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
        for program in programs:
            assert program.stdin is not None
            program.stdin.write("go\n")
            program.stdin.flush()
        results = [finish(program) for program in programs]
        assert [status for status, _, _ in results] == [0] * 6, results
        assert "".join(out for _, out, _ in results).count("ran") == 1


def in_child(body: Callable[[], None]) -> None:
    """Fork, run that in the child, and fail here if it failed there."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            body()
            status = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    limit = time.monotonic() + HANG
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() > limit:
            os.kill(pid, signal.SIGABRT)
            os.waitpid(pid, 0)
            pytest.fail("the child hung")
        time.sleep(0.002)
    assert os.waitstatus_to_exitcode(status) == 0, "the child failed, see its output"


def test_a_fork_leaves_the_lease_with_the_parent(cache: forebay.Cache) -> None:
    source = cache.source("a/b", ttl=60)
    acquired = source.acquire()
    ticket = acquired.ticket
    assert ticket is not None

    def child() -> None:
        with pytest.raises(forebay.LeaseLost):
            ticket.complete(b"the child's")
        ticket.close()
        assert source.acquire().outcome == "in_flight"
        assert cache.source("a/c", ttl=60).get(lambda job: b"child").how == "ran"
        assert cache.source("a/c", ttl=60).reader()() == b"child"

    in_child(child)
    assert source.acquire().outcome == "in_flight"
    assert not ticket.cancelled
    assert ticket.complete(b"the parent's").how == "ran"
    assert cache.source("a/c", ttl=60).read().data == b"child"


def test_a_fork_with_threads_at_work_leaves_a_child_that_works(cache: forebay.Cache) -> None:
    """A thread refreshes, others wait and call at the moment of each fork."""
    release = threading.Event()
    entered = threading.Event()
    stop = threading.Event()

    def slow(job: forebay.Job) -> bytes:
        entered.set()
        release.wait(HANG)
        return b"slow"

    def busy() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            cache.source("a/busy", ttl=60).put(str(n))

    reader = cache.source("a/busy", ttl=60).reader()

    def read() -> None:
        while not stop.is_set():
            reader()

    source = cache.source("a/b", ttl=60)
    assert source.maybe_refresh(slow) == "started"
    assert entered.wait(HANG)
    threads = [threading.Thread(target=fn) for fn in (busy, read, lambda: source.get(slow))]
    for thread in threads:
        thread.start()

    def child() -> None:
        assert source.read().state == "absent"
        assert source.maybe_refresh(slow) == "in_flight"
        assert (reader() or b"0").isdigit()
        own = cache.source(f"child/{os.getpid()}", ttl=60)
        assert own.get(lambda job: b"x").how == "ran"
        assert own.get(lambda job: b"never", wait=1).how == "fresh"
        own.mark_stale()
        assert own.get(lambda job: b"apart", wait=HANG).data == b"apart"

    try:
        for _ in range(20):
            in_child(child)
    finally:
        stop.set()
        release.set()
        for thread in threads:
            thread.join(HANG)
    assert source.read().data == b"slow"


def _square(root: str, n: int) -> int:
    with forebay.Cache(root) as cache:
        return int(cache.source(f"square/{n}", ttl=60).get(lambda job: str(n * n)).text())


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(cache: forebay.Cache, method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    assert _square(cache.root, 3) == 9
    with context.Pool(3) as pool:
        assert pool.starmap(_square, [(cache.root, n % 4) for n in range(12)]) == [0, 1, 4, 9] * 3


def _refused(root: str) -> None:
    forebay.Cache(root).source("")


def test_an_error_of_ours_crosses_a_process_pool(cache: forebay.Cache) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool, pytest.raises(forebay.Invalid):
        pool.apply(_refused, (cache.root,))


def test_importing_is_light() -> None:
    program = "import sys, forebay; print([m for m in ('asyncio', 'json', 'inspect') if m in sys.modules])"
    out = subprocess.check_output([sys.executable, "-S", "-c", program], text=True, env=_path()).strip()
    assert "asyncio" not in out


def _path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(forebay.__file__).parents[1])}
