"""The shapes in which the native half hands over records: tuples of its own types, made into dataclasses beside.

For type checkers only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ._errors import Error
from ._types import Phase, State

if TYPE_CHECKING:
    from ._forebay import Answer
    from ._inputs import Input, LiveKey

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
BlockedRow: TypeAlias = tuple[int, str | None, str, bool, int]
"""Until, code of the reason, message, declared, attempts."""
QuotaRow: TypeAlias = "tuple[Answer | None, Error | None, BlockedRow | None, Phase, int | None]"
"""Answer, the error on record, the gate in force, phase, holder."""
QuotaKeys: TypeAlias = list[tuple[str, str | None]]
"""Names with the hash of the identity."""
RotateRow: TypeAlias = tuple[Phase, int | None, int | None, Error | None, str | None]
"""Phase, since when ambiguous, retry_at, last_error, version."""
InputRow: TypeAlias = tuple[str, bytes]
"""Kind and name of an input."""
LiveRow: TypeAlias = "tuple[LiveKey, str, int, list[Input], list[LiveKey], int, int]"
"""Key, kind, size, inputs, upstreams, computed, used."""
LiveRows: TypeAlias = "list[LiveRow]"
LiveWhyRow: TypeAlias = "tuple[bool, str, Input | None, LiveKey | None]"
"""Whether it holds, text, input, upstream."""
