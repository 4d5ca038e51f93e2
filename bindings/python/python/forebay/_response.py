"""`from_response`: what an HTTP response means to a cache. Knows requests, httpx and urllib by their shape only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from . import _forebay
from ._durations import Duration
from ._errors import Failure, Invalid
from ._job import Fetched


def from_response(
    response: Any, *, ttl: Duration | None = None, max_stale: Duration | None = None
) -> Fetched:
    """Turn a response of requests, httpx or urllib into what a refresher returns, or raise what it means.

    2xx: its bytes, with ETag or Last-Modified as the validator. 304: unchanged. 401 and 403: ``Unauthorized``.
    429: ``RateLimited``, 503: ``Unavailable``, both with Retry-After as a gate. Else ``RefreshFailed`` with the
    status.

    >>> from types import SimpleNamespace
    >>> response = SimpleNamespace(status_code=200, headers={"etag": '"7"'}, content=b"[]")
    >>> from_response(response)
    Fetched(data=b'[]', validator='"7"', ttl=None, max_stale=None, extra=None)
    >>> from_response(SimpleNamespace(status_code=429, headers={"retry-after": "30"}, content=b""))
    Traceback (most recent call last):
    forebay.Failure: ...
    """
    status = getattr(response, "status_code", None)
    if status is None:
        status = getattr(response, "status", None)
    if not isinstance(status, int):
        raise Invalid(
            f"{type(response).__name__} is no response", hint="pass one of requests, httpx or urllib"
        )
    headers = {str(name).lower(): str(value) for name, value in _pairs(response.headers)}
    validator = headers.get("etag") or headers.get("last-modified")
    if status == 304:
        return Fetched.unchanged(validator=validator, ttl=ttl, max_stale=max_stale)
    if 200 <= status < 300:
        return Fetched(_body(response), validator=validator, ttl=ttl, max_stale=max_stale)
    code, message, wait_ns = _forebay.failure_of_status(status, headers.get("retry-after"))
    raise Failure(code, message, retry_after=None if wait_ns is None else wait_ns / 1e9)


def _pairs(headers: Mapping[object, object]) -> list[tuple[object, object]]:
    return list(headers.items())


def _body(response: Any) -> bytes:
    content: object = getattr(response, "content", None)
    if not isinstance(content, bytes):
        # urllib's responses are files.
        read: object = getattr(response, "read", None)
        content = cast("Callable[[], object]", read)() if callable(read) else None
    if not isinstance(content, bytes):
        raise Invalid(
            f"{type(response).__name__} has no body that could be read", hint="pass the bytes themselves"
        )
    return content
