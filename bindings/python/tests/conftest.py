"""What all tests share: a root, caches in it, a clock that a test moves, and limits on waiting."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import forebay
import pytest

HANG = 60.0
"""Seconds after which something has hung: never a measurement."""


def until(condition: Callable[[], bool]) -> None:
    """Poll until that holds; fail when it hangs."""
    limit = threading.Event()
    for _ in range(int(HANG / 0.005)):
        if condition():
            return
        limit.wait(0.005)
    pytest.fail("it never came to hold")


class TestClock:
    """The file that gives the time to all processes of one test."""

    __test__ = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self._wall = 1_700_000_000_000_000_000
        self._boot = 1_000_000_000_000
        self._write()

    def _write(self) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({"wall_ns": str(self._wall), "boot_ns": str(self._boot)}))
        new.rename(self.path)

    def advance(self, seconds: float) -> None:
        """Move wall and boot clock."""
        self._wall += round(seconds * 1e9)
        self._boot += round(seconds * 1e9)
        self._write()

    @property
    def now(self) -> float:
        return self._wall / 1e9

    def after(self, seconds: float) -> datetime:
        """Return the instant so many seconds from now."""
        return datetime.fromtimestamp(self.now + seconds, timezone.utc)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def clock(tmp_path: Path) -> TestClock:
    return TestClock(tmp_path / "clock")


@pytest.fixture
def cache(root: Path) -> Iterator[forebay.Cache]:
    with forebay.Cache(root) as cache:
        yield cache


@pytest.fixture
def timed(root: Path, clock: TestClock) -> Iterator[forebay.Cache]:
    """A cache whose time only moves when the test says so."""
    with forebay.Cache(root, test_clock=clock.path) as cache:
        yield cache


class Hold:
    """A refresher that says when it runs, and returns when it is let go."""

    def __init__(self, result: forebay.Fetched | bytes | Exception = b"held") -> None:
        self.entered = threading.Event()
        self.release = threading.Event()
        self.runs = 0
        self._result = result

    def __call__(self, job: forebay.Job) -> forebay.Fetched | bytes:
        self.runs += 1
        self.entered.set()
        assert self.release.wait(HANG), "nobody released the refresher"
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


@pytest.fixture
def python(tmp_path: Path, root: Path, state: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start a Python program that finds the roots in FOREBAY_ROOT and FOREBAY_STATE."""

    def start(text: str, *args: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-c", text, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "FOREBAY_ROOT": str(root), "FOREBAY_STATE": str(state), **env},
        )

    return start
