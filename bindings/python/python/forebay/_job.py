"""What a refresher sees and returns: `Job`, `Fetched`, and the `Ticket` under both.

A refresher is ``fn(job)``; it returns bytes, text, a `Fetched` or `UNCHANGED`, or raises. Knows nothing of how
or where the refresher is run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from ._durations import Duration, instant, nanoseconds, optional
from ._errors import Error, Failure, Invalid

if TYPE_CHECKING:
    from types import TracebackType

    from . import _forebay
    from ._forebay import Value
    from ._rows import Terms


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a refresher brings, beyond plain bytes.

    ``ttl`` and ``max_stale`` given here go before those of the source.

    >>> Fetched(b"[]", validator='"v7"', ttl="10m").validator
    '"v7"'
    """

    data: bytes | bytearray | memoryview | str | None
    """The new value; ``None`` if the old one still holds."""
    validator: str | None = None
    """What identifies this version to the server: an ETag, an HTTP date, anything."""
    ttl: Duration | None = None
    max_stale: Duration | None = None
    extra: str | None = None
    """Text of your own, kept beside the value."""

    @classmethod
    def unchanged(
        cls,
        *,
        validator: str | None = None,
        ttl: Duration | None = None,
        max_stale: Duration | None = None,
        extra: str | None = None,
    ) -> Fetched:
        """Say that the previous value still holds (HTTP 304), and is fresh again.

        >>> Fetched.unchanged(ttl=60).data is None
        True
        """
        return cls(None, validator, ttl, max_stale, extra)


UNCHANGED = Fetched(None)
"""Returned by a refresher: the previous value still holds (HTTP 304), and is fresh again."""

Result: TypeAlias = bytes | bytearray | memoryview | str | Fetched
Refresher: TypeAlias = "Callable[[Job], Result]"
"""A function that makes a value."""
AsyncRefresher: TypeAlias = "Callable[[Job], Awaitable[Result] | Result]"
"""A coroutine function that makes a value; a plain function is run on a thread of its own."""


def fetched(result: object) -> Fetched:
    """Check what a refresher returned."""
    if isinstance(result, Fetched):
        return result
    if isinstance(result, bytes | bytearray | memoryview | str):
        return Fetched(result)
    raise Invalid(
        f"the refresher returned {type(result).__name__}",
        hint="return bytes, str, forebay.Fetched or UNCHANGED",
    )


def encoded(data: bytes | bytearray | memoryview | str) -> bytes:
    """Return that data as bytes."""
    if isinstance(data, bytes):
        return data
    if isinstance(data, str):
        return data.encode()
    given: object = data
    if isinstance(given, bytearray | memoryview):
        return bytes(data)
    raise Invalid(f"{type(given).__name__} cannot be stored", hint="give bytes or str")


def terms(
    validator: str | None, ttl: Duration | None, max_stale: Duration | None, extra: str | None
) -> Terms:
    """Pack what is recorded with a commit for the native half."""
    return validator, optional(ttl, "ttl"), optional(max_stale, "max_stale"), extra


_TELLING = frozenset(
    {"rate_limited", "unauthorized", "unavailable", "no_credentials", "cancelled", "timed_out"}
)


def failure_of(error: BaseException) -> tuple[str, str, int | None]:
    """Return code, message and nanoseconds to wait for what a refresher raised."""
    if isinstance(error, Failure):
        return error.code, error.message, optional(error.retry_after, "retry_after")
    if isinstance(error, Error):
        # An error of another call of ours within the refresher: only what tells about the server is passed on.
        return (error.code if error.code in _TELLING else "refresh_failed"), str(error), None
    if not isinstance(error, Exception):
        return "cancelled", f"the refresher was ended by {type(error).__name__}", None
    text = str(error)
    name = type(error).__name__
    return "refresh_failed", f"{name}: {text}" if text else name, None


class Job:
    """What a refresher is told: its deadline, whether to give up, and what is there already.

    Usable from any thread, until the refresher has returned.
    """

    __slots__ = ("_ticket",)

    def __init__(self, ticket: _forebay.Ticket) -> None:
        self._ticket = ticket

    @property
    def key(self) -> str:
        """The key that is refreshed."""
        return self._ticket.key()

    @property
    def deadline(self) -> datetime:
        """When the refresh should be done; some time later its lease ends, and its result is refused."""
        return instant(self._ticket.deadline_ns())

    @property
    def remaining(self) -> float:
        """Seconds until the deadline, never below 0: what HTTP clients take as ``timeout``."""
        return self._ticket.remaining()

    @property
    def cancelled(self) -> bool:
        """Whether the result will not be wanted: a newer value was put, the source removed, the lease lost.

        A cheap look at the disk: poll it in long work.
        """
        return self._ticket.cancelled()

    @property
    def previous(self) -> bytes | None:
        """The value that is there already, however old."""
        return self._ticket.previous()

    @property
    def validator(self) -> str | None:
        """What identified the previous value to the server."""
        return self._ticket.validator()

    @property
    def conditional_headers(self) -> dict[str, str]:
        """``If-None-Match`` or ``If-Modified-Since`` for the previous value; empty without a validator."""
        return dict(self._ticket.conditional_headers())

    def renew(self, duration: Duration) -> None:
        """Move the deadline to that long from now."""
        self._ticket.renew(nanoseconds(duration, "duration"))


class Ticket(Job):
    """The right to refresh one source: do the work anywhere, then end the ticket once, from any thread.

    As a context manager, or when the last reference goes, a ticket that was not ended is given up, and the next
    caller takes over at once.

    >>> acquired = cache.source("doc/ticket", ttl="1m").acquire()
    >>> with acquired.ticket as ticket:
    ...     ticket.complete(b"made elsewhere").how
    'ran'
    """

    __slots__ = ()

    def __enter__(self) -> Ticket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def token(self) -> int:
        """The fencing token of the lease."""
        return self._ticket.token()

    def complete(
        self,
        data: bytes | bytearray | memoryview | str,
        *,
        validator: str | None = None,
        ttl: Duration | None = None,
        max_stale: Duration | None = None,
        extra: str | None = None,
    ) -> Value:
        """Store the new value. ``LeaseLost`` and ``Superseded``: nothing was stored.

        After ``LockTimeout`` the ticket is still open: call again with the same data.
        """
        return self._ticket.complete(encoded(data), terms(validator, ttl, max_stale, extra))

    def unchanged(
        self,
        *,
        validator: str | None = None,
        ttl: Duration | None = None,
        max_stale: Duration | None = None,
        extra: str | None = None,
    ) -> Value:
        """Make the value that is there fresh again. Errors as of `complete`."""
        return self._ticket.unchanged(terms(validator, ttl, max_stale, extra))

    def fail(
        self, code: str = "refresh_failed", message: str = "", *, retry_after: Duration | None = None
    ) -> None:
        """Report that it did not work; a gate then holds everyone back for a while."""
        self._ticket.fail(code, message, optional(retry_after, "retry_after"))

    def close(self) -> None:
        """Give the ticket up, if it was not ended. May be called any number of times."""
        self._ticket.close()

    async def complete_async(self, data: bytes | bytearray | memoryview | str, **terms: Any) -> Value:
        """`complete`, without blocking the event loop."""
        from . import _aio

        return await _aio.call(lambda: self.complete(data, **terms))

    async def unchanged_async(self, **terms: Any) -> Value:
        """`unchanged`, without blocking the event loop."""
        from . import _aio

        return await _aio.call(lambda: self.unchanged(**terms))

    async def fail_async(
        self, code: str = "refresh_failed", message: str = "", *, retry_after: Duration | None = None
    ) -> None:
        """`fail`, without blocking the event loop."""
        from . import _aio

        await _aio.call(lambda: self.fail(code, message, retry_after=retry_after))
