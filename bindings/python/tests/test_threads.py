"""Threads and waiting: background refreshers, joining, bounded waits, and contexts."""

from __future__ import annotations

import contextvars
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import forebay
import pytest
from conftest import HANG, Hold, TestClock, until


def test_many_threads_share_one_run(cache: forebay.Cache) -> None:
    hold = Hold()
    source = cache.source("a/b", ttl=60)
    with ThreadPoolExecutor(16) as pool:
        futures = [pool.submit(source.get, hold) for _ in range(16)]
        assert hold.entered.wait(HANG)
        hold.release.set()
        values = [future.result(HANG) for future in futures]
    assert hold.runs == 1
    assert {value.data for value in values} == {b"held"}
    assert [value.how for value in values].count("ran") == 1
    assert {value.how for value in values} <= {"ran", "coalesced", "fresh"}


def test_a_bounded_wait_serves_stale_while_the_refresh_goes_on(
    timed: forebay.Cache, clock: TestClock
) -> None:
    source = timed.source("a/b", ttl=60)
    source.put(b"old")
    clock.advance(61)
    hold = Hold(b"new")
    value = source.get(hold, wait=0.01)
    assert (value.data, value.how, value.phase) == (b"old", "stale", "running")
    assert hold.entered.wait(HANG)
    assert source.get(hold, wait=0).how == "stale"
    hold.release.set()
    until(lambda: source.read().data == b"new")
    assert hold.runs == 1


def test_a_bounded_wait_with_nothing_to_serve_times_out(cache: forebay.Cache) -> None:
    source = cache.source("a/b", ttl=60)
    hold = Hold()
    with pytest.raises(TimeoutError) as caught:
        source.get(hold, wait="10ms")
    assert isinstance(caught.value, forebay.TimedOut)
    hold.release.set()
    until(lambda: source.read().data == b"held")


def test_d01_maybe_refresh_on_a_cold_cache_refreshes(cache: forebay.Cache) -> None:
    source = cache.source("cold/b", ttl=60)
    hold = Hold()
    assert source.maybe_refresh(hold) == "started"
    assert hold.entered.wait(HANG)
    assert source.maybe_refresh(hold) == "in_flight"
    assert source.refresh_state().phase == "running"
    hold.release.set()
    until(lambda: source.read().data == b"held")
    assert source.maybe_refresh(hold) == "fresh"


def test_a_background_failure_is_logged_and_gated(
    cache: forebay.Cache, caplog: pytest.LogCaptureFixture
) -> None:
    source = cache.source("a/b", ttl=60)

    def broken(job: forebay.Job) -> bytes:
        raise forebay.Failure("unavailable", "HTTP 503", retry_after=60)

    with caplog.at_level("WARNING", logger="forebay"):
        assert source.maybe_refresh(broken) == "started"
        until(lambda: "HTTP 503" in caplog.text)
    assert source.maybe_refresh(broken) == "gated"


def test_background_refreshers_see_the_callers_context(cache: forebay.Cache) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="lost")
    seen: list[tuple[str, bool]] = []

    def fetch(job: forebay.Job) -> bytes:
        seen.append((variable.get(), threading.current_thread().daemon))
        return b"x"

    variable.set("kept")
    assert cache.source("a/b", ttl=60).get(fetch, wait=HANG).how == "ran"
    assert seen == [("kept", True)]


def test_a_foreground_refresher_runs_in_the_callers_thread(cache: forebay.Cache) -> None:
    seen: list[int] = []

    def fetch(job: forebay.Job) -> bytes:
        seen.append(threading.get_ident())
        return b"x"

    cache.source("a/b", ttl=60).get(fetch)
    assert seen == [threading.get_ident()]


def test_the_gil_is_free_while_waiting(cache: forebay.Cache) -> None:
    """Were it held, the thread that releases the refresher could not run, and the join would hang."""
    hold = Hold()
    source = cache.source("a/b", ttl=60)
    assert source.maybe_refresh(hold) == "started"
    assert hold.entered.wait(HANG)
    waiting = threading.Timer(0.05, hold.release.set)
    waiting.start()
    assert source.refresh(lambda job: b"own").data in (b"held", b"own")
    waiting.join(HANG)


def test_wait_for_change_wakes_and_times_out(cache: forebay.Cache) -> None:
    source = cache.source("a/b", ttl=60)
    before = source.put(b"one")
    assert source.wait_for_change(timeout=0.01) is None
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(source.wait_for_change, before, HANG)
        after = source.put(b"two")
        assert waiting.result(HANG) == after.version
    assert source.wait_for_change(since=before.version, timeout=HANG) == after.version
    with pytest.raises(forebay.Invalid):
        source.wait_for_change(since="yesterday", timeout=0)


def test_refresh_many_keeps_order_and_lets_one_fail(cache: forebay.Cache) -> None:
    sources = [cache.source(f"t/{n}", ttl=60) for n in range(20)]
    own = RuntimeError("7 is bad")
    running = 0
    most = 0
    lock = threading.Lock()

    def fetch(job: forebay.Job) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            if job.key == "t/7":
                raise own
            return job.key
        finally:
            with lock:
                running -= 1

    steps: list[forebay.Progress] = []
    results = cache.refresh_many(
        [(source, fetch) for source in sources], concurrency=4, progress=steps.append
    )
    assert results[7] is own
    values = [result for result in results if isinstance(result, forebay.Value)]
    assert [value.data for value in values] == [f"t/{n}".encode() for n in range(20) if n != 7]
    assert most <= 4
    assert [(step.done, step.total) for step in steps] == [(n, 20) for n in range(1, 21)]
    assert {step.key for step in steps} == {source.key for source in sources}
    assert cache.refresh_many([]) == []
    with pytest.raises(forebay.Invalid):
        cache.refresh_many([], concurrency=0)


def test_events_reach_an_iterating_thread(cache: forebay.Cache) -> None:
    events = cache.subscribe()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lambda: [event.kind for event in events])
        cache.source("a/b", ttl=60).put(b"x")
        cache.source("a/b", ttl=60).read()
        events.close()
        assert "hit" in first.result(HANG)


def test_nothing_keeps_refreshers_alive(cache: forebay.Cache) -> None:
    class Fetch:
        def __call__(self, job: forebay.Job) -> bytes:
            return b"x"

    fetch = Fetch()
    gone = weakref.ref(fetch)
    source = cache.source("a/b", ttl=60)
    source.get(fetch)
    source.refresh(fetch)
    source.remove()
    source.get(fetch, wait=HANG)
    source.remove()
    source.maybe_refresh(fetch)
    until(lambda: source.read().fresh)
    del fetch
    until(lambda: gc.collect() >= 0 and gone() is None)


def test_a_reader_in_a_cycle_with_its_decoder_is_collected(cache: forebay.Cache) -> None:
    class Model:
        def __init__(self) -> None:
            self.reader = cache.source("a/b", ttl=60).reader(self.decode)
            self.readers = cache.readers(ttl=60, decode=self.decode)

        def decode(self, data: bytes) -> Model:
            return self

    cache.source("a/b", ttl=60).put(b"x")
    model = Model()
    assert model.reader() is model
    assert model.readers["a/b"] is model
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_a_program_starts_no_threads_unless_asked(root: Path) -> None:
    def threads() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    before = threads()
    with forebay.Cache(root) as cache:
        source = cache.source("a/b", ttl=60)
        source.get(lambda job: b"x")
        source.read()
        assert source.reader()() == b"x"
        assert threads() == before
