"""`Cache.cached` and `from_response`: functions and HTTP responses as sources."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import forebay
import httpx
import pytest
import requests
from conftest import HANG, TestClock, until


def test_arguments_are_the_key_however_they_are_passed(cache: forebay.Cache) -> None:
    calls: list[tuple[str, int]] = []

    @cache.cached(ttl=60)
    def weather(city: str, days: int = 1, *, unit: str = "C") -> dict[str, object]:
        """Say what the weather will be."""
        calls.append((city, days))
        return {"city": city, "days": days, "unit": unit}

    first = weather("Oslo")
    assert first == weather(city="Oslo", days=1) == weather("Oslo", 1, unit="C")
    assert calls == [("Oslo", 1)]
    weather("Oslo", 2)
    weather("Bergen")
    assert len(calls) == 3
    assert weather.cache_key("Oslo") == weather.cache_key(days=1, city="Oslo") != weather.cache_key("Bergen")
    assert weather.cache_key("Oslo").startswith(f"{__name__}/")
    assert weather.source("Oslo").read().json() == first
    # What one caller does to a result is its own business.
    first["city"] = "changed"
    assert weather("Oslo")["city"] == "Oslo"
    assert weather.invalidate("Oslo")
    assert not weather.invalidate("Oslo")
    weather("Oslo")
    assert len(calls) == 4
    assert inspect.getdoc(weather) == "Say what the weather will be."
    assert "weather" in repr(weather)
    with pytest.raises(TypeError):
        weather()  # type: ignore[call-arg]


def test_results_are_what_json_keeps(cache: forebay.Cache) -> None:
    @cache.cached(ttl=60)
    def pair() -> Any:
        return ("é", None, 1.5)

    @cache.cached(ttl=60)
    def nothing() -> Any:
        return None

    @cache.cached(ttl=60)
    def unfit() -> Any:
        return {1, 2}

    assert list(pair()) == list(pair()) == ["é", None, 1.5]
    assert nothing() is nothing() is None
    with pytest.raises(forebay.Invalid, match="unfit is not JSON"):
        unfit()


def test_a_method_needs_a_key_of_its_own(cache: forebay.Cache) -> None:
    class Client:
        def __init__(self, account: str) -> None:
            self.account = account
            self.calls = 0

        @cache.cached(ttl=60, key=lambda self, n: [self.account, n], tier="clients")
        def fetch(self, n: int) -> str:
            self.calls += 1
            return f"{self.account}{n}"

        @cache.cached(ttl=60)
        def unfit(self) -> int:
            return 1

    one, two = Client("one"), Client("two")
    assert [one.fetch(1), one.fetch(1), two.fetch(1)] == ["one1", "one1", "two1"]
    assert (one.calls, two.calls) == (1, 1)
    assert Client.fetch.cache_key(one, 1).startswith("clients/")
    with pytest.raises(forebay.Invalid, match="not JSON") as caught:
        one.unfit()
    assert "key=" in str(caught.value)


def test_coroutine_functions_stay_coroutine_functions(cache: forebay.Cache) -> None:
    calls = 0

    @cache.cached(ttl=60)
    async def fetch(n: int) -> list[int]:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        return [n]

    async def main() -> None:
        assert [*await asyncio.gather(fetch(1), fetch(1), fetch(1))] == [[1], [1], [1]]
        assert await fetch(2) == [2]

    assert inspect.iscoroutinefunction(fetch)
    asyncio.run(main())
    assert calls == 2


def test_stale_results_are_served_while_one_is_made(timed: forebay.Cache, clock: TestClock) -> None:
    ran = threading.Event()
    calls = 0

    @timed.cached(ttl=60, max_stale=600, wait=0)
    def slow() -> int:
        nonlocal calls
        calls += 1
        ran.set()
        return calls

    with pytest.raises(forebay.TimedOut):
        slow()
    assert ran.wait(HANG)
    until(lambda: slow.source().refresh_state().phase == "idle")
    assert slow() == 1
    clock.advance(61)
    assert slow() == 1
    until(lambda: slow() == 2)
    assert calls == 2


def test_two_scripts_with_the_same_function_do_not_meet(tmp_path: Path, root: Path) -> None:
    outputs = []
    for name in ("one", "two"):
        script = tmp_path / f"{name}.py"
        script.write_text(
            "import sys, forebay\n"
            "cache = forebay.Cache(sys.argv[1])\n"
            "@cache.cached(ttl=60)\n"
            f"def answer():\n    return {name!r}\n"
            "print(answer())\n"
        )
        outputs.append(
            subprocess.check_output([sys.executable, script, root], text=True, timeout=HANG).strip()
        )
    assert outputs == ["one", "two"]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/models" and self.headers.get("If-None-Match") == '"7"':
            self.answer(304, b"", ETag='"7"')
        elif self.path == "/models":
            self.answer(200, b"[1]", ETag='"7"')
        elif self.path == "/dated":
            self.answer(200, b"d", **{"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"})
        else:
            self.answer(int(self.path[1:]), b"no", **{"Retry-After": "30"})

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def ask_httpx(url: str, headers: dict[str, str]) -> Any:
    return httpx.get(url, headers=headers, timeout=HANG)


def ask_requests(url: str, headers: dict[str, str]) -> Any:
    return requests.get(url, headers=headers, timeout=HANG)


def ask_urllib(url: str, headers: dict[str, str]) -> Any:
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=HANG)
    except urllib.error.HTTPError as error:
        return error


@pytest.mark.parametrize("ask", [ask_httpx, ask_requests, ask_urllib])
def test_from_response(cache: forebay.Cache, server: str, ask: Any) -> None:
    def fetcher(path: str) -> forebay.Refresher:
        def fetch(job: forebay.Job) -> forebay.Fetched:
            with contextlib.closing(ask(server + path, job.conditional_headers)) as response:
                return forebay.from_response(response)

        return fetch

    source = cache.source("http/models", ttl=60)
    value = source.refresh(fetcher("/models"))
    assert (value.how, value.json(), value.validator) == ("ran", [1], '"7"')
    value = source.refresh(fetcher("/models"))
    assert (value.how, value.json(), value.validator) == ("unchanged", [1], '"7"')
    dated = cache.source("http/dated").refresh(fetcher("/dated"))
    assert dated.validator == "Wed, 21 Oct 2015 07:28:00 GMT"
    for status, code, declared in [
        (401, "unauthorized", None),
        (403, "unauthorized", None),
        (404, "refresh_failed", None),
        (429, "rate_limited", True),
        (500, "refresh_failed", None),
        (503, "unavailable", True),
    ]:
        source = cache.source(f"http/{status}", ttl=60)
        with pytest.raises(forebay.Failure) as caught:
            source.refresh(fetcher(f"/{status}"))
        assert caught.value.code == code
        assert str(status) in str(caught.value)
        state = source.refresh_state()
        if declared:
            assert state.declared
            assert caught.value.retry_after == 30


def test_what_is_no_response_is_refused() -> None:
    with pytest.raises(forebay.Invalid):
        forebay.from_response("200 OK")
