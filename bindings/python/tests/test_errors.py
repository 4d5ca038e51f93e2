"""The exceptions: complete, catchable by what they are, and carried to whom they belong."""

from __future__ import annotations

import copy
import gc
import json
import os
import pickle
import threading
import weakref
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import forebay
import pytest
from conftest import HANG, Hold, TestClock

VECTORS = Path(__file__).parents[3] / "tests" / "vectors"


def classes() -> dict[str, type[forebay.Error]]:
    found = [getattr(forebay, name) for name in forebay.__all__]
    errors = [item for item in found if isinstance(item, type) and issubclass(item, forebay.Error)]
    return {cls.code: cls for cls in errors if cls not in (forebay.Error, forebay.Failure, forebay.NotSent)}


def test_each_code_of_the_table_has_its_class_and_none_is_left_over() -> None:
    table = json.loads((VECTORS / "error_codes.json").read_text())
    rows = table if isinstance(table, list) else table["codes"]
    assert len(rows) >= 30
    assert {row["code"]: row["number"] for row in rows} == forebay.CODES
    found = classes()
    assert set(found) == set(forebay.CODES)
    for code, cls in found.items():
        assert cls.__name__ == code.title().replace("_", "")
        assert cls.number == forebay.CODES[code]
        assert cls.__module__ == "forebay"
        assert cls.__doc__


@pytest.mark.parametrize(
    ("cls", "base"),
    [
        (forebay.TimedOut, TimeoutError),
        (forebay.LockTimeout, TimeoutError),
        (forebay.Permission, PermissionError),
        (forebay.UnsafeRoot, PermissionError),
        (forebay.NoSpace, OSError),
        (forebay.Io, OSError),
        (forebay.Invalid, ValueError),
        (forebay.NotFound, LookupError),
    ],
)
def test_classes_are_also_the_builtin_of_their_sense(cls: type[forebay.Error], base: type[Exception]) -> None:
    error = cls("what", path="/p", hint="do", errno=13)
    assert isinstance(error, base)
    assert str(error) == "/p: what; do"
    assert error.errno == 13


@pytest.mark.parametrize("code", forebay.CODES)
def test_errors_survive_pickling_and_copying(code: str) -> None:
    at = datetime.now(timezone.utc)
    error = classes()[code]("what", path="/p", hint="do", errno=2, retry_at=at)
    failure = forebay.Failure(code, "why", retry_after=3)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert (str(twin), twin.errno, twin.retry_at) == (str(error), 2, at)
    twin = pickle.loads(pickle.dumps(failure))
    assert type(twin) is type(failure)
    assert (twin.code, twin.message, twin.retry_after) == (code, "why", 3)
    assert isinstance(twin, classes()[code])


def test_a_failure_of_an_unknown_code_is_refused() -> None:
    with pytest.raises(forebay.Invalid, match="RateLimited"):
        forebay.Failure("RateLimited", "x")

    class Mine(forebay.Failure):
        pass

    assert isinstance(Mine("unavailable", "x"), Mine)
    assert isinstance(Mine("unavailable", "x"), forebay.Unavailable)


class Own(Exception):
    pass


def test_ones_own_exception_comes_back_as_itself(cache: forebay.Cache) -> None:
    own = Own("boom")

    def fetch(job: forebay.Job) -> bytes:
        raise own

    source = cache.source("a/b", ttl=60)
    calls: list[Callable[[], object]] = [
        lambda: source.get(fetch),
        lambda: source.refresh(fetch),
        lambda: source.remove() or source.maybe_refresh_sync(fetch),
        lambda: source.remove() or source.get(fetch, wait=HANG),
    ]
    for call in calls:
        with pytest.raises(Own) as caught:
            call()
        assert caught.value is own
        assert caught.value.__cause__ is None
    state = source.refresh_state()
    assert state.failed
    assert state.last_error is not None
    assert state.last_error.code == "refresh_failed"
    assert "Own: boom" in state.last_error.message


def test_a_joined_caller_gets_code_and_text(cache: forebay.Cache) -> None:
    hold = Hold(Own("told to all"))
    source = cache.source("a/b", ttl=60)
    caught: list[BaseException] = []

    def lead() -> None:
        try:
            source.refresh(hold)
        except Own as error:
            caught.append(error)

    def join() -> None:
        try:
            source.refresh(lambda job: b"never")
        except forebay.Error as error:
            caught.append(error)

    leader = threading.Thread(target=lead)
    leader.start()
    assert hold.entered.wait(HANG)
    events = cache.subscribe()
    follower = threading.Thread(target=join)
    follower.start()
    hold.release.set()
    leader.join(HANG)
    follower.join(HANG)
    del events
    kinds = {type(error) for error in caught}
    # A follower that came too late ran its own refresher, past the guessed gate.
    assert kinds <= {Own, forebay.RefreshFailed}
    assert Own in kinds
    if forebay.RefreshFailed in kinds:
        assert any("told to all" in str(error) for error in caught if isinstance(error, forebay.Error))


def test_a_declared_gate_holds_and_says_until_when(timed: forebay.Cache, clock: TestClock) -> None:
    source = timed.source("a/b", ttl=60)

    def limited(job: forebay.Job) -> bytes:
        raise forebay.Failure("rate_limited", "HTTP 429", retry_after="30s")

    with pytest.raises(forebay.RateLimited) as caught:
        source.get(limited)
    assert isinstance(caught.value, forebay.Failure)
    told = caught.value.retry_at
    with pytest.raises(forebay.Gated) as gated:
        source.get(lambda job: b"never")
    until = datetime.fromtimestamp(clock.now + 30, timezone.utc)
    assert gated.value.retry_at == told == until
    state = source.refresh_state()
    assert (state.phase, state.in_flight, state.failed) == ("cooling", True, True)
    assert (state.declared, state.attempts, state.retry_at) == (True, 1, until)
    assert isinstance(state.last_error, forebay.RateLimited)
    assert source.maybe_refresh(lambda job: b"never") == "gated"
    assert source.acquire(force=True).outcome == "gated"
    assert source.refresh(lambda job: b"forced", override_gate=True).data == b"forced"
    assert not source.refresh_state().failed


def test_stale_if_error_serves_and_chains_the_cause(timed: forebay.Cache, clock: TestClock) -> None:
    source = timed.source("a/b", ttl=60, max_stale=600, stale_if_error=120)
    source.put(b"old")
    own = Own("server down")

    def broken(job: forebay.Job) -> bytes:
        raise own

    clock.advance(100)
    value = source.get(broken)
    assert (value.data, value.how, value.state) == (b"old", "stale", "stale")
    assert value.error is not None
    assert value.error is value.error
    assert value.error.__cause__ is own
    assert value.phase == "cooling"
    clock.advance(200)
    with pytest.raises(Own):
        source.get(broken)


def test_a_value_whose_error_has_a_cause_is_collected(timed: forebay.Cache, clock: TestClock) -> None:
    made: list[weakref.ref[Boom]] = []

    class Boom(Exception):
        def __init__(self) -> None:
            made.append(weakref.ref(self))

    def broken(job: forebay.Job) -> bytes:
        raise Boom

    def serve() -> None:
        # Held by this frame, which the traceback of the cause holds.
        value = source.get(broken)
        assert value.error is not None
        assert isinstance(value.error.__cause__, Boom)

    source = timed.source("a/b", ttl=60)
    source.put(b"old")
    clock.advance(100)
    serve()
    gc.collect()
    assert [found() for found in made] == [None]


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_programs_passes_through_and_frees_the_lease(
    cache: forebay.Cache, ending: type[BaseException]
) -> None:
    source = cache.source("a/b", ttl=60)

    def fetch(job: forebay.Job) -> bytes:
        raise ending

    with pytest.raises(ending):
        source.get(fetch)
    state = source.refresh_state()
    assert state.phase != "running"
    assert source.refresh(lambda job: b"next").data == b"next"


def test_a_nested_forebay_error_is_told_by_its_text(cache: forebay.Cache) -> None:
    def fetch(job: forebay.Job) -> bytes:
        return cache.source("").read().data or b""

    with pytest.raises(forebay.Invalid):
        cache.source("a/b").get(fetch)
    last = cache.source("a/b").refresh_state().last_error
    assert last is not None
    assert last.code == "refresh_failed"


def test_a_refresher_may_use_the_cache_and_the_same_source(cache: forebay.Cache) -> None:
    source = cache.source("a/b", ttl=60)

    def fetch(job: forebay.Job) -> bytes:
        assert source.read().state == "absent"
        assert source.get(lambda job: b"never", wait=0).data if source.read() else True
        with pytest.raises(forebay.TimedOut):
            source.get(lambda job: b"never", wait=0)
        assert source.maybe_refresh(lambda job: b"never") == "in_flight"
        return cache.source("a/c", ttl=60).get(lambda job: b"inner").data or b""

    assert source.get(fetch).data == b"inner"


def test_a_panic_is_contained(cache: forebay.Cache) -> None:
    from forebay import _forebay

    for _ in range(3):
        with pytest.raises(forebay.Panic, match="on purpose"):
            _forebay.panic_on_purpose()
    assert cache.source("a/b", ttl=60).get(lambda job: b"x").data == b"x"


def test_a_root_that_others_may_change_is_refused(tmp_path: Path) -> None:
    unsafe = tmp_path / "unsafe"
    unsafe.mkdir()
    unsafe.chmod(0o777)
    with pytest.raises(forebay.UnsafeRoot) as caught:
        forebay.Cache(unsafe).source("a/b").put(b"x")
    assert str(unsafe) in str(caught.value)
    assert caught.value.hint


def test_a_folder_in_place_of_the_value_is_reported_with_its_path(cache: forebay.Cache, root: Path) -> None:
    source = cache.source("a/b", ttl=60)
    source.put(b"x")
    files = [path for path in (root / "a").iterdir() if path.name == "b.json"]
    assert files
    os.remove(files[0])
    files[0].mkdir()
    value = source.read()
    assert value.state == "absent"
    assert value.error is not None
    assert value.error.code == "damaged"
