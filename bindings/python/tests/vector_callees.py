"""The functions that a scenario of tests/vectors hands to a call: refreshers, and the callees of a quota and of a
rotation. Each first runs steps and waits where its scenario says so, then ends as it is written.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import forebay
from vector_stage import LIMIT, Found, Stage, data_of


class Thrown(Exception):
    """An error that knows nothing of forebay."""


def ms(number: int | None) -> timedelta | None:
    return None if number is None else timedelta(milliseconds=number)


def age_ms(age: float | None) -> int | None:
    return None if age is None else int(age * 1000 + 1e-6)


def commit_of(spec: dict[str, Any] | None) -> dict[str, Any]:
    def terms(*, validator: Any = None, ttl_ms: Any = None, max_stale_ms: Any = None) -> dict[str, Any]:
        return {"validator": validator, "ttl": ms(ttl_ms), "max_stale": ms(max_stale_ms)}

    return terms(**(spec or {}))


class Calls:
    """What was called so far, what it was given, and what it threw."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.given: Found = {}
        self.thrown: list[Thrown] = []

    def fails_as(self, error: BaseException) -> str:
        """Return the code that stands for an error of the language's own: it has to be the first that was thrown."""
        return "refresh_failed" if self.thrown and self.thrown[0] is error else "another error"

    def hears(self, error: forebay.Error) -> None:
        """Check that whoever ran what threw gets that very exception, as the cause."""
        assert not self.thrown or error.__cause__ is self.thrown[0]

    def found(self) -> Found:
        return {"called": list(self.names), "ran": bool(self.names), **self.given}


def failure_of(
    *, code: str, message: str, retry_after_ms: int | None = None, not_sent: bool = False
) -> forebay.Failure:
    failure = forebay.Failure(code, message, retry_after=ms(retry_after_ms))
    return forebay.NotSent(failure) if not_sent else failure


def response_of(*, status: int, retry_after: str | None = None) -> Any:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return SimpleNamespace(status_code=status, headers=headers, content=b"")


def ending_of(name: str, calls: Calls, spec: dict[str, Any]) -> Callable[[], Any]:
    """Return what ends a callee: it gives the result, or raises."""

    def thrower(*, throws: str) -> None:
        calls.thrown.append(Thrown(throws))
        raise calls.thrown[-1]

    def failer(*, fails: dict[str, Any]) -> None:
        assert name == "exchange" or "not_sent" not in fails
        raise failure_of(**fails)

    if "throws" in spec:
        return lambda: thrower(**spec)
    if "fails" in spec:
        return lambda: failer(**spec)
    if "status" in spec:
        assert name == "fetch"
        return lambda: forebay.from_response(response_of(**spec))
    if name in ("fn", "fetch"):
        return lambda: _fetched(**spec)
    return lambda: _bytes(name, **spec)


def _fetched(*, returns: Any = None, unchanged: bool = False, commit: Any = None) -> forebay.Fetched:
    assert (returns is not None) != unchanged
    return forebay.Fetched(None if unchanged else data_of(returns), **commit_of(commit))


def _bytes(name: str, *, returns: Any) -> bytes | None:
    assert returns is not None or name == "fallback"
    return None if returns is None else data_of(returns)


class Callees(Stage):
    """A stage that makes them."""

    def _steps(self, steps: list[dict[str, Any]], prefix: str = "") -> None:
        raise NotImplementedError

    def _callee(self, name: str, place: str, calls: Calls, spec: dict[str, Any]) -> Callable[..., Any]:
        spec = dict(spec)
        during, hold = spec.pop("during", ()), spec.pop("hold", None)
        end = ending_of(name, calls, spec)
        events = None if hold is None else self._held(hold)

        def fn(*job: Any) -> Any:
            try:
                assert name not in calls.names, f"{name} was called twice"
                calls.names.append(name)
                calls.given.update(_given(name, *job))
                self._steps(list(during), f"{place}.during.")
                if events is not None:
                    events[0].set()
                    assert events[1].wait(LIMIT), "it was never released"
            except BaseException as error:
                self._failed = self._failed or error
            return end()

        return fn


def _given(name: str, *job: Any) -> Found:
    if name == "fetch":
        found = job[0].credential
        previous = job[0]._native.previous()
        return {
            "credential": b"" if found is None else found,
            "previous": None if previous is None else previous.encode(),
            "validator": job[0].validator,
            "remaining_ms": age_ms(job[0].remaining),
        }
    if name == "exchange":
        return {"previous": job[0].previous, "remaining_ms": age_ms(job[0].remaining)}
    return {}
