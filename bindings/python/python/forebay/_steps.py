"""Driving calls of several steps: the native half says which function is wanted next, this file calls it.

`Course` is one such call: what its functions returned and raised, and how that is handed over. `drive` brings it
to its end in the caller's thread; its twin for event loops is in ``_aio_steps``. Knows nothing of files or gates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from ._errors import Error
from ._job import failure_of
from ._run import WAIT, outcome

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Machine(Protocol[T_co]):
    """What the native half offers of such a call."""

    def next(self) -> T_co | str:
        """Return the result, or the name of the function that is wanted, or ``wait``."""
        ...

    def wait(self, at_most_ns: int) -> None:
        """Wait until there may be news."""
        ...

    def stop(self) -> None:
        """End that wait in another thread."""
        ...

    def close(self) -> None:
        """Give the call up."""
        ...


class Course(Generic[T]):
    """One call on its way."""

    __slots__ = ("left", "native", "own")

    cancels = True
    """Whether its functions end when their caller is cancelled."""
    longer = "give the quota a longer timeout"
    """What to do where one overran its deadline."""

    def __init__(self, native: Machine[T]) -> None:
        self.native = native
        self.own: BaseException | None = None
        """What a function of the caller's raised that the call may fail with."""
        self.left = False
        """Whether it goes on without its caller."""

    def function(self, step: str) -> tuple[Callable[..., object], tuple[Any, ...]] | None:
        """Return what is to be called, with its arguments; ``None`` if the caller gave no such function."""
        raise NotImplementedError

    def limit(self, step: str) -> float | None:
        """Return how many seconds a coroutine may take at most; ``None``: as long as it likes."""
        raise NotImplementedError

    def took(self, step: str, result: object) -> None:
        """Hand over what it returned; of a function that was not given, ``None``."""
        raise NotImplementedError

    def failed(self, step: str, error: BaseException) -> None:
        """Hand over what it raised."""
        raise NotImplementedError

    def ended(self, step: str, error: BaseException) -> None:
        """Take note that it was ended by something that is no failure: Ctrl-C, the end of the program or the loop."""
        raise NotImplementedError

    def error(self, failed: Error) -> BaseException:
        """Return what a call raises that came to that end."""
        return outcome(failed, self.own)

    def settled(self, result: T) -> T:
        """Chain one's own exception to the error of a result that was given all the same."""
        error: object = getattr(result, "error", None)
        if self.own is not None and isinstance(error, Error) and error.__cause__ is None:
            error.__cause__ = self.own
        return result

    def turn(self, step: str) -> None:
        """Call the function that is wanted, in this thread, and hand over what came of it."""
        wanted = self.function(step)
        if wanted is None:
            self.took(step, None)
            return
        fn, args = wanted
        try:
            result = fn(*args)
        except Exception as error:
            self.failed(step, error)
        except BaseException as error:
            self.ended(step, error)
            raise
        else:
            self.took(step, result)


def drive(course: Course[T]) -> T:
    """Bring one call to its end in this thread."""
    native = course.native
    failed: Error | None = None
    over = False
    try:
        while True:
            try:
                step = native.next()
            except Error as error:
                failed = error
                break
            if not isinstance(step, str):
                over = True
                return course.settled(step)
            if step == "wait":
                native.wait(WAIT)
            else:
                course.turn(step)
        raise course.error(failed)
    finally:
        if not over:
            # What it holds, if anything, ends here, and the next caller takes over.
            native.close()
        # The exception holds this frame: let go of what would close the circle.
        course.own = failed = None


def report_of(error: BaseException) -> tuple[str, str, int | None]:
    """Return code, message and nanoseconds to wait for what a function raised."""
    try:
        code, message, retry = failure_of(error)
    except Error as wrong:
        return "refresh_failed", str(wrong), None
    if code == "refresh_failed" and _is_timeout(error):
        code = "timed_out"
    return code, message, retry


def _is_timeout(error: BaseException) -> bool:
    """Tell whether it says that time ran out: Python's own, also within urllib's, and those of requests and httpx."""
    if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
        return True
    return any(cls.__name__ in ("Timeout", "TimeoutException") for cls in type(error).__mro__)
