"""The plots: what a hit costs in each language, how each figure lies to its goal, writes, and waits. SVG."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

from . import stats
from .results import Results

OURS, THEIRS = "#1b7f5c", "#9aa5b1"
MINE = ("Reader", "Cache::read", "handle", "by key", "decoded JSON", "forebay", "put", "acquire", "C reader",
        "open + first", "Live", "lookup_revalidate")


def draw(results: Results, machine: str, folder: Path) -> list[Path]:
    plt.rcParams.update({"svg.hashsalt": "forebay", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    made = []
    reading = [group for group in ("hits", "native", "python", "node", "go", "command", "open") if group in results.series]
    if reading:
        made.append(bars(results, reading, "A warm hit: 1,000 keys of 4 KiB (median, log scale)", machine, folder / "reading.svg"))
    writing = [g for g in ("commit-none", "refresh-none", "commit-data", "refresh-data") if g in results.series]
    if writing:
        made.append(bars(results, writing, "A commit: value and meta (median, log scale)", machine, folder / "writing.svg"))
    derived = [group for group in ("live-hits", "python-memo", "live-put") if group in results.series]
    if derived:
        made.append(bars(results, derived, "Derived results: a hit, and a put (median, log scale)", machine, folder / "derived.svg"))
    if "follow" in results.series or "takeover" in results.series:
        made.append(waits(results, machine, folder / "waiting.svg"))
    return made


def bars(results: Results, groups: list[str], title: str, machine: str, path: Path) -> Path:
    counts = [len(results.series[group]) for group in groups]
    figure, axes = plt.subplots(
        len(groups), 1, figsize=(8, 0.32 * sum(counts) + 0.75 * len(groups) + 0.6), squeeze=False,
        gridspec_kw={"height_ratios": counts}, sharex=True,
    )
    for axis, group in zip(axes[:, 0], groups):
        series = sorted(results.series[group].items(), key=lambda pair: -stats.median(pair[1]))
        names = [name for name, _ in series]
        medians = [stats.median(numbers) for _, numbers in series]
        errors = [
            [max(0.0, m - stats.percentile(n, 0.25)) for m, (_, n) in zip(medians, series)],
            [max(0.0, stats.percentile(n, 0.75) - m) for m, (_, n) in zip(medians, series)],
        ]
        colours = [OURS if name.startswith(MINE) or "Reader" in name else THEIRS for name in names]
        axis.barh(names, medians, color=colours, xerr=errors, ecolor="#444", error_kw={"linewidth": 0.8})
        axis.set_xscale("log")
        axis.set_title(group, loc="left", fontsize=9, fontweight="bold")
        for at, value in enumerate(medians):
            axis.annotate(stats.nanoseconds(value), (value, at), xytext=(6, 0), textcoords="offset points", va="center")
    axes[-1, 0].set_xlabel("nanoseconds")
    axes[-1, 0].margins(x=0.15)
    finish(figure, title, machine, path)
    return path


def waits(results: Results, machine: str, path: Path) -> Path:
    figure, axis = plt.subplots(figsize=(8, 4))
    for group, name, label, colour in (
        ("follow", "after the commit's end", "follower, woken", OURS),
        ("takeover", "from SIGKILL to the next refresher", "take-over after SIGKILL", "#c26b1f"),
        ("follow-polling", "after the commit's end", "follower, polling each 250 ms (the original)", THEIRS),
    ):
        numbers = sorted(results.series.get(group, {}).get(name, []))
        if numbers:
            shares = [(at + 1) / len(numbers) for at in range(len(numbers))]
            axis.step([max(number, 1_000) / 1e6 for number in numbers], shares, where="post", label=label, color=colour)
    axis.set_xscale("log")
    axis.set_xlabel("milliseconds")
    axis.set_ylabel("share of all waits")
    axis.legend(loc="lower right", frameon=False)
    finish(figure, "How long others wait", machine, path)
    return path


def finish(figure: plt.Figure, title: str, machine: str, path: Path) -> None:
    figure.suptitle(title, x=0.02, ha="left", fontsize=11, fontweight="bold")
    figure.text(0.02, 0.005, machine, fontsize=6, color="#666")
    figure.tight_layout(rect=(0, 0.02, 1, 0.98))
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
