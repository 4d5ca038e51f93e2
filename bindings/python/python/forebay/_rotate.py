"""`Credentials`: single-use credentials, such as OAuth refresh tokens, that one process exchanges for all.

The exchange is called by ``_steps``; whether it is, and what its end means, the native half decides. What is not
certain to have failed is never tried again: the server may have used the credential up.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from . import _forebay
from ._durations import Duration, instant, maybe_instant, optional
from ._errors import Ambiguous, Error, Failure
from ._forebay import Credential
from ._job import Fetched
from ._json import encode
from ._steps import Course, drive, report_of
from ._types import Phase

if TYPE_CHECKING:
    from typing_extensions import Self

Exchanger: TypeAlias = "Callable[[Exchange], object]"
"""Makes the request: returns the new credential as bytes or text, or as something JSON can hold."""
AsyncExchanger: TypeAlias = "Callable[[Exchange], Awaitable[object] | object]"
"""The same, or a coroutine function."""
Seen: TypeAlias = "Credential | str | None"
"""The credential that the caller has, or its version; ``None``: none."""


class NotSent(Failure):
    """Raised by an exchange: the request certainly did not reach the server, so the credential is still good.

    Takes the exception that says so, or a text. What it says of its kind, and when to come back, is kept.

    >>> import socket
    >>> failure = NotSent(socket.gaierror("no such host"))
    >>> failure.code, failure.message
    ('refresh_failed', 'gaierror: no such host')
    >>> NotSent(Failure("rate_limited", "slow down", retry_after=30)).retry_after
    30
    """

    __cause__: BaseException | None

    def __new__(cls, error: BaseException | str = "") -> Self:
        """Make an instance of the class that joins this one with the class of the error's code."""
        code = "refresh_failed" if isinstance(error, str) else report_of(error)[0]
        return super().__new__(cls, code)

    def __init__(self, error: BaseException | str = "") -> None:
        message = error if isinstance(error, str) else report_of(error)[1]
        super().__init__(
            self.code, message, retry_after=error.retry_after if isinstance(error, Failure) else None
        )
        if isinstance(error, BaseException):
            self.__cause__ = error

    def __reduce__(self) -> tuple[object, ...]:
        return NotSent, (Failure(self.code, self.message, retry_after=self.retry_after),)


class Exchange:
    """What an exchange is told: the credential to use up, its deadline, and whether to give up."""

    __slots__ = ("_native",)

    def __init__(self, native: _forebay.Exchange) -> None:
        self._native = native

    @property
    def previous(self) -> bytes | None:
        """The credential to be exchanged; ``None``: there is none yet, so this is a first login."""
        return self._native.previous()

    @property
    def deadline(self) -> datetime:
        """When the exchange should be done."""
        return instant(self._native.deadline_ns())

    @property
    def remaining(self) -> float:
        """Seconds until the deadline, never below 0: what HTTP clients take as ``timeout``."""
        return self._native.remaining()

    @property
    def cancelled(self) -> bool:
        """Whether its outcome will not be wanted. A cheap look at the disk."""
        return self._native.cancelled()


@dataclass(frozen=True, slots=True)
class RotateState:
    """How things stand with one credential."""

    phase: Phase
    """``running`` while a process exchanges it, ``cooling`` while a gate is in force, else ``idle``."""
    ambiguous_since: datetime | None
    """Since when it is unknown whether the credential was used up; `rotate_reset` ends that."""
    retry_at: datetime | None
    """When the gate ends."""
    last_error: Error | None
    version: str | None
    """Of what is stored; ``None`` if nothing is."""


class Rotating(Course[Credential]):
    """One call of `Credentials.rotate`."""

    __slots__ = ("_fn", "_native")

    cancels = False

    def __init__(self, native: _forebay.Rotation, fn: AsyncExchanger) -> None:
        super().__init__(native)
        self._native = native
        self._fn = fn

    def function(self, step: str) -> tuple[Callable[..., object], tuple[Any, ...]]:
        """Return the exchange with its argument."""
        return self._fn, (Exchange(self._native.exchange()),)

    def limit(self, step: str) -> float | None:
        """Return none: a late answer is worth more than a credential that is lost."""
        return None

    def took(self, step: str, result: object) -> None:
        """Hand over the new credential."""
        try:
            if isinstance(result, Fetched):
                result = result.data
            if result is None:
                raise TypeError("the exchange returned no credential")
            secret = encode(result, step)
            if not secret:
                raise ValueError("the exchange returned an empty credential")
        except Exception as error:
            # The request was made all the same, so this is anything but a definite failure.
            self.own = error
            self._native.exchange_failed("refresh_failed", str(error), None, True)
        else:
            self._native.exchanged(secret)

    def failed(self, step: str, error: BaseException) -> None:
        """Hand over what it raised."""
        # Before it is handed over: whoever is woken by that finds it.
        self.own = error
        self._native.exchange_failed(*report_of(error), not isinstance(error, NotSent))

    def ended(self, step: str, error: BaseException) -> None:
        """Record that its outcome is unknown."""
        self.failed(step, error)
        # Its error would be that it is ambiguous; the caller gets what ended it.
        with contextlib.suppress(Error):
            self.native.next()

    def error(self, failed: Error) -> BaseException:
        """Return one's own exception where it settles the matter; where it does not, what has to be known."""
        if isinstance(failed, Ambiguous) and self.own is not None:
            failed.__cause__ = self.own
            return failed
        return super().error(failed)


class Credentials:
    """The credentials of a state root, which many processes share. Usable from any thread, also after a fork.

    ``state``: ``FOREBAY_STATE``, else ``$XDG_STATE_HOME/forebay``, else ``$HOME/.local/state/forebay``; made at
    the first write, for its owner alone. ``deadline`` (30 s): how long an exchange may take. ``test_clock`` names
    a file that gives the time to all processes of a test.

    >>> credentials = forebay.Credentials(state)
    >>> def exchange(job):
    ...     return "a new token" if job.previous is None else "the next token"
    >>> first = credentials.rotate("doc/login", exchange=exchange)
    >>> first.text, first.how
    ('a new token', 'ran')
    >>> credentials.rotate("doc/login", seen=first, exchange=exchange).text
    'the next token'
    >>> credentials.rotate("doc/login", seen=first, exchange=exchange).how
    'coalesced'
    """

    __slots__ = ("_native",)

    def __init__(
        self,
        state: str | os.PathLike[str] | None = None,
        deadline: Duration | None = None,
        *,
        test_clock: str | os.PathLike[str] | None = None,
    ) -> None:
        root = None if state is None else os.fspath(state)
        clock = None if test_clock is None else os.fspath(test_clock)
        self._native = _forebay.Credentials(root, optional(deadline, "deadline"), clock)

    def __repr__(self) -> str:
        return f"<forebay.Credentials {self.root}>"

    @property
    def root(self) -> str:
        """The directory."""
        return self._native.root()

    def rotate(self, key: str, seen: Seen = None, *, exchange: Exchanger) -> Credential:
        """Exchange the credential that was ``seen``, in one process for all; the others get the new one.

        If another than ``seen`` is stored, that one is returned (``coalesced``) and nothing is exchanged. Else
        one process runs ``exchange`` in its thread, with the credential in ``job.previous``, and stores what it
        returns, safe from a power cut, before anyone sees it. A credential that could not be stored is returned
        with ``error``: this process has the only copy.

        A failure is definite if it is ``unauthorized``, ``rate_limited``, ``invalid`` or ``no_credentials``
        (see `Failure`), or `NotSent`; the exception is then raised as itself, and the credential is still good.
        After any other, and after a death, nobody knows: ``Ambiguous`` for everyone, with the exception as its
        cause, until `reset`. Nothing is stored, and another was seen: ``NotFound``.

        >>> credentials = forebay.Credentials(state)
        >>> def exchange(job):
        ...     raise ConnectionResetError("in the middle")
        >>> credentials.rotate("doc/broken", exchange=exchange)
        Traceback (most recent call last):
        forebay.Ambiguous: ...
        >>> credentials.reset("doc/broken", "from a new login") is None
        False
        >>> credentials.current("doc/broken").text
        'from a new login'
        """
        return drive(Rotating(self._native.begin(key, _version(seen)), exchange))

    async def rotate_async(self, key: str, seen: Seen = None, *, exchange: AsyncExchanger) -> Credential:
        """`rotate` for event loops; a plain function runs on a thread of its own.

        An exchange that has begun runs to its end and is stored even if its caller is cancelled: cut off in the
        middle, it would be ambiguous, as it is when the loop ends.

        >>> async def exchange(job):
        ...     return b"token"
        >>> import asyncio
        >>> credentials = forebay.Credentials(state)
        >>> asyncio.run(credentials.rotate_async("doc/async", exchange=exchange)).data
        b'token'
        """
        from . import _aio_steps

        return await _aio_steps.drive(Rotating(self._native.begin(key, _version(seen)), exchange))

    def current(self, key: str) -> Credential | None:
        """Return what is stored, without exchanging anything.

        >>> forebay.Credentials(state).current("doc/nothing") is None
        True
        """
        return self._native.current(key)

    async def current_async(self, key: str) -> Credential | None:
        """`current`, without blocking the event loop."""
        from . import _aio

        return await _aio.call(lambda: self._native.current(key))

    def reset(self, key: str, credential: bytes | str | None = None) -> str | None:
        """Store what a new login gave, and return its version; ``None``: forget the credential.

        Ends ambiguity and gate.

        >>> credentials = forebay.Credentials(state)
        >>> version = credentials.reset("doc/reset", "token")
        >>> credentials.current("doc/reset").version == version
        True
        >>> credentials.reset("doc/reset") is None
        True
        """
        return self._native.reset(key, None if credential is None else encode(credential, "the caller"))

    async def reset_async(self, key: str, credential: bytes | str | None = None) -> str | None:
        """`reset`, without blocking the event loop."""
        from . import _aio

        return await _aio.call(lambda: self.reset(key, credential))

    def state(self, key: str) -> RotateState:
        """Tell whether an exchange runs, cools down, or ended without anybody knowing how.

        >>> forebay.Credentials(state).state("doc/state").phase
        'idle'
        """
        phase, since, retry, error, version = self._native.state(key)
        return RotateState(phase, maybe_instant(since), maybe_instant(retry), error, version)


def _version(seen: Seen) -> str | None:
    return seen.version if isinstance(seen, Credential) else seen


def rotate(
    key: str, seen: Seen = None, *, exchange: Exchanger, state: str | os.PathLike[str] | None = None
) -> Credential:
    """`Credentials.rotate` in the state root ``state``, or the default one.

    >>> token = rotate("doc/rotate", exchange=lambda job: "first", state=state)
    >>> token = rotate("doc/rotate", seen=token, exchange=lambda job: job.previous + b", second", state=state)
    >>> token.text
    'first, second'
    """
    return Credentials(state).rotate(key, seen, exchange=exchange)


async def rotate_async(
    key: str, seen: Seen = None, *, exchange: AsyncExchanger, state: str | os.PathLike[str] | None = None
) -> Credential:
    """`Credentials.rotate_async` in the state root ``state``, or the default one.

    >>> import asyncio
    >>> asyncio.run(rotate_async("doc/rotate_async", exchange=lambda job: "token", state=state)).text
    'token'
    """
    return await Credentials(state).rotate_async(key, seen, exchange=exchange)


def rotate_reset(
    key: str, credential: bytes | str | None = None, *, state: str | os.PathLike[str] | None = None
) -> str | None:
    """`Credentials.reset` in the state root ``state``, or the default one.

    >>> rotate_reset("doc/rotate_reset", "from a new login", state=state) is None
    False
    """
    return Credentials(state).reset(key, credential)
