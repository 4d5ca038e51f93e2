"""Contestants timed in turn, as `series.rs` does it: one batch each per round, in changing order, sized alike."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Makes one call per item and returns the last call's result.
Calls = Callable[[Sequence[Any]], Any]


@dataclass
class Contestant:
    #: what to call with, for each key: the key itself, a handle, a path
    items: Sequence[Any]
    #: what the call gives, for each key
    expected: Sequence[Any]
    calls: Calls
    batch: list[Any] = field(default_factory=list)
    nanos: list[float] = field(default_factory=list)


class Contest:
    def __init__(self, group: str, rounds: int, batch_ms: float, order: Sequence[int]) -> None:
        self.group = group
        self.rounds = rounds
        self.aim = batch_ms / 1000
        self.order = order
        self.contestants: dict[str, Contestant] = {}

    def add(self, name: str, items: Sequence[Any], expected: Sequence[Any], calls: Calls) -> None:
        """Checks that the contestant serves what it should, for every key."""
        for item, value in zip(items, expected, strict=True):
            if calls([item]) != value:
                raise SystemExit(f"{name} served a wrong value")
        self.contestants[name] = Contestant(items, expected, calls)

    def run(self) -> None:
        for contestant in self.contestants.values():
            self.calibrate(contestant)
        names = list(self.contestants)
        shuffled = random.Random(1)
        for _ in range(self.rounds):
            shuffled.shuffle(names)
            for name in names:
                contestant = self.contestants[name]
                contestant.nanos.append(self.timed(contestant) * 1e9 / len(contestant.batch))
        series = {name: contestant.nanos for name, contestant in self.contestants.items()}
        print(json.dumps({"kind": "series", "group": self.group, "unit": "ns", "series": series}), flush=True)

    def calibrate(self, contestant: Contestant) -> None:
        """Whole passes over all keys, as many as take the time aimed at; this warms up, too."""
        one_pass = [contestant.items[at] for at in self.order if at < len(contestant.items)]
        contestant.batch = one_pass
        while (took := self.timed(contestant)) * 2 < self.aim:
            contestant.batch = contestant.batch * max(2, min(16, int(self.aim / took)))

    def last_of(self, contestant: Contestant) -> int:
        """The number of the key that a pass ends with; a contestant may have fewer keys than the others."""
        return next(at for at in reversed(self.order) if at < len(contestant.items))

    def timed(self, contestant: Contestant) -> float:
        start = time.perf_counter()
        last = contestant.calls(contestant.batch)
        took = time.perf_counter() - start
        if last != contestant.expected[self.last_of(contestant)]:
            raise SystemExit(f"{self.group}: a wrong value was served")
        return took
