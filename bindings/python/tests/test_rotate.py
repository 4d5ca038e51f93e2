"""Rotating single-use credentials: one exchange for all, and nothing uncertain is tried twice."""

from __future__ import annotations

import asyncio
import gc
import pickle
import stat
import subprocess
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import forebay
import pytest
from conftest import HANG, TestClock, until

T = TypeVar("T")
Start = Callable[..., "subprocess.Popen[str]"]
SECRET = "refresh-token-0123456789"


def never(*_: object) -> Any:
    pytest.fail("it was called")


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    async def bounded() -> T:
        return await asyncio.wait_for(main(), HANG)

    return asyncio.run(bounded())


@pytest.fixture
def creds(state: Path, clock: TestClock) -> forebay.Credentials:
    return forebay.Credentials(state, test_clock=clock.path)


def fails(error: BaseException) -> Callable[[forebay.Exchange], bytes]:
    def exchange(job: forebay.Exchange) -> bytes:
        raise error

    return exchange


def test_one_exchange_and_the_new_credential_for_all(
    creds: forebay.Credentials, state: Path, clock: TestClock
) -> None:
    jobs: list[forebay.Exchange] = []

    def exchange(job: forebay.Exchange) -> str:
        jobs.append(job)
        assert not job.cancelled
        assert (job.remaining, job.deadline) == (30, clock.after(30))
        return f"{SECRET}-{len(jobs)}"

    first = creds.rotate("github", exchange=exchange)
    assert jobs[0].previous is None
    assert (first.text, first.how, first.error) == (f"{SECRET}-1", "ran", None)
    assert first.data == first.text.encode()
    assert first.data is first.data
    assert first.stored_at == clock.after(0)
    for seen in (first, first.version):
        clock.advance(1)
        latest = creds.rotate("github", seen, exchange=exchange)
        assert latest.how == ("ran" if seen is first else "coalesced")
    assert (latest.text, len(jobs)) == (f"{SECRET}-2", 2)
    assert jobs[1].previous == first.data
    assert creds.rotate("github", exchange=never).version == latest.version
    current = creds.current("github")
    assert current is not None
    assert (current.data, current.version) == (latest.data, latest.version)
    file = state / "credentials" / "github.json"
    assert file.read_bytes() == latest.data
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir() if path.suffix == ".started"] == []


def test_a_version_of_nothing_is_not_found(creds: forebay.Credentials) -> None:
    version = creds.reset("a/b", b"token")
    assert version is not None
    assert creds.reset("a/b") is None
    assert creds.current("a/b") is None
    with pytest.raises(forebay.NotFound):
        creds.rotate("a/b", version, exchange=never)
    with pytest.raises(forebay.Invalid):
        creds.rotate("a/b", "no version", exchange=never)
    with pytest.raises(forebay.Invalid):
        creds.current("")


class Own(Exception):
    pass


@pytest.mark.parametrize(
    "error",
    [
        forebay.Failure("unauthorized", "invalid_grant"),
        forebay.Failure("rate_limited", "HTTP 429", retry_after="2m"),
        forebay.Failure("invalid", "HTTP 400"),
        forebay.NoCredentials("no client secret"),
        forebay.NotSent(OSError("connection refused")),
        forebay.NotSent("offline"),
        forebay.NotSent(forebay.Failure("unavailable", "no route", retry_after=60)),
    ],
    ids=repr,
)
def test_a_definite_failure_keeps_the_credential(
    creds: forebay.Credentials, clock: TestClock, error: forebay.Error
) -> None:
    version = creds.reset("github", SECRET)
    error.__traceback__ = None
    with pytest.raises(type(error)) as caught:
        creds.rotate("github", version, exchange=fails(error))
    assert caught.value is error
    current = creds.current("github")
    assert current is not None
    assert (current.text, current.version) == (SECRET, version)
    found = creds.state("github")
    assert (found.phase, found.ambiguous_since, found.version) == ("cooling", None, version)
    assert found.last_error is not None
    assert found.last_error.code == error.code
    assert found.retry_at is not None
    with pytest.raises(forebay.Error) as gated:
        creds.rotate("github", version, exchange=never)
    assert gated.value.retry_at == found.retry_at
    clock.advance((found.retry_at - clock.after(0)).total_seconds())
    assert creds.rotate("github", version, exchange=lambda job: "new").how == "ran"


def test_not_sent_is_a_failure_of_its_exceptions_kind() -> None:
    cause = forebay.Failure("rate_limited", "slow down", retry_after=30)
    error = forebay.NotSent(cause)
    assert isinstance(error, forebay.RateLimited)
    assert isinstance(error, forebay.Failure)
    assert (error.code, error.message, error.retry_after, error.__cause__) == (
        "rate_limited",
        "slow down",
        30,
        cause,
    )
    twin = pickle.loads(pickle.dumps(error))
    assert isinstance(twin, forebay.NotSent)
    assert (twin.code, twin.message, twin.retry_after) == ("rate_limited", "slow down", 30)
    assert forebay.NotSent(Own()).message == "Own"


@pytest.mark.parametrize(
    "exchange",
    [
        fails(Own("boom")),
        fails(TimeoutError("read timed out")),
        fails(forebay.Failure("unavailable", "HTTP 503")),
        fails(ConnectionResetError("reset")),
        lambda job: None,
        lambda job: b"",
        lambda job: object(),
    ],
)
def test_what_is_uncertain_is_ambiguous_for_everyone_until_reset(
    creds: forebay.Credentials, state: Path, clock: TestClock, exchange: Callable[[forebay.Exchange], object]
) -> None:
    version = creds.reset("github", SECRET)
    with pytest.raises(forebay.Ambiguous) as caught:
        creds.rotate("github", version, exchange=exchange)
    assert caught.value.__cause__ is not None
    since = clock.after(0)
    clock.advance(100_000)
    other = forebay.Credentials(state, test_clock=clock.path)
    with pytest.raises(forebay.Ambiguous):
        other.rotate("github", version, exchange=never)
    found = other.state("github")
    assert found.ambiguous_since == since
    after = other.reset("github", "from a new login")
    assert after != version
    assert creds.state("github").ambiguous_since is None
    assert creds.rotate("github", version, exchange=never).text == "from a new login"
    assert creds.rotate("github", after, exchange=lambda job: "next").how == "ran"


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_programs_passes_through_and_is_ambiguous(
    creds: forebay.Credentials, ending: type[BaseException]
) -> None:
    version = creds.reset("github", SECRET)
    with pytest.raises(ending):
        creds.rotate("github", version, exchange=fails(ending()))
    assert creds.state("github").phase != "running"
    with pytest.raises(forebay.Ambiguous):
        creds.rotate("github", version, exchange=never)


@pytest.mark.parametrize(
    ("returned", "stored"),
    [
        (b"\xff\x00", b"\xff\x00"),
        ("text", b"text"),
        ({"access_token": "a"}, b'{"access_token":"a"}'),
        (forebay.from_response(SimpleNamespace(status_code=200, headers={}, content=b"{}")), b"{}"),
    ],
)
def test_what_an_exchange_may_return(creds: forebay.Credentials, returned: object, stored: bytes) -> None:
    assert creds.rotate("github", exchange=lambda job: returned).data == stored


def test_nothing_shows_the_secret(creds: forebay.Credentials) -> None:
    first = creds.rotate("github", exchange=lambda job: {"refresh_token": SECRET})
    shown = [repr(first), str(first), repr(creds), repr(creds.state("github"))]
    with pytest.raises(forebay.Ambiguous) as caught:
        creds.rotate("github", first, exchange=fails(Own(f"bad token {SECRET}")))
    shown += [str(caught.value), repr(caught.value), repr(creds.state("github").last_error)]
    assert "[credential]" in str(creds.state("github").last_error)
    with pytest.raises(forebay.Ambiguous) as told:
        creds.rotate("github", first, exchange=never)
    with pytest.raises(forebay.Invalid) as mistaken:
        creds.rotate("github", SECRET, exchange=never)
    shown += [str(told.value), str(mistaken.value)]
    assert SECRET not in "".join(shown)
    with pytest.raises(TypeError):
        pickle.dumps(first)


def test_a_credential_that_cannot_be_decoded_is_still_bytes(creds: forebay.Credentials) -> None:
    credential = creds.rotate("github", exchange=lambda job: b"\xff")
    with pytest.raises(UnicodeDecodeError):
        _ = credential.text


def test_the_default_state_root(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_STATE", str(state))
    assert forebay.default_state_root() == str(state)
    assert forebay.Credentials().root == str(state)
    assert repr(forebay.Credentials(state / "other")) == f"<forebay.Credentials {state}/other>"
    token = forebay.rotate("a/b", exchange=lambda job: "first")
    assert (state / "a" / "b.json").read_bytes() == b"first"
    assert forebay.rotate("a/b", seen=token, exchange=lambda job: b"second").text == "second"
    version = forebay.rotate_reset("a/b", "login")
    current = forebay.Credentials().current("a/b")
    assert current is not None
    assert current.version == version
    assert forebay.rotate_reset("a/b", state=state) is None
    assert forebay.Credentials(state).current("a/b") is None


class Hold:
    """An exchange that says when it runs, and returns when it is let go."""

    def __init__(self, result: str = "new") -> None:
        self.entered = threading.Event()
        self.release = threading.Event()
        self.runs = 0
        self._result = result

    def __call__(self, job: forebay.Exchange) -> str:
        self.runs += 1
        self.entered.set()
        assert self.release.wait(HANG), "nobody released the exchange"
        return self._result


def test_many_threads_share_one_exchange(creds: forebay.Credentials) -> None:
    version = creds.reset("github", SECRET)
    hold = Hold()
    with ThreadPoolExecutor(16) as pool:
        futures = [pool.submit(creds.rotate, "github", version, exchange=hold) for _ in range(16)]
        assert hold.entered.wait(HANG)
        assert creds.state("github").phase == "running"
        hold.release.set()
        found = [future.result(HANG) for future in futures]
    assert hold.runs == 1
    assert {credential.text for credential in found} == {"new"}
    assert sorted(credential.how for credential in found) == ["coalesced"] * 15 + ["ran"]


# Event loops.


def test_the_twins_do_what_their_brothers_do(creds: forebay.Credentials, state: Path) -> None:
    async def exchange(job: forebay.Exchange) -> bytes:
        await asyncio.sleep(0)
        return (job.previous or b"") + b"+"

    async def main() -> None:
        version = await creds.reset_async("github", "0")
        first = await creds.rotate_async("github", version, exchange=exchange)
        assert (first.text, first.how) == ("0+", "ran")
        second = await creds.rotate_async("github", first, exchange=lambda job: exchange(job))
        assert second.text == "0++"
        third = await creds.rotate_async("github", second, exchange=lambda job: b"plain")
        assert third.text == "plain"
        assert (await creds.rotate_async("github", first, exchange=never)).how == "coalesced"
        current = await creds.current_async("github")
        assert current is not None
        assert current.version == third.version
        assert (await forebay.rotate_async("a/b", exchange=exchange, state=state)).text == "+"
        own = Own("boom")
        for failing in (fails(own), fails_async(own)):
            seen = await creds.reset_async("github", "0")
            with pytest.raises(forebay.Ambiguous) as caught:
                await creds.rotate_async("github", seen, exchange=failing)
            assert caught.value.__cause__ is own
        refused = forebay.NotSent("offline")
        seen = await creds.reset_async("github", "0")
        with pytest.raises(forebay.NotSent) as definite:
            await creds.rotate_async("github", seen, exchange=fails_async(refused))
        assert definite.value is refused

    run(main)


def fails_async(error: BaseException) -> Callable[[forebay.Exchange], Coroutine[Any, Any, bytes]]:
    async def exchange(job: forebay.Exchange) -> bytes:
        raise error

    return exchange


@pytest.mark.parametrize("plain", [True, False])
def test_a_cancelled_caller_leaves_the_exchange_to_its_end(creds: forebay.Credentials, plain: bool) -> None:
    async def main() -> None:
        version = creds.reset("github", SECRET)
        hold = Hold()

        async def exchange(job: forebay.Exchange) -> str:
            return await asyncio.to_thread(hold, job)

        call = creds.rotate_async("github", version, exchange=hold if plain else exchange)
        first = asyncio.create_task(call)
        await asyncio.to_thread(hold.entered.wait, HANG)
        second = asyncio.create_task(creds.rotate_async("github", version, exchange=never))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert creds.state("github").phase == "running"
        hold.release.set()
        credential = await second
        assert (credential.text, credential.how, hold.runs) == ("new", "coalesced", 1)

    run(main)


def test_the_end_of_the_loop_cuts_a_coroutine_off_and_says_so(creds: forebay.Credentials) -> None:
    version = creds.reset("github", SECRET)

    async def main() -> None:
        entered = asyncio.Event()

        async def exchange(job: forebay.Exchange) -> str:
            entered.set()
            await asyncio.sleep(3600)
            return "never"

        task = asyncio.create_task(creds.rotate_async("github", version, exchange=exchange))
        await entered.wait()
        assert not task.done()

    run(main)
    until(lambda: creds.state("github").phase != "running")
    assert creds.state("github").ambiguous_since is not None
    with pytest.raises(forebay.Ambiguous):
        creds.rotate("github", version, exchange=never)


def test_the_end_of_the_loop_loses_nothing_that_a_thread_brings(creds: forebay.Credentials) -> None:
    version = creds.reset("github", SECRET)
    hold = Hold()

    async def main() -> None:
        task = asyncio.create_task(creds.rotate_async("github", version, exchange=hold))
        await asyncio.to_thread(hold.entered.wait, HANG)
        assert not task.done()

    run(main)
    hold.release.set()
    assert creds.rotate("github", version, exchange=never).text == "new"


def test_nothing_keeps_what_a_call_has_used(creds: forebay.Credentials) -> None:
    made: list[weakref.ref[object]] = []

    class Boom(Exception):
        def __init__(self) -> None:
            made.append(weakref.ref(self))

    def exchange(job: forebay.Exchange) -> None:
        raise Boom

    def call() -> None:
        with pytest.raises(forebay.Ambiguous):
            creds.rotate("github", exchange=exchange)

    gc.collect()
    gc.disable()
    try:
        call()
        kept = [found() for found in made]
    finally:
        gc.enable()
    assert kept == [None]


# Processes.

ROTATOR = """
import os, sys, forebay
used, rounds = sys.argv[1], int(sys.argv[2])
creds = forebay.Credentials()
def exchange(job):
    # Single-use: whoever uses a token twice fails here, as at a server.
    os.close(os.open(os.path.join(used, job.previous.decode()), os.O_CREAT | os.O_EXCL))
    return str(int(job.previous) + 1)
print("ready", flush=True)
sys.stdin.readline()
credential = creds.current("github")
for _ in range(rounds):
    credential = creds.rotate("github", credential, exchange=exchange)
"""


def test_racing_processes_use_each_credential_once(python: Start, state: Path, tmp_path: Path) -> None:
    used = tmp_path / "used"
    used.mkdir()
    forebay.rotate_reset("github", "0", state=state)
    programs = [python(ROTATOR, str(used), "10") for _ in range(6)]
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("go\n")
        program.stdin.flush()
    for program in programs:
        assert program.communicate(timeout=HANG)[1] == ""
        assert program.returncode == 0
    current = forebay.Credentials(state).current("github")
    assert current is not None
    last = int(current.text)
    assert 10 <= last <= 60
    assert sorted(int(path.name) for path in used.iterdir()) == list(range(last))


HOLDER = """
import sys, forebay
def exchange(job):
    print("sent", flush=True)
    sys.stdin.readline()
forebay.rotate("github", forebay.Credentials().current("github"), exchange=exchange)
"""


def test_a_process_killed_in_the_middle_is_reported(python: Start, state: Path) -> None:
    version = forebay.rotate_reset("github", SECRET, state=state)
    program = python(HOLDER)
    assert program.stdout is not None
    assert program.stdout.readline() == "sent\n"
    creds = forebay.Credentials(state)
    assert creds.state("github").phase == "running"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(creds.rotate, "github", version, exchange=never)
        program.kill()
        program.communicate()
        with pytest.raises(forebay.Ambiguous):
            waiting.result(HANG)
    current = creds.current("github")
    assert current is not None
    assert current.text == SECRET
