"""The shapes in which the native half hands over records: tuples of its own types, made into dataclasses beside.

For type checkers only.
"""

from __future__ import annotations

from typing import TypeAlias

from ._errors import Error
from ._types import Phase, State

Terms: TypeAlias = tuple[str | None, int | None, int | None, str | None]
"""Validator, ttl and max_stale in nanoseconds, extra."""
StateRow: TypeAlias = tuple[
    Phase, bool, bool, Error | None, int | None, int | None, int | None, int, bool, int | None
]
"""Phase, in_flight, failed, last_error, started_at, deadline, retry_at, attempts, declared, holder."""
ListedRow: TypeAlias = tuple[
    str,
    State,
    float | None,
    int,
    int | None,
    Phase,
    str | None,
    str | None,
    str,
    Error | None,
    int | None,
]
"""Key, state, age, size, stored_at, phase, validator, extra, version, error, retry_at."""
ListedRows: TypeAlias = list[ListedRow]
PrunedRow: TypeAlias = tuple[list[str], list[tuple[str, str]], int]
"""Removed keys, skipped keys with the reason, number of other files swept."""
Counts: TypeAlias = list[tuple[str, int]]
