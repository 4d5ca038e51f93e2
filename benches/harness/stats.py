"""Medians and ratios. A ratio is taken within each round, where both sides met the same noise, and then its median."""

from __future__ import annotations

from collections.abc import Sequence


def percentile(numbers: Sequence[float], share: float) -> float:
    """The number below which `share` of them lie, interpolated."""
    if not numbers:
        raise ValueError("no numbers were measured")
    ordered = sorted(numbers)
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(numbers: Sequence[float]) -> float:
    return percentile(numbers, 0.5)


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours by theirs, round by round."""
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} rounds against {len(theirs)}")
    return [mine / other for mine, other in zip(ours, theirs)]


def nanoseconds(value: float) -> str:
    """A duration as a person reads it."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if abs(value) >= size:
            return f"{significant(value / size)} {unit}"
    return f"{significant(value)} ns"


def significant(value: float) -> str:
    """Three digits that matter: 1,234 · 12.3 · 1.23 · 0.0123."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    if abs(value) >= 1:
        return f"{value:.2f}"
    return f"{value:.3f}" if abs(value) >= 0.01 else f"{value:.2g}"
