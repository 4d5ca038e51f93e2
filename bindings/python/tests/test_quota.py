"""Quotas: which of the three functions is called when, and what comes of what they do."""

from __future__ import annotations

import gc
import json
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import forebay
import pytest
from conftest import TestClock


def never(*_: object) -> Any:
    pytest.fail("it was called")


class Calls:
    """The three functions, which note that they were called."""

    def __init__(self, fetch: object = None, credentials: object = "secret", fallback: object = None) -> None:
        self.seen: list[str] = []
        self.job: forebay.QuotaJob | None = None
        self._ends = {"fetch": fetch, "credentials": credentials, "fallback": fallback}

    def _end(self, name: str) -> Any:
        self.seen.append(name)
        end = self._ends[name]
        if isinstance(end, BaseException):
            raise end
        return end

    def fetch(self, job: forebay.QuotaJob) -> Any:
        self.job = job
        return self._end("fetch")

    def resolve(self, quota: forebay.Quota) -> forebay.Answer:
        return quota.resolve(self.fetch, lambda: self._end("credentials"), lambda: self._end("fallback"))


@pytest.fixture
def usage(timed: forebay.Cache) -> forebay.Quota:
    return timed.quota()


def limited(retry_after: str | None = None) -> forebay.Failure:
    return forebay.Failure("rate_limited", "HTTP 429", retry_after=retry_after)


def test_what_was_fetched_is_fresh_for_all_and_nothing_more_is_called(
    usage: forebay.Quota, timed: forebay.Cache, clock: TestClock, root: Path
) -> None:
    calls = Calls({"used": 42, "ü": [1.5, None]})
    answer = calls.resolve(usage)
    assert calls.seen == ["credentials", "fetch"]
    assert (answer.data, answer.how, answer.state) == ({"used": 42, "ü": [1.5, None]}, "ran", "fresh")
    assert (answer.age, answer.cached_at, answer.retry_at, answer.error) == (0, clock.after(0), None, None)
    assert answer.raw == '{"used":42,"ü":[1.5,null]}'.encode()
    assert answer.raw is answer.raw
    assert answer.data is answer.data
    assert repr(answer) == "<forebay.Answer ran, 27 bytes, age 0.000 s>"
    clock.advance(179)
    for handle in (usage, timed.quota("usage")):
        again = handle.resolve(never, never, never)
        assert (again.data, again.how, again.age) == (answer.data, "fresh", 179)
        assert again.cached_at == answer.cached_at
    record = json.loads((root / "usage.json").read_text())
    assert (record["schema_version"], record["data"], record["error"]) == (1, answer.data, None)
    clock.advance(1)
    assert Calls({}).resolve(usage).how == "ran"


@pytest.mark.parametrize(
    ("returned", "data"),
    [
        ([1, 2], [1, 2]),
        (b'{"a": 1}', {"a": 1}),
        (bytearray(b"[]"), []),
        ('{"a": "text"}', {"a": "text"}),
        (7, 7),
        (forebay.Fetched(b"[true]", validator='"1"'), [True]),
        (forebay.Fetched('"text"'), "text"),
    ],
)
def test_what_a_fetch_may_return(usage: forebay.Quota, returned: object, data: object) -> None:
    assert usage.resolve(lambda job: returned).data == data


@pytest.mark.parametrize("returned", [None, object(), {"a": object()}, {1, 2}, float("nan")])
def test_what_is_not_json_is_ones_own_mistake(usage: forebay.Quota, returned: object) -> None:
    with pytest.raises(forebay.Invalid, match=r"fetch returned") as caught:
        usage.resolve(lambda job: returned)
    assert caught.value.hint


def test_text_that_is_not_json_is_a_failed_fetch(usage: forebay.Quota, clock: TestClock) -> None:
    with pytest.raises(forebay.RefreshFailed) as caught:
        usage.resolve(lambda job: b"<html>")
    assert caught.value.retry_at == clock.after(1)
    assert usage.read().answer is None


def test_a_fetch_is_told_whom_it_asks_for_and_what_is_known(usage: forebay.Quota, clock: TestClock) -> None:
    secret = {"token": "abc", "expires": 3}
    first = Calls(forebay.Fetched(b'{"n": 1}', validator='"v1"'), secret)
    first.resolve(usage)
    assert first.job is not None
    assert first.job.credential is secret
    assert (first.job.previous, first.job.validator, first.job.conditional_headers) == (None, None, {})
    assert first.job.cancelled
    clock.advance(200)

    def fetch(job: forebay.QuotaJob) -> forebay.Fetched:
        assert not job.cancelled
        assert (job.previous, job.validator) == ({"n": 1}, '"v1"')
        assert job.conditional_headers == {"If-None-Match": '"v1"'}
        assert job.deadline == clock.after(2)
        assert job.remaining == 2
        clock.advance(1.5)
        assert job.remaining == 0.5
        assert job.credential is None
        return forebay.UNCHANGED

    answer = usage.resolve(fetch)
    assert (answer.data, answer.how, answer.age) == ({"n": 1}, "unchanged", 0)
    clock.advance(100)
    assert usage.resolve(never).how == "fresh"


def test_a_gate_bars_credentials_and_fetch_and_shows_what_is_there(
    usage: forebay.Quota, timed: forebay.Cache, clock: TestClock
) -> None:
    usage.resolve(lambda job: {"n": 1})
    clock.advance(200)
    own = limited("1h")
    calls = Calls(own)
    answer = calls.resolve(usage)
    assert calls.seen == ["credentials", "fetch"]
    assert (answer.data, answer.how, answer.state, answer.age) == ({"n": 1}, "stale", "stale", 200)
    assert answer.error is not None
    assert answer.error is answer.error
    assert (answer.error.code, answer.error.__cause__) == ("rate_limited", own)
    assert answer.retry_at == answer.error.retry_at == clock.after(3600)
    clock.advance(3599)
    again = timed.quota().resolve(never, never, never)
    assert (again.how, again.age, again.retry_at) == ("stale", 3799, clock.after(1))
    assert again.error is not None
    assert again.error.code == "rate_limited"
    assert again.error.__cause__ is None
    clock.advance(1)
    assert Calls({"n": 2}).resolve(usage).data == {"n": 2}


def test_with_nothing_to_show_the_fallback_is_asked(usage: forebay.Quota, clock: TestClock) -> None:
    calls = Calls(limited(), fallback={"n": "about 1"})
    answer = calls.resolve(usage)
    assert calls.seen == ["credentials", "fetch", "fallback"]
    assert (answer.data, answer.how, answer.cached_at) == ({"n": "about 1"}, "fallback", None)
    assert answer.retry_at == clock.after(300)
    gated = Calls(fallback=b"[2]")
    assert (gated.resolve(usage).data, gated.seen) == ([2], ["fallback"])
    assert usage.read().answer is None


@pytest.mark.parametrize("fallback", [None, ValueError("no logs"), b"not JSON", object()])
def test_a_fallback_that_has_nothing_hides_nothing(usage: forebay.Quota, fallback: object) -> None:
    own: forebay.Error = limited("2m")
    calls = Calls(own, fallback=fallback)
    with pytest.raises(forebay.RateLimited, match="HTTP 429") as caught:
        calls.resolve(usage)
    assert caught.value is own
    assert caught.value.retry_at is not None
    assert calls.seen == ["credentials", "fetch", "fallback"]
    later = Calls(fallback=fallback)
    with pytest.raises(forebay.RateLimited, match="HTTP 429") as told:
        later.resolve(usage)
    assert told.value.retry_at == caught.value.retry_at
    if isinstance(fallback, ValueError):
        assert told.value.__context__ is fallback
    assert later.seen == ["fallback"]


class Own(Exception):
    pass


def test_ones_own_exception_comes_back_as_itself(usage: forebay.Quota, timed: forebay.Cache) -> None:
    own = Own("boom")
    with pytest.raises(Own) as caught:
        Calls(own).resolve(usage)
    assert caught.value is own
    assert own.__cause__ is None
    with pytest.raises(forebay.RefreshFailed, match="Own: boom"):
        usage.resolve(never, never)
    other = timed.quota("other")
    with pytest.raises(Own) as caught:
        Calls(credentials=own).resolve(other)
    assert caught.value is own
    assert other.read().blocked is None
    assert Calls({}).resolve(other).how == "ran"


def test_failing_credentials_bring_the_fallback_and_no_gate(usage: forebay.Quota, clock: TestClock) -> None:
    usage.resolve(lambda job: {"n": 1})
    clock.advance(200)
    own = Own("not logged in")
    calls = Calls(credentials=own, fallback=[0])
    answer = calls.resolve(usage)
    assert (answer.data, answer.how, calls.seen) == ([0], "fallback", ["credentials", "fallback"])
    assert answer.error is not None
    assert answer.error.code == "no_credentials"
    assert answer.error.__cause__ is own
    assert usage.read().blocked is None
    with pytest.raises(forebay.NoCredentials, match="returned None"):
        usage.resolve(never, lambda: None)
    with pytest.raises(forebay.Invalid, match="credentials returned object"):
        usage.resolve(never, object)


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("where", ["fetch", "credentials"])
def test_what_ends_programs_passes_through_and_frees_the_lease(
    usage: forebay.Quota, ending: type[BaseException], where: str
) -> None:
    ends: dict[str, object] = {where: ending()}
    calls = Calls(**ends)
    with pytest.raises(ending):
        calls.resolve(usage)
    state = usage.read()
    assert (state.phase, state.blocked) == ("idle", None)
    assert Calls({"n": 1}).resolve(usage).how == "ran"


def test_a_refusal_removes_the_answer_and_holds_for_that_credential_only(
    usage: forebay.Quota, clock: TestClock
) -> None:
    Calls({"n": 1}, "old").resolve(usage)
    clock.advance(200)
    with pytest.raises(forebay.Unauthorized) as caught:
        Calls(forebay.Failure("unauthorized", "HTTP 401"), "old").resolve(usage)
    assert caught.value.retry_at == clock.after(300)
    assert isinstance(caught.value, PermissionError)
    assert usage.read().answer is None
    same = Calls(credentials="old")
    with pytest.raises(forebay.Unauthorized):
        same.resolve(usage)
    assert "fetch" not in same.seen
    other = Calls({"n": 2}, "new")
    assert other.resolve(usage).data == {"n": 2}
    assert other.seen == ["credentials", "fetch"]
    assert usage.read().blocked is None


def response(status: int, **headers: str) -> Any:
    return SimpleNamespace(status_code=status, content=b'{"used": 1}', headers=headers)


@pytest.mark.parametrize(
    ("status", "header", "error", "seconds"),
    [
        (429, "120", forebay.RateLimited, 120),
        (429, None, forebay.RateLimited, 300),
        (429, "0", forebay.RateLimited, 1),
        (429, "999999999", forebay.RateLimited, 86400),
        (503, "120", forebay.Unavailable, 120),
        (503, None, forebay.Unavailable, 1),
        (401, None, forebay.Unauthorized, 300),
        (403, "7", forebay.Unauthorized, 300),
        (500, "7", forebay.RefreshFailed, 1),
    ],
)
def test_responses_and_the_gates_they_set(
    usage: forebay.Quota,
    clock: TestClock,
    status: int,
    header: str | None,
    error: type[forebay.Error],
    seconds: int,
) -> None:
    headers = {} if header is None else {"Retry-After": header}
    with pytest.raises(error) as caught:
        usage.resolve(lambda job: forebay.from_response(response(status, **headers)))
    assert caught.value.retry_at == clock.after(seconds)
    blocked = usage.read().blocked
    assert blocked is not None
    assert (blocked.until, blocked.error) == (clock.after(seconds), error.code)
    clock.advance(seconds)
    answer = usage.resolve(lambda job: forebay.from_response(response(200, ETag='"e"')))
    assert answer.data == {"used": 1}


def test_guesses_grow_from_floor_to_cap(timed: forebay.Cache, clock: TestClock) -> None:
    quota = timed.quota("backoff", backoff=("2s", "10s"))
    waits = []
    for _ in range(5):
        with pytest.raises(TimeoutError):
            Calls(TimeoutError("read timed out")).resolve(quota)
        blocked = quota.read().blocked
        assert blocked is not None
        assert (blocked.error, blocked.declared) == ("timed_out", False)
        waits.append((blocked.until - clock.after(0)).total_seconds())
        clock.advance(waits[-1])
    assert waits == [2, 4, 8, 10, 10]


def test_secrets_are_hashed_and_nowhere_else(usage: forebay.Quota, root: Path, clock: TestClock) -> None:
    secret = "very-secret-token-0123456789"
    answer = Calls({"n": 1}, {"token": secret}).resolve(usage)
    clock.advance(200)
    with pytest.raises(forebay.Unauthorized) as caught:
        Calls(forebay.Failure("unauthorized", "HTTP 401"), secret.encode()).resolve(usage)
    shown = [repr(answer), repr(usage), repr(usage.read()), str(caught.value)]
    assert secret not in "".join(shown)
    for spoken in ({"token": secret}, secret):
        usage.clear()
        with pytest.raises(Own):
            Calls(Own(f"no good: {secret}"), spoken).resolve(usage)
        with pytest.raises(forebay.RefreshFailed, match=r"no good: \[credential\]"):
            usage.resolve(never, never)
    files = [path for path in root.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_identities_have_records_and_gates_of_their_own(timed: forebay.Cache) -> None:
    mine, yours = (timed.quota("claude", identity=who) for who in ("me", "you"))
    mine.resolve(lambda job: "1")
    yours.block(60)
    assert yours.read().answer is None
    assert mine.read().blocked is None
    assert mine.key.startswith("claude~")
    assert mine.key != yours.key
    found = timed.quotas()
    assert {str(key) for key in found} == {mine.key, yours.key}
    assert {key.name for key in found} == {"claude"}
    assert mine.key == f"claude~{next(key.identity_hash for key in found if str(key) == mine.key)}"


def test_block_merges_to_the_later_and_clear_ends_it(usage: forebay.Quota, clock: TestClock) -> None:
    until = usage.block("1h", message="told so")
    assert until == clock.after(3600)
    assert usage.block(60) == until
    state = usage.read()
    assert state.phase == "cooling"
    assert state.blocked is not None
    assert (state.blocked.until, state.blocked.error, state.blocked.declared) == (until, "rate_limited", True)
    assert "told so" in state.blocked.message
    with pytest.raises(forebay.RateLimited, match="told so"):
        usage.resolve(never, never)
    assert usage.clear()
    assert not usage.clear()
    assert usage.resolve(lambda job: []).how == "ran"
    assert usage.block("7d") == clock.after(86400)
    with pytest.raises(forebay.Invalid):
        usage.block(60, "no such code")


def test_reading_touches_nothing(usage: forebay.Quota, root: Path) -> None:
    state = usage.read()
    assert (state.answer, state.recorded_error, state.blocked) == (None, None, None)
    assert (state.phase, state.holder) == ("idle", None)
    assert not root.exists()


def test_files_of_the_original_are_read(usage: forebay.Quota, root: Path, clock: TestClock) -> None:
    root.mkdir(mode=0o700)
    at = clock.after(-10).strftime("%Y-%m-%dT%H:%M:%SZ")
    record = {"schema_version": 1, "cached_at": at, "data": {"five_hour": 7}, "error": None}
    (root / "usage.json").write_text(json.dumps(record, indent=2))
    os.utime(root / "usage.json", (clock.now - 10, clock.now - 10))
    assert usage.resolve(never, never).data == {"five_hour": 7}
    gate = {"blocked_until": int(clock.now) + 500, "error": "RateLimited"}
    (root / "usage.lock").write_text(json.dumps(gate))
    os.utime(root / "usage.lock", (clock.now, clock.now))
    clock.advance(200)
    answer = usage.resolve(never, never)
    assert (answer.how, answer.retry_at) == ("stale", clock.after(300))
    usage.clear()
    at = clock.after(-10).strftime("%Y-%m-%dT%H:%M:%SZ")
    failed = {"schema_version": 1, "cached_at": at, "data": None, "error": {"code": "Timeout"}}
    (root / "usage.json").write_text(json.dumps(failed))
    state = usage.read()
    assert state.recorded_error is not None
    assert (state.answer, state.recorded_error.code) == (None, "timed_out")
    with pytest.raises(forebay.TimedOut):
        usage.resolve(never, never)


@pytest.mark.parametrize(
    "options", [{"timeout": 0}, {"ttl": -1}, {"backoff": ("x", 1)}, {"durability": "much"}]
)
def test_options_are_checked(timed: forebay.Cache, options: Any) -> None:
    with pytest.raises(forebay.Invalid):
        timed.quota("usage", **options).resolve(lambda job: {})


@pytest.mark.parametrize("name", ["", "x" * 5000])
def test_names_are_checked(timed: forebay.Cache, name: str) -> None:
    with pytest.raises(forebay.Invalid):
        timed.quota(name).read()


def test_a_closed_cache_refuses(cache: forebay.Cache) -> None:
    usage = cache.quota()
    cache.close()
    calls: list[Callable[[], object]] = [lambda: usage.resolve(never), usage.read, usage.clear, cache.quotas]
    for call in calls:
        with pytest.raises(forebay.Closed):
            call()


def test_quotas_and_sources_do_not_meet(cache: forebay.Cache) -> None:
    cache.quota("models").resolve(lambda job: [1])
    cache.source("models", ttl=60).put(b"other")
    assert [row.key for row in cache.list()] == ["default/models"]
    assert [str(key) for key in cache.quotas()] == ["models"]
    assert cache.prune(keep=[]).removed == ["default/models"]
    assert cache.quota("models").resolve(never).data == [1]


def test_nothing_keeps_what_a_call_has_used(usage: forebay.Quota) -> None:
    made: list[weakref.ref[object]] = []

    class Secret(dict[str, str]):
        def __init__(self) -> None:
            super().__init__(token="x")
            made.append(weakref.ref(self))

    class Boom(Exception):
        def __init__(self) -> None:
            made.append(weakref.ref(self))

    def fetch(job: forebay.QuotaJob) -> None:
        raise Boom

    def call() -> None:
        with pytest.raises(Boom):
            usage.resolve(fetch, Secret, never_mind)

    def never_mind() -> None:
        raise Boom

    gc.collect()
    gc.disable()
    try:
        call()
        kept = [found() for found in made]
    finally:
        gc.enable()
    assert kept == [None, None, None]


def test_an_answer_whose_error_has_a_cause_is_collected(usage: forebay.Quota, clock: TestClock) -> None:
    made: list[weakref.ref[Boom]] = []

    class Boom(Exception):
        def __init__(self) -> None:
            made.append(weakref.ref(self))

    def broken(job: forebay.QuotaJob) -> None:
        raise Boom

    def serve() -> None:
        # Held by this frame, which the traceback of the cause holds.
        answer = usage.resolve(broken)
        assert answer.error is not None
        assert isinstance(answer.error.__cause__, Boom)

    usage.resolve(lambda job: {})
    clock.advance(200)
    serve()
    gc.collect()
    assert [found() for found in made] == [None]


def test_a_child_of_a_fork_has_no_lease_of_its_parents(usage: forebay.Quota) -> None:
    def fetch(job: forebay.QuotaJob) -> dict[str, int]:
        pid = os.fork()
        if pid == 0:
            good = False
            try:
                good = job.cancelled and usage.read().phase == "running"
            finally:
                os._exit(0 if good else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert not job.cancelled
        return {"n": 1}

    assert usage.resolve(fetch).how == "ran"
