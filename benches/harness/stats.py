"""Medians and ratios. A ratio is taken within each round, where both sides met the same noise, and then its median."""

from __future__ import annotations

from collections.abc import Sequence


def percentile(numbers: Sequence[float], share: float) -> float:
    """The number below which `share` of them lie, interpolated.

    >>> percentile([4, 1, 3, 2], 0.5), percentile([1, 2], 1.0)
    (2.5, 2.0)
    """
    if not numbers:
        raise ValueError("no numbers were measured")
    ordered = sorted(numbers)
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (ordered[high] - ordered[low]) * (place - low))


def median(numbers: Sequence[float]) -> float:
    return percentile(numbers, 0.5)


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours by theirs, round by round.

    >>> ratios([1, 6], [2, 3])
    [0.5, 2.0]
    """
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} rounds against {len(theirs)}")
    return [mine / other for mine, other in zip(ours, theirs)]


def nanoseconds(value: float) -> str:
    """A duration as a person reads it.

    >>> nanoseconds(7), nanoseconds(1234.5), nanoseconds(2.5e9)
    ('7.00 ns', '1.23 µs', '2.50 s')
    """
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if abs(value) >= size:
            return f"{significant(value / size)} {unit}"
    return f"{significant(value)} ns"


def significant(value: float) -> str:
    """Three digits that matter.

    >>> [significant(value) for value in (1234.5, 12.34, 1.234, 0.0512, 0.0001234, 0)]
    ['1,234', '12.3', '1.23', '0.051', '0.00012', '0']
    """
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    if abs(value) >= 1:
        return f"{value:.2f}"
    return f"{value:.3f}" if abs(value) >= 0.01 else f"{value:.2g}"
