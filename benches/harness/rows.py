"""The table: each row's words and goal, and which figures it is computed from. The order is that of the goals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import stats
from .results import Results

ORIGINAL = "the original's stat + read"


@dataclass(frozen=True)
class Figure:
    """One number of a row."""

    value: float
    shown: str
    passed: bool
    #: lower and upper quartile of the ratio over the rounds, or of the values
    spread: tuple[float, float] | None = None
    #: what the number is made of
    detail: str = ""


Measure = Callable[[Results], Figure]


@dataclass(frozen=True)
class Row:
    section: str
    what: str
    against: str
    prototype: str
    goal: str
    figures: tuple[Measure, ...]


def spread(numbers: list[float]) -> tuple[float, float]:
    return stats.percentile(numbers, 0.25), stats.percentile(numbers, 0.75)


def made_of(results: Results, group: str, ours: str, theirs: str) -> str:
    """The medians behind a ratio; where both were also measured by themselves, those as well."""

    def pair(group: str) -> str:
        medians = (stats.median(results.get(group, name)) for name in (ours, theirs))
        return " / ".join(stats.nanoseconds(value) for value in medians)

    alone = f"{group} alone"
    return pair(group) + (f", each by itself {pair(alone)}" if alone in results.series else "")


def cost(group: str, ours: str, theirs: str, limit: float) -> Measure:
    """How many times as long as theirs; at most `limit`."""

    def measure(results: Results) -> Figure:
        mine, other = results.get(group, ours), results.get(group, theirs)
        found = stats.ratios(mine, other)
        value = stats.median(found)
        return Figure(value, stats.significant(value), value <= limit, spread(found), made_of(results, group, ours, theirs))

    return measure


def faster(group: str, ours: str, theirs: str, least: float) -> Measure:
    """How many times faster than theirs; at least `least`."""

    def measure(results: Results) -> Figure:
        mine, other = results.get(group, ours), results.get(group, theirs)
        found = stats.ratios(other, mine)
        value = stats.median(found)
        detail = made_of(results, group, ours, theirs)
        return Figure(value, f"{stats.significant(value)} ×", value >= least, spread(found), detail)

    return measure


def worst_cost(groups: tuple[str, ...], ours: str, theirs: str, limit: float) -> Measure:
    """The largest of several costs, and whose it is."""

    def measure(results: Results) -> Figure:
        found = {group: cost(group, ours, theirs, limit)(results) for group in groups}
        worst = max(found, key=lambda group: found[group].value)
        detail = "; ".join(
            f"{group.split(': ', 1)[1]} {figure.shown} ({figure.detail})" for group, figure in found.items()
        )
        writer = "writer elsewhere" if "elsewhere" in ours else "writer"
        detail += f"; {results.fact(f'{writer}: commits per second'):,.0f} commits/s"
        figure = found[worst]
        best = min(other.value for other in found.values())
        return Figure(figure.value, f"{best:.2f}–{figure.value:.2f}", figure.passed, figure.spread, detail)

    return measure


def at_most(group: str, name: str, share: float, limit: float) -> Measure:
    """A percentile of the values themselves, in nanoseconds."""

    def measure(results: Results) -> Figure:
        numbers = results.get(group, name)
        value = stats.percentile(numbers, share)
        return Figure(
            value, stats.nanoseconds(value), value <= limit, spread(numbers), f"p{share * 100:.0f} of {len(numbers)}"
        )

    return measure


def of_many(name: str, limit: float, theirs: str = "the original") -> Measure:
    """A median among many results, the worst of all the shapes that they were built in; and how many there were."""

    def measure(results: Results) -> Figure:
        shapes = [group for group in results.series if group.startswith("live-many: ") and name in results.series[group]]
        groups = shapes or ["live-many"]
        medians = {group: stats.median(results.get(group, name)) for group in groups}
        worst = max(medians, key=lambda group: medians[group])
        parts = (
            f"{group.partition(': ')[2]} {stats.nanoseconds(medians[group])}".strip()
            + (f" / {stats.nanoseconds(stats.median(results.get(group, theirs)))}" if theirs else "")
            for group in groups
        )
        detail = f"{results.fact('live-many: entries'):,.0f} entries; {', '.join(parts)}"
        numbers = results.get(worst, name)
        return Figure(
            medians[worst], stats.nanoseconds(medians[worst]), medians[worst] <= limit, spread(numbers), detail
        )

    return measure


def polling(results: Results) -> Figure:
    ours = results.get("follow", "after the commit's end")
    theirs = results.get("follow-polling", "after the commit's end")
    mine, other = stats.median(ours), stats.median(theirs)
    begun = stats.median(results.get("follow", "after its begin"))
    value = other / mine if mine > 0 else float("inf")
    detail = f"{stats.nanoseconds(mine)} / {stats.nanoseconds(other)}; {stats.nanoseconds(begun)} from the commit's begin"
    return Figure(value, f"{stats.significant(value)} ×", value >= 2_000, None, detail)


def system_calls(results: Results) -> Figure:
    calls, hits = results.fact("strace: calls"), results.fact("strace: hits")
    return Figure(calls / hits, f"{calls / hits:g}", calls == 0, None, f"{calls:.0f} in {hits:,.0f} hits")


def races(results: Results) -> Figure:
    good, rounds = results.fact("race: rounds with exactly one run"), results.fact("race: rounds")
    detail = f"{good:,.0f} of {rounds:,.0f} rounds, in {results.fact('race: seconds'):.0f} s"
    shown = f"exactly one, {rounds:,.0f} rounds" if good == rounds else f"{rounds - good:,.0f} rounds had another number"
    return Figure(good / rounds, shown, good == rounds, None, detail)


def crowd(results: Results) -> Figure:
    figure = cost("crowd", "all at once", "one alone", 1.3)(results)
    runs = results.fact("crowd: most refreshes")
    shown = f"{figure.shown}; {'one refresh' if runs == 1 else f'{runs:.0f} refreshes'}"
    return Figure(figure.value, shown, figure.passed and runs == 1, figure.spread, figure.detail)


READING = "Reading"
WRITING = "Writing and refreshing"
DERIVED = "Derived results"
BESIDE = tuple(
    f"beside: {way}" for way in ("Reader, borrowed", "Reader, shared guard", "Readers by key, owned", "Cache::read")
)
BORROWED = "Reader, borrowed"
BY_KEY = "Readers by key, owned"

ROWS = (
    Row(READING, "Rust `Reader::read`, borrowed, freshness checked", "moka get", "0.04", "≤ 0.06",
        (cost("hits", BORROWED, "moka get", 0.06),)),
    Row(READING, "Rust shared `Reader`, guard", "moka get", "0.11", "≤ 0.12",
        (cost("hits", "Reader, shared guard", "moka get", 0.12),)),
    Row(READING, "Rust read by key, owned value", "quick_cache get", "1.07", "≤ 1.1",
        (cost("hits", BY_KEY, "quick_cache get", 1.1),)),
    Row(READING, "the same", "LMDB (heed) get, a copy, since ours may be kept / within its transaction", "6.8 × faster", "≥ 6 ×",
        (faster("hits", BY_KEY, "LMDB get, owned", 6), faster("hits", BY_KEY, "LMDB get, within the transaction", 0))),
    Row(READING, "`Reader::read`", "open + fstat + read + close of the file", "480 × faster", "≥ 400 ×",
        (faster("hits", BORROWED, "open + fstat + read + close", 400),)),
    Row(READING, "`Cache::read` (always looks at the disk)", ORIGINAL, "3.6 × faster", "≥ 4 ×",
        (faster("hits", "Cache::read", ORIGINAL, 4),)),
    Row(READING, "a quota `resolve` that hits", "`Cache::read` of the same text", "", "≤ 1.5",
        (cost("quota", "resolve, fresh", "Cache::read", 1.5),)),
    Row(READING, "any of these beside a writer process at 1,000 commits/s", "the same without", "1.02–1.10", "≤ 1.1",
        (worst_cost(BESIDE, "beside a writer", "alone", 1.1),)),
    Row(READING, "(control: the writer on another root, sharing only the machine)", "the same without", "", "",
        (worst_cost(BESIDE, "beside a writer elsewhere", "alone", float("inf")),)),
    Row(READING, "two threads, per thread", "one thread", "1.03", "≤ 1.1",
        (cost("threads", "Reader, each of two threads", "Reader, one thread", 1.1),)),
    Row(READING, "(control: plain arithmetic on two threads)", "one thread", "", "",
        (cost("threads", "arithmetic, each of two threads", "arithmetic, one thread", float("inf")),)),
    Row(READING, "system calls per `Reader` hit (strace)", "", "0", "0", (system_calls,)),
    Row(READING, "C: hit through the ABI, borrowed", "Rust", "", "≤ 1.5",
        (cost("native", "C reader, borrowed", "Rust Reader, borrowed", 1.5),)),
    Row(READING, "Python handle / by key", "functools.lru_cache hit", "0.49 / 1.04", "≤ 0.6 / ≤ 1.1",
        (cost("python", "handle", "functools.lru_cache", 0.6), cost("python", "by key", "functools.lru_cache", 1.1))),
    Row(READING, "Python by key", "diskcache get / dogpile dbm / joblib", "144 × / 1,290 × / 2,800 × faster",
        "≥ 120 × / 1,000 × / 2,000 ×",
        (faster("python", "by key", "diskcache", 120), faster("python", "by key", "dogpile dbm", 1_000),
         faster("python", "by key", "joblib", 2_000))),
    Row(READING, "Python by key", "cachetools TTLCache get", "", "", (faster("python", "by key", "cachetools", 0),)),
    Row(READING, "Python decoded JSON hit", "read file + json.loads", "330 × faster", "≥ 250 ×",
        (faster("python", "decoded JSON", "read file + json.loads", 250),)),
    Row(READING, "Node by key", "lru-cache with ttl", "0.89–1.56", "≤ 1.0",
        (cost("node", "by key", "lru-cache with ttl", 1.0),)),
    Row(READING, "Node by key", "better-sqlite3 / keyv + sqlite / cacache", "249 × / 3,300 × / 8,000 × faster",
        "≥ 150 × / 2,000 × / 5,000 ×",
        (faster("node", "by key", "better-sqlite3", 150), faster("node", "by key", "keyv + sqlite", 2_000),
         faster("node", "by key", "cacache", 5_000))),
    Row(READING, "Go Reader", "the original's stat + ReadFile", "168 × faster", "≥ 100 ×",
        (faster("go", "Reader", "the original's stat + ReadFile", 100),)),
    Row(READING, "`forebay` CLI, cached hit", "`true` / bkt", "0.92 / 1.7 × faster", "≤ 1.15 / ≥ 1.6 ×",
        (cost("command", "forebay run, cached", "true", 1.15), faster("command", "forebay run, cached", "bkt, cached", 1.6))),
    Row(READING, "open + first read in a new process", "plain file read", "2.0", "≤ 2.5",
        (cost("open", "open + first read", "plain file read", 2.5),)),
    Row(READING, "open at 100,000 entries", "at 1,000", "1", "≤ 1.2",
        (cost("many", "many entries", "1,000 entries", 1.2),)),
    Row(WRITING, "value commit (value and meta), durability `none`", "tmp + rename of two files over the old ones",
        "3.5 × faster for one file", "≥ 2 × faster",
        (faster("commit-none", "put, none", "tmp + rename of two files", 2),)),
    Row(WRITING, "value commit, durability `data`", "bare tmp + fdatasync + rename of the two files that it writes", "",
        "≤ 1.15", (cost("commit-data", "put, data", "tmp + fdatasync + rename of two files", 1.15),)),
    Row(WRITING, "index put (live): `persist` of 4 KiB without inputs", "bare LMDB NO_SYNC put of the records that it writes / of the bytes alone",
        "", "≤ 1.3", (cost("live-put", "Live::persist", "bare LMDB, the same records", 1.3),
                      cost("live-put", "Live::persist", "bare LMDB, the bytes alone", float("inf")))),
    Row(WRITING, "acquire + complete without work, `none`", "the original's steps for claim and commit", "0.9–1.4", "≤ 1.1",
        (cost("refresh-none", "acquire + complete, none", "the original's claim + commit", 1.1),)),
    Row(WRITING, "the same, `data`", "bare tmp + fdatasync + rename of two files", "1.35", "≤ 1.3",
        (cost("refresh-data", "acquire + complete, data", "tmp + fdatasync + rename of two files", 1.3),)),
    Row(WRITING, "follower's wait after a commit in another process, p50", "250 ms polling (the original)",
        "2,650 × shorter", "≥ 2,000 ×", (polling,)),
    Row(WRITING, "take-over after SIGKILL of the holder, p50 / p99", "", "0.27 ms (flock), 2.8 ms (5 ms probe)",
        "≤ 5 ms, p99 ≤ 50 ms",
        (at_most("takeover", "from SIGKILL to the next refresher", 0.5, 5e6),
         at_most("takeover", "from SIGKILL to the next refresher", 0.99, 50e6))),
    Row(WRITING, "8 processes race for one refresh", "", "exactly one, 3,000 rounds", "exactly one, 100,000 rounds", (races,)),
    Row(WRITING, "100 processes start on a cold source (200 ms refresher)", "one refresh + process start", "",
        "≤ 1.3; one refresh", (crowd,)),
    Row(DERIVED, "open + first look-up in a new process, at 100,000 entries (20,000 with --quick)", "the original, which reads every record",
        "0.12 ms", "≤ 1 ms", (of_many("open + first look-up", 1e6, "the original's"),)),
    Row(DERIVED, "invalidate one file with 10,000 dependents: until none can hit (direct, tree, chains of 100)", "", "11 ns (version bump)",
        "≤ 100 µs", (of_many("none hits", 1e5, ""),)),
    Row(DERIVED, "and until their space is free and their number known", "the original's walk and unlinks", "49–191 ms",
        "≤ 200 ms", (of_many("all free", 200e6),)),
    Row(DERIVED, "look-up with revalidation, nothing changed, 1 file / 10 files", "the bare stats of them", "1.3 µs per file", "≤ 1.5",
        (cost("live-hits", "lookup_revalidate, 1 file", "bare stats, 1 file", 1.5),
         cost("live-hits", "lookup_revalidate, 10 files", "bare stats, 10 files", 1.5))),
    Row(DERIVED, "the same", "the original's hash of each file, 1 file / 10 files of 4 KiB", "", "",
        (faster("live-hits", "lookup_revalidate, 1 file", "the original's hashes, 1 file", 0),
         faster("live-hits", "lookup_revalidate, 10 files", "the original's hashes, 10 files", 0))),
    Row(DERIVED, "hit without revalidation", "a source's hit by key", "+ 0.5 ns on a plain hit", "≤ 1.2",
        (cost("live-hits", "Live::lookup", BY_KEY, 1.2),)),
    Row(DERIVED, "Python `@live.memo` without inputs, hit", "diskcache memoize / joblib.Memory", "", "",
        (faster("python-memo", "forebay memo, no inputs", "diskcache memoize", 0),
         faster("python-memo", "forebay memo, no inputs", "joblib.Memory", 0))),
    Row(DERIVED, "Python `@live.memo` of one file, hit, the file looked at", "the same, which look at no file", "", "",
        (faster("python-memo", "forebay memo, 1 file", "diskcache memoize", 0),
         faster("python-memo", "forebay memo, 1 file", "joblib.Memory", 0))),
)
