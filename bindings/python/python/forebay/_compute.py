"""One derived result on its way: `Plan` says what it is built on and how it is computed, `derive` brings it about.

A result may be built on calls of other functions, which are made first where they have to be. Knows nothing of
arguments and decorators; the twin for event loops is in ``_aio_compute``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ._durations import instant
from ._errors import Error, Invalid, Superseded
from ._forebay import Derived
from ._inputs import Given, rows
from ._json import encode
from ._run import log
from ._steps import Course, drive, report_of

if TYPE_CHECKING:
    from . import _forebay
    from ._rows import InputRow

TRIES = 8
"""How often the calls that a result is built on are made anew, where they stop holding before it is begun."""


class Call(Protocol):
    """A call of a function of `Live.memo`, not yet made: what ``upstream`` takes."""

    @property
    def key(self) -> str:
        """The key of its result."""
        ...

    def derive(self) -> Derived:
        """Make it, unless its result holds."""
        ...

    async def derive_async(self) -> Derived:
        """Make it from an event loop."""
        ...


Upstream: TypeAlias = "str | Derived | Call"
"""What a result may be built on: a key, a result, or a call, which is made first where its result does not hold."""


class LiveJob:
    """What a computation is told: its deadline, and whether to give up. Usable from any thread, until it ends."""

    __slots__ = ("_native",)

    def __init__(self, native: _forebay.LiveJob) -> None:
        self._native = native

    @property
    def deadline(self) -> datetime:
        """Until when it may take; then another process may compute it too."""
        return instant(self._native.deadline_ns())

    @property
    def remaining(self) -> float:
        """Seconds until then, never below 0: what HTTP clients take as ``timeout``."""
        return self._native.remaining()

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for it any more. A cheap look at the disk: poll it in long work."""
        return self._native.cancelled()


class Computing(Course[Derived]):
    """One call of `Live.get_or_compute`, which has one function."""

    __slots__ = ("_encode", "_fn", "_job", "_machine", "began")

    longer = "give the live results a longer deadline"

    def __init__(
        self, native: _forebay.Computing, fn: Callable[[LiveJob], object], encode: Callable[[object], bytes]
    ) -> None:
        super().__init__(native)
        self._machine = native
        self._fn = fn
        self._encode = encode
        self._job: LiveJob | None = None
        self.began = False
        """Whether the function was called."""

    def function(self, step: str) -> tuple[Callable[..., object], tuple[Any, ...]]:
        """Return the function, with what it is told."""
        self.began = True
        native, fn = self._machine.job(), self._fn
        self._job = LiveJob(native)
        if inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None)):  # noqa: B004
            return fn, (self._job,)

        def here(job: LiveJob) -> object:
            # Where it asks for its own result it is told so, instead of waiting for itself.
            working = native.working()
            try:
                return fn(job)
            finally:
                working.close()
                # It may not leave this thread, as what holds this frame may.
                del working

        return here, (self._job,)

    def limit(self, step: str) -> float | None:
        """Return the seconds until the deadline."""
        return self._job.remaining if self._job is not None else None

    def took(self, step: str, result: object) -> None:
        """Hand over what it returned."""
        try:
            data = self._encode(result)
        except Exception as error:  # whatever is wrong with it, the function is what failed
            self.failed(step, error)
        else:
            self._machine.computed(data)

    def failed(self, step: str, error: BaseException) -> None:
        """Hand over what it raised."""
        # Before it is handed over: whoever is woken by that finds it.
        self.own = error
        self._machine.compute_failed(*report_of(error))

    def ended(self, step: str, error: BaseException) -> None:
        """Record nothing: the lease ends with the call, and the next caller takes over at once."""


def result_of(given: object) -> bytes:
    """Encode what a computation returned: bytes and text as they are, anything else as JSON."""
    return encode(given, "the computation")


@dataclass(slots=True)
class Plan:
    """How one result is come by. What it is built on is asked for only where it is not there."""

    native: _forebay.Live
    key: str
    kind: str
    inputs: Callable[[], Iterable[Given]]
    upstream: Callable[[], Iterable[Upstream]]
    fn: Callable[[LiveJob], object]
    encode: Callable[[object], bytes] = result_of
    calls: list[Call] = field(default_factory=list)
    """Those to make first."""
    _packed: tuple[list[InputRow], list[str]] | None = None

    def look(self) -> Derived | None:
        """Return the result if it holds."""
        return self.native.lookup(self.key, True)[1]

    def ask(self) -> None:
        """Ask what it is built on."""
        above = _several(self.upstream())
        self.calls = [one for one in above if not isinstance(one, str | Derived)]
        self._packed = rows(self.inputs()), keys(above)

    def begin(self) -> Computing:
        """Begin, as far as that is without a look at anything."""
        if self._packed is None:
            self.ask()
        assert self._packed is not None
        inputs, above = self._packed
        return Computing(self.native.compute(self.key, inputs, above, self.kind), self.fn, self.encode)


def keys(upstream: Iterable[Upstream]) -> list[str]:
    """Return the keys of what a result is built on."""
    return [str(one) if isinstance(one, str) else str(one.key) for one in _several(upstream)]


def _several(upstream: Iterable[Upstream]) -> list[Upstream]:
    given: object = upstream
    if isinstance(given, str | Derived) or hasattr(given, "derive"):
        raise Invalid(f"{given!r} is one upstream, not several", hint="give a list of keys, results or calls")
    return list(upstream)


def again(course: Computing, plan: Plan, error: Error) -> bool:
    """Tell whether it failed only because a call that it is built on held no longer when it was to begin."""
    return isinstance(error, Superseded) and not course.began and bool(plan.calls)


def told(derived: Derived) -> Derived:
    """Log that a result was not stored."""
    if derived.error is not None:
        log.info("a derived result was not stored: %s", derived.error)
    return derived


def derive(plan: Plan) -> Derived:
    """Return the result if it holds; else compute it, in this thread, or get what another computes."""
    found = plan.look()
    if found is not None:
        return found
    plan.ask()
    tries = TRIES
    while True:
        for call in plan.calls:
            call.derive()
        course = plan.begin()
        try:
            return told(drive(course))
        except Superseded as error:
            tries -= 1
            if not (tries and again(course, plan, error)):
                raise
