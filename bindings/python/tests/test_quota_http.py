"""Quotas and credentials over HTTP, with the clients that people use, against a server as unpleasant as real ones."""

from __future__ import annotations

import importlib.util
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import forebay
import httpx
import pytest
import requests
from conftest import HANG, TestClock

CLIENT = Path(__file__).parents[3] / "tests" / "server" / "client.py"
Ask = Callable[[str, dict[str, str], float], Any]


@pytest.fixture(scope="module")
def running() -> Iterator[Any]:
    spec = importlib.util.spec_from_file_location("server_client", CLIENT)
    assert spec is not None
    assert spec.loader is not None
    client = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(client)
    with client.Server() as server:
        yield server


@pytest.fixture
def server(running: Any) -> Any:
    running.post("/_reset")
    return running


def by_requests(url: str, headers: dict[str, str], timeout: float) -> Any:
    return requests.get(url, headers=headers, timeout=timeout)


def by_httpx(url: str, headers: dict[str, str], timeout: float) -> Any:
    return httpx.get(url, headers=headers, timeout=timeout)


def by_urllib(url: str, headers: dict[str, str], timeout: float) -> Any:
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as answer:
        return answer


CLIENTS = pytest.mark.parametrize("ask", [by_requests, by_httpx, by_urllib])


def fetching(server: Any, ask: Ask) -> Callable[[forebay.QuotaJob], forebay.Fetched]:
    def fetch(job: forebay.QuotaJob) -> forebay.Fetched:
        headers = {"Authorization": f"Bearer {job.credential}", **job.conditional_headers}
        return forebay.from_response(ask(server.url("/usage"), headers, job.remaining))

    return fetch


@CLIENTS
def test_an_answer_is_kept_with_its_validator_and_renewed(
    timed: forebay.Cache, clock: TestClock, server: Any, ask: Ask
) -> None:
    usage = timed.quota(timeout=HANG)
    server.script("/usage", {"etag": '"e1"', "body": {"used": 1}}, {"etag": '"e1"'})
    fetch = fetching(server, ask)
    answer = usage.resolve(fetch, lambda: "token")
    assert (answer.data, answer.how) == ({"used": 1}, "ran")
    assert usage.resolve(fetch).how == "fresh"
    clock.advance(180)
    answer = usage.resolve(fetch, lambda: "token")
    assert (answer.data, answer.how) == ({"used": 1}, "unchanged")
    first, second = server.log("/usage")["requests"]
    assert (first["status"], first["token"], first["if_none_match"]) == (200, "token", None)
    assert (second["status"], second["if_none_match"]) == (304, '"e1"')


@CLIENTS
@pytest.mark.parametrize(
    ("step", "error", "least", "most"),
    [
        ({"status": 429, "retry_after": "120"}, forebay.RateLimited, 120, 120),
        ({"status": 429, "retry_after_date": 600}, forebay.RateLimited, 600 - HANG, 600),
        ({"status": 429, "retry_after": "0"}, forebay.RateLimited, 1, 1),
        ({"status": 429, "retry_after": "soon"}, forebay.RateLimited, 300, 300),
        ({"status": 429, "retry_after": "99999999999999"}, forebay.RateLimited, 1, 86400),
        ({"status": 503, "retry_after": "120"}, forebay.Unavailable, 120, 120),
        (401, forebay.Unauthorized, 300, 300),
        (403, forebay.Unauthorized, 300, 300),
        (500, forebay.RefreshFailed, 1, 1),
        ({"do": "garbage"}, forebay.RefreshFailed, 1, 1),
    ],
)
def test_a_refusal_holds_for_all_until_its_gate_ends(
    timed: forebay.Cache,
    clock: TestClock,
    server: Any,
    ask: Ask,
    step: Any,
    error: type[forebay.Error],
    least: float,
    most: float,
) -> None:
    usage = timed.quota(timeout=HANG)
    server.script("/usage", step, 200)
    fetch = fetching(server, ask)
    with pytest.raises(error):
        usage.resolve(fetch, lambda: "token")
    with pytest.raises(error) as barred:
        usage.resolve(fetch, lambda: "token")
    assert barred.value.retry_at is not None
    wait = (barred.value.retry_at - clock.after(0)).total_seconds()
    assert least <= wait <= most
    assert len(server.log("/usage")["requests"]) == 1
    clock.advance(wait)
    assert usage.resolve(fetch, lambda: "token").data["used"] == 42


@CLIENTS
@pytest.mark.parametrize(
    ("step", "code"), [("hang", "timed_out"), ("reset", "refresh_failed"), ("truncate", "refresh_failed")]
)
def test_a_broken_answer_shows_the_last_good_one(
    timed: forebay.Cache, clock: TestClock, server: Any, ask: Ask, step: str, code: str
) -> None:
    usage = timed.quota(timeout="300ms")
    usage.resolve(lambda job: {"used": 1})
    clock.advance(200)
    server.script("/usage", step)
    answer = usage.resolve(fetching(server, ask), lambda: "token")
    assert (answer.data, answer.how) == ({"used": 1}, "stale")
    assert answer.error is not None
    assert answer.error.code == code
    assert isinstance(answer.error.__cause__, Exception)
    server.release("/usage")


def exchanging(server: Any, ask: Callable[..., Any]) -> Callable[[forebay.Exchange], forebay.Fetched]:
    def exchange(job: forebay.Exchange) -> forebay.Fetched:
        assert job.previous is not None
        form = {"refresh_token": job.previous.decode()}
        response = ask(server.url("/token"), data=form, timeout=job.remaining)
        fetched = forebay.from_response(response)
        return forebay.Fetched(response.json()["refresh_token"], validator=fetched.validator)

    return exchange


@pytest.mark.parametrize("ask", [requests.post, httpx.post])
def test_many_threads_use_each_token_once(state: Path, server: Any, ask: Callable[..., Any]) -> None:
    credentials = forebay.Credentials(state)
    exchange = exchanging(server, ask)
    server.post("/_set", seed=["token-0"])
    credentials.reset("github", "token-0")

    def work(_: int) -> None:
        seen = credentials.current("github")
        for _ in range(5):
            seen = credentials.rotate("github", seen, exchange=exchange)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    log = server.log()
    assert log["tokens"]["violations"] == []
    assert log["tokens"]["unknown"] == 0
    assert 5 <= log["counts"]["/token"] <= 40


@pytest.mark.parametrize("ask", [requests.post, httpx.post])
@pytest.mark.parametrize(
    ("step", "definite"),
    [
        ({"status": 429, "retry_after": "60"}, True),
        ("reset", False),
        ("truncate", False),
        ({"status": 500, "process": True}, False),
    ],
)
def test_what_is_not_certain_is_never_sent_again(
    state: Path, clock: TestClock, server: Any, ask: Callable[..., Any], step: Any, definite: bool
) -> None:
    credentials = forebay.Credentials(state, test_clock=clock.path)
    exchange = exchanging(server, ask)
    server.post("/_set", seed=["token-0"])
    server.script("/token", step, 200)
    version = credentials.reset("github", "token-0")
    with pytest.raises(forebay.RateLimited if definite else forebay.Ambiguous):
        credentials.rotate("github", version, exchange=exchange)
    clock.advance(60)
    if definite:
        assert credentials.rotate("github", version, exchange=exchange).how == "ran"
    else:
        with pytest.raises(forebay.Ambiguous):
            credentials.rotate("github", version, exchange=exchange)
    log = server.log()
    assert log["tokens"]["violations"] == []
    assert log["counts"]["/token"] == (2 if definite else 1)
