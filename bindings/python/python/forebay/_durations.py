"""Durations and instants: how Python writes them, and how the native half wants them.

A duration is a ``timedelta``, a number of seconds, or text such as ``"1h30m"``; it becomes nanoseconds. An
instant becomes nanoseconds since the epoch, and comes back as a ``datetime`` in UTC. Knows nothing of caches.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TypeAlias

from . import _forebay
from ._errors import Invalid

Duration: TypeAlias = timedelta | float | str
"""A ``timedelta``, seconds, or text (``"90s"``, ``"1h30m"``, units ms s m h d w)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_MOST = 2**63 - 1


def nanoseconds(duration: Duration, what: str = "duration") -> int:
    """Return that duration in nanoseconds; what is negative or no duration is ``Invalid``.

    >>> nanoseconds("1h30m"), nanoseconds(0.25), nanoseconds(timedelta(days=1))
    (5400000000000, 250000000, 86400000000000)
    >>> nanoseconds("90")
    Traceback (most recent call last):
    forebay.Invalid: ...
    """
    given: object = duration
    if isinstance(given, str):
        return min(_forebay.parse_duration(given), _MOST)
    if isinstance(given, timedelta):
        value = (given // _MICROSECOND) * 1000
    elif isinstance(given, int | float) and not isinstance(given, bool):
        try:
            value = given * 10**9 if isinstance(given, int) else round(given * 1e9)
        except (OverflowError, ValueError):
            raise _refused(what, given) from None
    else:
        raise _refused(what, given)
    if value < 0:
        raise _refused(what, given)
    return min(value, _MOST)


def optional(duration: Duration | None, what: str) -> int | None:
    """Like `nanoseconds`, where ``None`` means unset."""
    return None if duration is None else nanoseconds(duration, what)


def _refused(what: str, given: object) -> Invalid:
    return Invalid(
        f"{given!r} is not a {what}", hint="give seconds, a timedelta, or text such as '90s' or '1h30m'"
    )


def instant(ns: int) -> datetime:
    """Return the instant of a stamp.

    >>> instant(1_700_000_000_250_000_000).isoformat()
    '2023-11-14T22:13:20.250000+00:00'
    """
    return _EPOCH + timedelta(microseconds=ns // 1000)


def maybe_instant(ns: int | None) -> datetime | None:
    """Like `instant`, of what may be missing."""
    return None if ns is None else instant(ns)


def stamp(at: datetime | float) -> int:
    """Return the nanoseconds since the epoch of a ``datetime`` with a time zone, or of epoch seconds.

    >>> stamp(instant(5_000))
    5000
    >>> stamp(datetime(2026, 1, 1))
    Traceback (most recent call last):
    forebay.Invalid: ...
    """
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise Invalid(f"{at!r} has no time zone", hint="use datetime.now(timezone.utc)")
        return ((at - _EPOCH) // _MICROSECOND) * 1000
    return round(at * 1e9)
