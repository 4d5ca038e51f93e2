"""Driving one call: the attempt says what to do next, this file does it in the caller's thread or another.

The refresher runs in plain Python, with no native frame below it: it may take as long as it likes, use the
cache, be interrupted by Ctrl-C, and be cut off when the process exits. Knows nothing of event loops.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from typing import TYPE_CHECKING

from ._durations import nanoseconds
from ._errors import Error, LockTimeout
from ._forebay import Value
from ._job import Fetched, Job, encoded, failure_of, fetched, terms

if TYPE_CHECKING:
    from . import _forebay
    from ._job import Refresher
    from ._types import Started

log = logging.getLogger("forebay")
log.addHandler(logging.NullHandler())

WAIT = nanoseconds(3600)
"""Longer than any wait should be; the attempt itself knows when its time is over."""


def store(ticket: _forebay.Ticket, result: Fetched) -> Error | None:
    """End the ticket with what the refresher brought; return why it could not be stored, if so."""
    recorded = terms(result.validator, result.ttl, result.max_stale, result.extra)
    data = None if result.data is None else encoded(result.data)
    while True:
        try:
            if data is None:
                ticket.unchanged(recorded)
            else:
                ticket.complete(data, recorded)
        except LockTimeout as error:
            # The ticket is still open: a stopped process holds the guard, and may let go of it in time.
            if ticket.remaining() <= 0:
                return error
        except Error as error:
            return error
        else:
            return None


def report(ticket: _forebay.Ticket, error: BaseException) -> None:
    """End the ticket with what the refresher raised."""
    try:
        code, message, retry = failure_of(error)
    except Error as wrong:
        code, message, retry = "refresh_failed", str(wrong), None
    try:
        ticket.fail(code, message, retry)
    except Error as lost:
        # The lease was lost, or the gate could not be written: the caller still gets the refresher's own error.
        log.info("the failure of %s could not be recorded: %s", ticket, lost)


class Work:
    """One run of a refresher under a ticket."""

    __slots__ = ("_fn", "_ticket", "error")

    def __init__(self, ticket: _forebay.Ticket, fn: Refresher) -> None:
        self._ticket = ticket
        self._fn = fn
        self.error: BaseException | None = None

    def run(self) -> None:
        """Run it here; what it raised is kept in ``error``, except what ends programs."""
        try:
            result = fetched(self._fn(Job(self._ticket)))
            refused = store(self._ticket, result)
        except BaseException as error:
            # Before the ticket ends: whoever is woken by that finds it.
            self.error = error
            report(self._ticket, error)
            if not isinstance(error, Exception):
                raise
        else:
            if refused is not None:
                log.info("a refreshed value was not stored: %s", refused)

    def _run_apart(self, key: str) -> None:
        try:
            self.run()
        except BaseException as error:  # ends this thread, not the program
            log.debug("refreshing %s was ended by %r", key, error)
        if isinstance(self.error, Exception):
            log.warning("refreshing %s failed: %s", key, self.error)

    def start(self) -> None:
        """Run it on a daemon thread, with the caller's context variables."""
        key = self._ticket.key()
        context = contextvars.copy_context()
        thread = threading.Thread(
            target=context.run, args=(self._run_apart, key), name=f"forebay {key}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            report(self._ticket, error)
            raise


def outcome(error: Error, own: BaseException | None) -> BaseException:
    """Return what a failed call raises: one's own exception as itself, else what the attempt says."""
    if own is None:
        return error
    if isinstance(own, Error) and own.retry_at is None:
        own.retry_at = error.retry_at
    return own


def settled(value: Value, own: BaseException | None) -> Value:
    """Chain one's own exception to the error of a value that was served all the same."""
    if own is not None and value.error is not None and value.error.__cause__ is None:
        value.error.__cause__ = own
    return value


def drive(attempt: _forebay.Attempt, fn: Refresher, *, apart: bool) -> Value:
    """Bring one call to its end; ``apart``: the refresher runs on another thread."""
    work: Work | None = None
    try:
        while True:
            try:
                step = attempt.next()
            except Error as error:
                failed = error
                break
            if isinstance(step, Value):
                return settled(step, work.error if work else None)
            if step is None:
                attempt.wait(WAIT)
                continue
            work = Work(step, fn)
            # Ours no longer: a ticket that is given up must end with its work.
            del step
            work.start() if apart else work.run()
        raise outcome(failed, work.error if work else None)
    finally:
        # The exception holds this frame: let go of what would close the circle.
        work = None


def launch(attempt: _forebay.Attempt, fn: Refresher) -> Started:
    """Start a refresh on another thread if one is due, and say what was done."""
    step = attempt.next()
    if isinstance(step, Value):
        return declined(step)
    if step is None:
        return "in_flight"
    Work(step, fn).start()
    return "started"


def declined(value: Value) -> Started:
    """Say why nothing was started."""
    if value.fresh:
        return "fresh"
    return "gated" if value.phase == "cooling" else "in_flight"
