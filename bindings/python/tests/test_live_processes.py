"""Derived results among processes: one computes, another takes over, and a forked child begins anew."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import forebay
import pytest
from conftest import HANG, until
from forebay import live_key
from test_live_calls import KEY, Hold, never, run
from test_processes import finish, in_child

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def live(cache: forebay.Cache, tmp_path: Path) -> forebay.Live:
    return cache.live(workspace=tmp_path, deadline="1h")


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
