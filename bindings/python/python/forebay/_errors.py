"""The exceptions: one tree under `Error`, one class per code, the codes being those of every language.

A class also inherits from the built-in exception whose sense it shares, so ``except TimeoutError`` and
``except OSError`` work. The native half calls `make`.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar, cast

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._durations import Duration


class Error(Exception):
    """Whatever goes wrong in forebay. ``str`` of it says what happened, where, and what to do next.

    >>> error = Invalid("the name is empty", hint="give tier/name")
    >>> error.code, str(error), isinstance(error, ValueError)
    ('invalid', 'the name is empty; give tier/name', True)
    """

    code: str = ""
    """The stable text of the kind of failure, the same in every language."""
    number: ClassVar[int] = 0
    """Its number in the C ABI."""
    message: str
    """What happened, without path and remedy."""
    path: str | None
    """The file or folder it is about."""
    hint: str | None
    """What to do next."""
    errno: int | None
    """The system's error number, where a system call failed."""
    retry_at: datetime | None
    """When the next attempt may be made, where a gate is set."""

    def __init__(
        self,
        message: str = "",
        *,
        path: str | None = None,
        hint: str | None = None,
        errno: int | None = None,
        retry_at: datetime | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.hint = hint
        self.errno = errno
        self.retry_at = retry_at

    def __str__(self) -> str:
        text = f"{self.path}: {self.message}" if self.path else self.message
        return f"{text}; {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:
        facts = (self.message, self.path, self.hint, self.errno, self.retry_at)
        return _rebuild, (self.code, facts)


class Invalid(Error, ValueError):
    """An argument is not usable: an empty name, a deadline of 0, a malformed duration."""

    code = "invalid"


class Closed(Error, ValueError):
    """The handle was closed, or the interpreter is exiting."""

    code = "closed"


class NotFound(Error, LookupError):
    """There is nothing under that key."""

    code = "not_found"


class TimedOut(Error, TimeoutError):
    """The wait ended before there was anything to return. A refresh may still be running."""

    code = "timed_out"


class Gated(Error):
    """A gate forbids the next attempt until ``retry_at``, and there is nothing that may be served."""

    code = "gated"


class RefreshFailed(Error):
    """The refresher failed in whoever ran it; its text is in the message."""

    code = "refresh_failed"


class RateLimited(Error):
    """The server said that there were too many requests (429)."""

    code = "rate_limited"


class Unauthorized(Error, PermissionError):
    """The server refused the credentials (401, 403)."""

    code = "unauthorized"


class Unavailable(Error):
    """The server is unavailable for now (503)."""

    code = "unavailable"


class NoCredentials(Error):
    """There are no credentials to try with."""

    code = "no_credentials"


class Cancelled(Error):
    """The refresh was cancelled."""

    code = "cancelled"


class LockTimeout(Error, TimeoutError):
    """A guard lock could not be had in time: another process holds it, perhaps stopped."""

    code = "lock_timeout"


class LeaseLost(Error):
    """The lease is no longer ours: nothing was written."""

    code = "lease_lost"


class HolderDied(Error):
    """The process that ran the refresh died before it ended."""

    code = "holder_died"


class Superseded(Error):
    """A newer value was put meanwhile: nothing was written."""

    code = "superseded"


class InProgress(Error):
    """The command is being run by another caller."""

    code = "in_progress"


class Mismatch(Error, ValueError):
    """The key was used before with another request."""

    code = "mismatch"


class Ambiguous(Error):
    """The effect was begun and its outcome is unknown."""

    code = "ambiguous"


class Full(Error):
    """There is no room for another record."""

    code = "full"


class AlreadyUsed(Error, ValueError):
    """The ticket has been completed, failed or closed before."""

    code = "already_used"


class TooManyLeases(Error):
    """This process holds as many leases as it may (256)."""

    code = "too_many_leases"


class Damaged(Error):
    """What is on disk is not what was written."""

    code = "damaged"


class UnsafeRoot(Error, PermissionError):
    """The root's owner or mode lets others change it."""

    code = "unsafe_root"


class UnsupportedFs(Error, OSError):
    """The file system is remote or not known to be local."""

    code = "unsupported_fs"


class Unsupported(Error, NotImplementedError):
    """This build or platform cannot do that."""

    code = "unsupported"


class NewerFormat(Error):
    """The root was written by a newer major version."""

    code = "newer_format"


class NoSpace(Error, OSError):
    """The disk or the quota is full."""

    code = "no_space"


class Permission(Error, PermissionError):
    """The system refused access."""

    code = "permission"


class Io(Error, OSError):
    """The system reported another error."""

    code = "io"


class Panic(Error, RuntimeError):
    """A bug of forebay was contained."""

    code = "panic"


def _classes() -> dict[str, type[Error]]:
    from . import _forebay

    known = {cls.code: cls for cls in Error.__subclasses__()}
    found: dict[str, type[Error]] = {}
    for code, number in _forebay.codes():
        # A code of a newer native half than this file: reported as what it is, not lost.
        found[code] = known.get(code) or type(code.title().replace("_", ""), (Error,), {"code": code})
        found[code].number = number
    for cls in (Error, *found.values()):
        # Where users find it, and what a traceback shows.
        cls.__module__ = "forebay"
    return found


_CLASSES = _classes()

CODES: dict[str, int] = {code: cls.number for code, cls in _CLASSES.items()}
"""All error codes with their numbers in the C ABI."""


class Failure(Error):
    """What a refresher raises to say why it failed, and when to try again.

    It is also an instance of the class of its code, so that who ran the refresher and who joined it can catch
    the same. ``retry_after`` is a time that the server gave; without one the next attempt is put off by backoff.

    >>> failure = Failure("rate_limited", "slow down", retry_after=30)
    >>> isinstance(failure, RateLimited), failure.code
    (True, 'rate_limited')
    """

    retry_after: Duration | None

    def __new__(
        cls, code: str = "refresh_failed", message: str = "", *, retry_after: Duration | None = None
    ) -> Self:
        """Make an instance of the class that joins this one with the class of that code."""
        if code not in _CLASSES:
            raise Invalid(f"{code!r} is not an error code", hint="use one of forebay.CODES")
        joined: Any = _JOINED.get((cls, code))
        if joined is None:
            facts = {"__module__": "forebay", "__doc__": cls.__doc__}
            joined = type(cls.__name__, (cls, _CLASSES[code]), facts)
            _JOINED[cls, code] = joined
        # The next in line may be OSError, which insists on its own.
        return cast("Self", super(Failure, joined).__new__(joined))

    def __init__(
        self, code: str = "refresh_failed", message: str = "", *, retry_after: Duration | None = None
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_failure, (self.code, self.message, self.retry_after)


_JOINED: dict[tuple[type, str], Any] = {}


def _rebuild(code: str, facts: tuple[str, str | None, str | None, int | None, datetime | None]) -> Error:
    message, path, hint, errno, retry_at = facts
    cls = _CLASSES.get(code, Error)
    return cls(message, path=path, hint=hint, errno=errno, retry_at=retry_at)


def _rebuild_failure(code: str, message: str, retry_after: Duration | None) -> Failure:
    return Failure(code, message, retry_after=retry_after)


def make(
    code: str, message: str, path: str | None, hint: str | None, errno: int | None, retry_ns: int | None
) -> Error:
    """Make the exception of an error of the native half."""
    retry_at = None
    if retry_ns is not None:
        retry_at = datetime.fromtimestamp(0, timezone.utc) + timedelta(microseconds=retry_ns // 1000)
    return _rebuild(code, (message, path, hint, errno, retry_at))
