"""`Quota`: the last answer of a server that counts requests, and a gate that all processes respect.

The three functions of `Quota.resolve` are called by ``_steps``, and only if they are needed; which one is, and
when, the native half decides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from ._durations import Duration, instant, nanoseconds, optional
from ._errors import Error, Invalid, NoCredentials
from ._forebay import Answer
from ._job import Fetched, encoded, terms
from ._json import encode, parsable
from ._steps import Course, drive, report_of
from ._types import Durability, Phase

if TYPE_CHECKING:
    from . import _forebay

Fetch: TypeAlias = "Callable[[QuotaJob], object]"
"""Asks the server: returns something JSON can hold, bytes or text of JSON, or a `Fetched`."""
GetCredentials: TypeAlias = "Callable[[], object]"
"""Returns the secret to ask with: text, bytes, or something JSON can hold."""
Fallback: TypeAlias = "Callable[[], object]"
"""Returns something to show where the server gave nothing, as ``Fetch`` does; ``None``: has nothing."""


@dataclass(frozen=True, slots=True)
class QuotaOptions:
    """The options of a quota as the native half takes them: nanoseconds, ``None`` for unset."""

    identity: str | None
    ttl: int | None
    error_ttl: int | None
    rate_limited: int | None
    unauthorized: int | None
    timeout: int | None
    max_stale: int | None
    backoff: tuple[int, int] | None
    wait: int | None
    durability: str | None

    @classmethod
    def of(
        cls,
        identity: str | None,
        durability: Durability | None,
        backoff: tuple[Duration, Duration] | None,
        **durations: Duration | None,
    ) -> QuotaOptions:
        """Convert what a caller gave."""
        pauses = backoff and (nanoseconds(backoff[0], "backoff"), nanoseconds(backoff[1], "backoff"))
        given: dict[str, Any] = {name: optional(value, name) for name, value in durations.items()}
        return cls(identity=identity, durability=durability, backoff=pauses, **given)


@dataclass(frozen=True, slots=True)
class Blocked:
    """The gate in force: until when nobody asks the server, and why."""

    until: datetime
    error: str | None
    """The code of what set it; ``None`` where the gate does not say."""
    message: str
    declared: bool
    """The server, or `Quota.block`, gave ``until``; else it is a guess."""
    attempts: int
    """Failed attempts in a row."""


@dataclass(frozen=True, slots=True)
class QuotaState:
    """What is recorded of a quota, and what holds for it now."""

    answer: Answer | None
    """What is recorded, however old."""
    recorded_error: Error | None
    """The error that is recorded in the place of data."""
    blocked: Blocked | None
    phase: Phase
    """``running`` while a process asks the server, ``cooling`` while a gate is in force, else ``idle``."""
    holder: int | None
    """Process id of who asks, where it is known."""


@dataclass(frozen=True, slots=True)
class QuotaKey:
    """One quota of a root, as `Cache.quotas` found it; as text ``name``, or ``name~`` and the hash."""

    name: str
    identity_hash: str | None
    """16 hexadecimal digits, where it has an identity."""

    def __str__(self) -> str:
        return self.name if self.identity_hash is None else f"{self.name}~{self.identity_hash}"


class QuotaJob:
    """What a fetch is told: whom it asks for, its deadline, whether to give up, and what is recorded already.

    Usable from any thread, until the fetch has returned.
    """

    __slots__ = ("_credential", "_native")

    def __init__(self, native: _forebay.QuotaJob, credential: Any) -> None:
        self._native = native
        self._credential = credential

    @property
    def credential(self) -> Any:
        """What ``credentials`` returned, that very object; ``None`` if there is no such function."""
        return self._credential

    @property
    def deadline(self) -> datetime:
        """When the fetch should be done; some time later its lease ends, and its result is refused."""
        return instant(self._native.deadline_ns())

    @property
    def remaining(self) -> float:
        """Seconds until the deadline, never below 0: what HTTP clients take as ``timeout``."""
        return self._native.remaining()

    @property
    def cancelled(self) -> bool:
        """Whether the result will not be wanted. A cheap look at the disk: poll it in long work."""
        return self._native.cancelled()

    @property
    def previous(self) -> Any:
        """The data recorded before, decoded; ``None`` if there is none."""
        import json

        text = self._native.previous()
        return None if text is None else json.loads(text)

    @property
    def validator(self) -> str | None:
        """What identified the previous data to the server."""
        return self._native.validator()

    @property
    def conditional_headers(self) -> dict[str, str]:
        """``If-None-Match`` or ``If-Modified-Since`` for the previous data; empty without a validator."""
        return dict(self._native.conditional_headers())


class Resolving(Course[Answer]):
    """One call of `Quota.resolve`."""

    __slots__ = ("_credential", "_fallen", "_functions", "_job", "_native")

    def __init__(
        self,
        native: _forebay.Resolve,
        fetch: Fetch,
        credentials: GetCredentials | None,
        fallback: Fallback | None,
    ) -> None:
        super().__init__(native)
        self._native = native
        self._functions = {"fetch": fetch, "credentials": credentials, "fallback": fallback}
        self._credential: object = None
        self._job: QuotaJob | None = None
        self._fallen: BaseException | None = None

    def function(self, step: str) -> tuple[Callable[..., object], tuple[Any, ...]] | None:
        """Return what is to be called, with its arguments; ``None`` if the caller gave no such function."""
        fn = self._functions[step]
        if fn is None:
            return None
        if step != "fetch":
            return fn, ()
        self._job = QuotaJob(self._native.job(), self._credential)
        return fn, (self._job,)

    def limit(self, step: str) -> float | None:
        """Return how many seconds a coroutine may take at most: a fetch, until its deadline."""
        return self._job.remaining if step == "fetch" and self._job is not None else None

    def took(self, step: str, result: object) -> None:
        """Hand over what it returned; of a function that was not given, ``None``."""
        try:
            give = self._encoded(step, result)
        except Exception as error:  # whatever is wrong with it, the function is what failed
            self.failed(step, error)
        else:
            give()

    def _encoded(self, step: str, result: object) -> Callable[[], None]:
        native = self._native
        if step == "credentials":
            given = self._functions[step] is not None
            if given and result is None:
                raise NoCredentials("credentials returned None", hint="return the secret, or raise")
            secret = encode(result, step, ordered=True) if given else b""
            self._credential = result
            return lambda: native.credentials(secret)
        if step == "fallback":
            found = None if result is None else parsable(encode(result, step), step)
            return lambda: native.fallback(found)
        if isinstance(result, Fetched):
            data = None if result.data is None else encoded(result.data)
            recorded = terms(result.validator, result.ttl, result.max_stale, result.extra)
            return lambda: native.fetched(data, recorded)
        if result is None:
            raise Invalid("fetch returned None", hint="return the data, or forebay.UNCHANGED")
        fetched = encode(result, step)
        return lambda: native.fetched(fetched, (None, None, None, None))

    def failed(self, step: str, error: BaseException) -> None:
        """Hand over what it raised."""
        report = report_of(error)
        if step == "fallback":
            self._fallen = error
            self._native.fallback_failed(*report)
            return
        # Before it is handed over: whoever is woken by that finds it.
        self.own = error
        if step == "credentials":
            self._native.credentials_failed(*report)
        else:
            self._native.fetch_failed(*report)

    def ended(self, step: str, error: BaseException) -> None:
        """Record nothing: the lease ends with the call, and the next caller takes over at once."""

    def error(self, failed: Error) -> BaseException:
        """Return what a call raises that came to that end, which a failing fallback does not hide."""
        found, fallen, self._fallen = super().error(failed), self._fallen, None
        if fallen is not None and found.__cause__ is None and found.__context__ is None:
            found.__context__ = fallen
        return found


class Quota:
    """The last answer of a server, for all processes. Made by `Cache.quota`; usable from any thread.

    >>> usage = cache.quota("doc-usage", identity="me@example.org")
    >>> def fetch(job):
    ...     return {"used": 42, "asked with": job.credential}
    >>> answer = usage.resolve(fetch, credentials=lambda: "secret")
    >>> answer.data["used"], answer.how
    (42, 'ran')
    >>> usage.resolve(fetch).how
    'fresh'
    """

    __slots__ = ("_native",)

    def __init__(self, native: _forebay.Quota) -> None:
        self._native = native

    @property
    def key(self) -> str:
        """The name; with an identity, ``~`` and its hash behind."""
        return self._native.key()

    def __repr__(self) -> str:
        return f"<forebay.Quota {self.key}>"

    def resolve(
        self,
        fetch: Fetch,
        credentials: GetCredentials | None = None,
        fallback: Fallback | None = None,
    ) -> Answer:
        """Return the recorded answer while it is fresh, or ask the server, or return the next best.

        Each function is called at most once, in this thread, and only if it is needed: none while the record is
        fresh, neither ``credentials`` nor ``fetch`` while a gate is in force, none of all where another process
        asks already. ``fetch`` gets a `QuotaJob`, and returns what JSON can hold (text and bytes are taken for
        JSON as they are) or what `from_response` made; it raises what `from_response` or `Failure` say.

        After a failure: stale data, if that may be served, else what ``fallback`` has, else the error is raised.
        What one's own ``credentials`` or ``fetch`` raised comes back as itself, or as the cause of the answer's
        ``error``; other processes get an error of its code and text. So keep secrets out of exceptions.

        >>> limited = cache.quota("doc-limited")
        >>> def fetch(job):
        ...     raise forebay.Failure("rate_limited", "HTTP 429", retry_after="2m")
        >>> answer = limited.resolve(fetch, fallback=lambda: {"used": "about 40"})
        >>> answer.data, answer.how, answer.error.code
        ({'used': 'about 40'}, 'fallback', 'rate_limited')
        >>> limited.resolve(fetch)
        Traceback (most recent call last):
        forebay.RateLimited: ...
        """
        return drive(Resolving(self._native.begin(), fetch, credentials, fallback))

    async def resolve_async(
        self,
        fetch: Callable[[QuotaJob], Awaitable[object] | object],
        credentials: Callable[[], Awaitable[object] | object] | None = None,
        fallback: Callable[[], Awaitable[object] | object] | None = None,
    ) -> Answer:
        """`resolve` for event loops: each function may be a coroutine function; others run on threads.

        Cancelling the call ends a coroutine that it runs, and its lease: the next caller takes over at once. A
        ``fetch`` over its deadline is cancelled, and has failed with ``TimedOut``.

        >>> async def fetch(job):
        ...     return {"used": 1}
        >>> import asyncio
        >>> asyncio.run(cache.quota("doc-async").resolve_async(fetch)).data
        {'used': 1}
        """
        from . import _aio_steps

        return await _aio_steps.drive(Resolving(self._native.begin(), fetch, credentials, fallback))

    def read(self) -> QuotaState:
        """Look at the disk once: what is recorded, whatever its age, and whether a gate is in force.

        >>> quota = cache.quota("doc-read")
        >>> state = quota.read()
        >>> state.answer is None, state.blocked is None, state.phase
        (True, True, 'idle')
        """
        answer, recorded, blocked, phase, holder = self._native.read()
        gate = None
        if blocked is not None:
            until, code, message, declared, attempts = blocked
            gate = Blocked(instant(until), code, message, declared, attempts)
        return QuotaState(answer, recorded, gate, phase, holder)

    def block(self, wait: Duration, code: str = "rate_limited", message: str = "") -> datetime:
        """Have nobody ask the server for that long (24 h at most); return until when.

        A gate that ends later stays. ``code`` and ``message`` are what others are told.

        >>> quota = cache.quota("doc-block")
        >>> until = quota.block("5m", message="told by the dashboard")
        >>> quota.read().blocked.until == until
        True
        """
        return instant(self._native.block(nanoseconds(wait, "wait"), code, message))

    async def block_async(self, wait: Duration, code: str = "rate_limited", message: str = "") -> datetime:
        """`block`, without blocking the event loop."""
        from . import _aio

        return await _aio.call(lambda: self.block(wait, code, message))

    def clear(self) -> bool:
        """Remove record and gate; return whether there was anything.

        >>> quota = cache.quota("doc-clear")
        >>> _ = quota.block(60)
        >>> quota.clear(), quota.clear()
        (True, False)
        """
        return self._native.clear()

    async def clear_async(self) -> bool:
        """`clear`, without blocking the event loop."""
        from . import _aio

        return await _aio.call(self._native.clear)
