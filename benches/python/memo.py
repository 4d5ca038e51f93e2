"""Memoized functions in Python that hit: forebay's, which look at their inputs each time, against those that do not."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import diskcache
import forebay
import joblib
from hits import Fixture, each
from series import Contest

#: Older files are known by their numbers, whatever they hold.
SETTLED = 0.1


def counted(values: dict[str, bytes]) -> tuple[Callable[[str], bytes], list[str]]:
    """A function that looks a value up, and for what it was called: a hit calls it for nothing."""
    calls: list[str] = []

    def fetch(key: str) -> bytes:
        calls.append(key)
        return values[key]

    return fetch, calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=float, default=4, help="milliseconds")
    arguments = parser.parse_args()
    fixture = Fixture(arguments.root)
    values = fixture.by_key()
    fetch, calls = counted(values)
    time.sleep(SETTLED)
    live = forebay.Cache(fixture.cache_root).live(workspace=arguments.root)
    paths = dict(zip(fixture.keys, map(os.fspath, fixture.paths), strict=True))
    folder = arguments.root / "python-peers"
    disk = diskcache.Cache(str(folder / "diskcache"))
    memories = {
        "forebay memo, no inputs": live.memo(version=0)(fetch),
        "forebay memo, 1 file": live.memo(inputs=lambda key: [paths[key]], version=1)(fetch),
        "joblib.Memory": joblib.Memory(str(folder / "joblib"), verbose=0).cache(fetch, ignore=[]),
        "diskcache memoize": disk.memoize()(fetch),
    }
    contest = Contest("python-memo", arguments.rounds, arguments.batch, fixture.order)
    for name, remembered in memories.items():
        calls.clear()
        # The first time each is computed; then never again.
        contest.add(name, fixture.keys, fixture.values, each(remembered))
        if sorted(calls) != sorted(fixture.keys):
            raise SystemExit(f"{name} ran {len(calls)} times for {len(fixture.keys)} keys")
    calls.clear()
    contest.run()
    if calls:
        raise SystemExit(f"{len(calls)} of what should be hits were computed")


if __name__ == "__main__":
    main()
